/** Bash completion, run in a real bash with `lockstep` on the PATH, against the parser's tables and a live daemon. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandNames, commandTable, topOptionNames } from '../../ts/bin/lockstep-options.js';
import { controlSocket } from '../admin/admin-daemon.js';
import { KernelClient } from '../connector/kernel-client.js';
import { DaemonFolder } from '../daemon/daemon-process.js';
import { program } from './lockstep-process.js';

const { PATH: userPath = '' } = process.env;
const script = fileURLToPath(new URL('../../packaging/completions/lockstep', import.meta.url));
let programs: string;
let folder: DaemonFolder;
let kernel: KernelClient;

beforeAll(async () => {
  programs = mkdtempSync(join(tmpdir(), 'lockstep programs '));
  writeFileSync(join(programs, 'lockstep'), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`);
  chmodSync(join(programs, 'lockstep'), 0o755);
  folder = new DaemonFolder();
  const daemon = folder.start();
  await daemon.said(/ control-socket .*\n/);
  kernel = await KernelClient.connect(folder.socket);
  for (const [uuid, luid] of [
    ['LVM-first', 1],
    ['LVM-second', 2],
    ['other', 3],
  ] as const) {
    expect((await kernel.ctr({ uuid, luid }, '1024000 clustered-core 1024')).result).toBe(0);
  }
});
afterAll(async () => {
  kernel?.close();
  await folder?.remove();
  rmSync(programs, { recursive: true, force: true });
});

/** What bash offers for the last of the words, an unfinished one. */
function offered(...words: string[]): string[] {
  const line = ['lockstep', ...words];
  const bash = spawnSync(
    'bash',
    [
      '--norc',
      '-c',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: bash expands it
      'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lockstep; printf "%s\\n" "${COMPREPLY[@]}"',
      'bash',
      script,
      ...line,
    ],
    {
      encoding: 'utf8',
      env: { ...process.env, PATH: `${programs}:${userPath}`, LOCKSTEP_SOCKET: controlSocket(folder) },
    },
  );
  expect(bash.stderr).toBe('');
  return bash.stdout.split('\n').filter(Boolean).sort();
}

it('is registered for lockstep', () => {
  const bash = spawnSync('bash', ['--norc', '-c', 'source "$1" && complete -p lockstep', 'bash', script], {
    encoding: 'utf8',
  });
  expect(bash.stdout).toMatch(/-F _lockstep lockstep/);
});

describe('commands', () => {
  it('are those of the parser', () => {
    expect(offered('')).toEqual([...new Set(commandNames.map((name) => name.split(' ')[0]))].sort());
    expect(offered('log', '')).toEqual(
      commandNames
        .filter((name) => name.startsWith('log '))
        .map((name) => name.slice(4))
        .sort(),
    );
    expect(offered('st')).toEqual(['status']);
    expect(offered('--socket', '/x y', 'st')).toEqual(['status']);
  });

  it('have the options of the parser', () => {
    const sorted = (names: readonly string[]) => names.map((name) => `--${name}`).sort();
    expect(offered('-')).toEqual(sorted(topOptionNames));
    for (const name of commandNames) {
      expect(offered(...name.split(' '), '-')).toEqual(sorted(Object.keys(commandTable[name].options)));
    }
  });

  it('have levels and files where those go', () => {
    expect(offered('events', '--level', 'n')).toEqual(['notice']);
    expect(offered('log', 'check', join(folder.path, 'con'))).toEqual([controlSocket(folder)]);
    expect(offered('log', 'check', '--region-count', '')).toEqual([]);
    expect(offered('doctor', '--state-dir', join(folder.path, 'sta'))).toEqual([folder.state]);
  });
});

describe('logs', () => {
  it('are those of the daemon', () => {
    expect(offered('why', '')).toEqual(['LVM-first', 'LVM-second', 'other']);
    expect(offered('status', 'LVM-s')).toEqual(['LVM-second']);
    expect(offered('events', '--follow', 'LVM-f')).toEqual(['LVM-first']);
    expect(offered('status', '--socket', controlSocket(folder), 'o')).toEqual(['other']);
  });

  it('are not offered where none goes, nor from a daemon that is not there', () => {
    expect(offered('why', 'LVM-first', '')).toEqual([]);
    expect(offered('doctor', '')).toEqual([]);
    expect(offered('--socket', join(folder.path, 'nobody'), 'why', '')).toEqual([]);
  });
});
