/** What a daemon keeps of logs that its host does not use, as files. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { UnusedLogFiles } from '../../ts/daemon/unused-log-files.js';

let folder: string;
const problems: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lockstep unused '));
  problems.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

const files = (bootId = 'boot-1') => new UnusedLogFiles(join(folder, 'logs'), bootId, (text) => problems.push(text));

it('the next daemon of the boot finds what was kept last, and no other', () => {
  expect(files().read()).toEqual([]);
  const uuids = ['LVM-a', 'a/b/../c', 'x'.repeat(128)];
  for (const uuid of uuids) files().keep(uuid, `first of ${uuid}`);
  files().keep('LVM-a', 'second');
  files().keep('a/b/../c', '');
  files().keep('never kept', '');
  expect(files().read().sort()).toEqual([`first of ${uuids[2]}`, 'second']);
  expect(readdirSync(folder)).toEqual(['unused-logs']);
  expect(files('boot-2').read()).toEqual([]);
  writeFileSync(join(folder, 'unused-logs', 'foreign'), 'no JSON');
  writeFileSync(join(folder, 'unused-logs', 'begun.new'), JSON.stringify({ bootId: 'boot-1', table: 'begun' }));
  expect(files().read().length).toBe(2);
  expect(problems).toEqual([]);
});

it('what cannot be written is said once', () => {
  writeFileSync(join(folder, 'unused-logs'), 'in the way');
  const kept = files();
  for (let i = 0; i < 3; i++) kept.keep('LVM-a', 'text');
  expect(problems.length).toBe(1);
  rmSync(join(folder, 'unused-logs'));
  kept.keep('LVM-a', 'text');
  expect(kept.read()).toEqual(['text']);
});
