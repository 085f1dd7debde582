/** The command line: defaults by host, and every way to be wrong. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  cmirrordPidFile,
  type HostFacts,
  optionNames,
  parseOptions,
  usageText,
} from '../../ts/bin/lockstepd-options.js';
import type { DaemonConfig } from '../../ts/daemon/config.js';

const host: HostFacts = {
  root: false,
  runtimeDirectory: '/run/user/1000',
  homeDirectory: '/home/ada',
  hostName: 'alpha',
  bootId: '00000000-1111-2222-3333-444444444444',
  corosyncConfigured: false,
  journalStream: false,
};

function configOf(argv: string[], facts: Partial<HostFacts> = {}): DaemonConfig {
  const parsed = parseOptions(argv, { ...host, ...facts });
  if (parsed.kind !== 'run') throw new Error(`expected to run, got ${JSON.stringify(parsed)}`);
  return parsed.config;
}

function wrongText(argv: string[], facts: Partial<HostFacts> = {}): string {
  const parsed = parseOptions(argv, { ...host, ...facts });
  if (parsed.kind !== 'wrong') throw new Error(`expected to be wrong, got ${JSON.stringify(parsed)}`);
  return parsed.text;
}

describe('defaults', () => {
  it('serves the real kernel, alone, with uring', () => {
    expect(configOf([])).toEqual({
      kernel: { kind: 'connector' },
      stateDirectory: '/run/user/1000/lockstep/logs',
      pidFiles: ['/run/lockstepd.pid', cmirrordPidFile],
      transport: 'local',
      node: 1,
      nodeName: 'alpha',
      bootId: host.bootId,
      logWriter: 'uring',
      forceForeignSession: false,
      statusFile: null,
      statusIntervalMs: 0,
      verbose: false,
      journal: false,
    });
  });

  it.each([
    [{ root: true }, '/run/lockstep/logs'],
    [{}, '/run/user/1000/lockstep/logs'],
    [{ runtimeDirectory: null }, '/home/ada/.local/state/lockstep/logs'],
  ])('keeps state records where %j says', (facts, directory) => {
    expect(configOf([], facts).stateDirectory).toBe(directory);
  });

  it('writes journal prefixes when stderr is the journal', () => {
    expect(configOf([], { journalStream: true }).journal).toBe(true);
    expect(configOf(['--journal']).journal).toBe(true);
  });
});

describe('pid files', () => {
  it('always holds the one of cmirrord on the real kernel, once', () => {
    expect(configOf(['--pid-file', '/tmp/own.pid']).pidFiles).toEqual(['/tmp/own.pid', cmirrordPidFile]);
    expect(configOf(['--pid-file', cmirrordPidFile]).pidFiles).toEqual([cmirrordPidFile]);
  });

  it('locks only what it is told to for a simulated kernel', () => {
    const simulated = ['--simulated-kernel', '/tmp/folder/kernel'];
    expect(configOf(simulated).pidFiles).toEqual([]);
    expect(configOf([...simulated, '--pid-file', '/tmp/own.pid']).pidFiles).toEqual(['/tmp/own.pid']);
    expect(configOf(simulated).kernel).toEqual({ kind: 'simulated', path: '/tmp/folder/kernel' });
  });
});

describe('a host with a corosync configuration', () => {
  const facts = { corosyncConfigured: true };

  it('is never taken for alone by default', () => {
    expect(wrongText([], facts)).toMatch(/corosync\.conf exists.*--transport local/);
    expect(wrongText(['--simulated-kernel', '/x/y'], facts)).toMatch(/corosync/);
  });

  it('is alone when somebody says so', () => {
    expect(configOf(['--transport', 'local'], facts).transport).toBe('local');
  });
});

describe('wrong usage', () => {
  it.each([
    [['--no-such-option'], /no-such-option/],
    [['operand'], /operand/],
    [['--transport', 'corosync'], /only "local"/],
    [['--log-writer', 'mmap'], /"uring" or "thread"/],
    [['--status-interval-ms', 'often', '--status-file', '/x'], /status-interval-ms/],
    [['--status-interval-ms', '-1', '--status-file', '/x'], /status-interval-ms/],
    [['--status-interval-ms=-1', '--status-file', '/x'], /status-interval-ms/],
    [['--status-interval-ms', '9999999', '--status-file', '/x'], /status-interval-ms/],
    [['--status-interval-ms', '500'], /needs --status-file/],
    [['--state-dir'], /state-dir/],
    [['--state-dir', ''], /state-dir needs a value/],
    [['--verbose=yes'], /verbose/],
  ])('%j', (argv, message) => {
    expect(wrongText(argv)).toMatch(message);
  });
});

it('help and version win over everything else that is right', () => {
  expect(parseOptions(['--help', '--log-writer', 'thread'], host).kind).toBe('help');
  expect(parseOptions(['-h'], host).kind).toBe('help');
  expect(parseOptions(['--version'], host).kind).toBe('version');
});

it('the usage text names every option', () => {
  for (const name of optionNames) expect(usageText).toContain(`--${name}`);
});

it('the manual page has every option of the parser, and no other', () => {
  const page = readFileSync(new URL('../../docs/lockstepd.8.scd', import.meta.url), 'utf8');
  const options = page.slice(page.indexOf('# OPTIONS'), page.indexOf('# SIGNALS'));
  const named = [...options.matchAll(/^\*--([a-z-]+)\*/gm)].map((match) => match[1]);
  expect(named.sort()).toEqual([...optionNames].sort());
});
