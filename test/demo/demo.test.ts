/**
 * The whole demonstration in its short form, as a process: exit code, both acts, the table, and nothing left behind. It
 * runs with a temporary folder whose path has a blank in it.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

/** A limit on hangs. The kernel's own 15 s before it asks again are part of the run, on a busy machine it takes a minute. */
const hangMs = 600_000;
const program = fileURLToPath(new URL('../../dist/bin/demo.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'a demo '));
afterAll(() => rmSync(folder, { recursive: true }));

function start() {
  const child = spawn(process.execPath, [program, '--quick', '--seed', '7'], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const state = { child, text: '' };
  child.stdout.on('data', (chunk) => {
    state.text += chunk;
  });
  child.stderr.on('data', (chunk) => {
    state.text += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { ...state, ended, text: () => state.text };
}

test('both acts hold, the table is printed, the files are gone', { timeout: hangMs }, async () => {
  const demo = start();
  const code = await demo.ended;
  expect(code, demo.text()).toBe(0);
  expect(demo.text()).toMatch(/Act 1[\s\S]* 0 writes failed, 0 regions had to be resynced/);
  expect(demo.text()).toMatch(/Act 2[\s\S]*the legs differ in [\d ]+ sectors/);
  expect(demo.text()).toMatch(/legs identical +yes: 65 536 sectors compared, 0 differ/);
  expect(readdirSync(folder)).toEqual([]);
});

test('an interrupt ends both processes and removes the files', { timeout: hangMs }, async () => {
  const demo = start();
  await expect.poll(() => demo.text(), { timeout: hangMs }).toMatch(/simulated kernel, pid \d/);
  const pids = [...demo.text().matchAll(/pid (\d+)/g)].map((match) => Number(match[1]));
  demo.child.kill('SIGINT');
  expect(await demo.ended, demo.text()).toBe(130);
  expect(readdirSync(folder)).toEqual([]);
  expect(pids.length).toBe(2);
  for (const pid of pids) await expect.poll(() => alive(pid), { timeout: 60_000 }).toBe(false);
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
