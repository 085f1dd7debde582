/** The command line: defaults by host, and every way to be wrong. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { optionNames, parseOptions, usageText } from '../../ts/bin/lockstepd-options.js';
import type { DaemonConfig } from '../../ts/daemon/config.js';
import { parseConfig } from '../../ts/daemon/config-file.js';
import { cmirrordPidFile } from '../../ts/daemon/config-values.js';
import type { HostFacts } from '../../ts/daemon/host-facts.js';
import { otherHost } from './daemon-config.js';

const host = otherHost;

function configOf(argv: string[], facts: Partial<HostFacts> = {}, file = ''): DaemonConfig {
  const parsed = parseOptions(argv, { ...host, ...facts }, (path) => parseConfig(file, path));
  if (parsed.kind !== 'run') throw new Error(`expected to run, got ${JSON.stringify(parsed)}`);
  return parsed.config;
}

function wrongText(argv: string[], facts: Partial<HostFacts> = {}, file = ''): string {
  const parsed = parseOptions(argv, { ...host, ...facts }, (path) => parseConfig(file, path));
  if (parsed.kind !== 'wrong') throw new Error(`expected to be wrong, got ${JSON.stringify(parsed)}`);
  return parsed.text;
}

describe('defaults', () => {
  it('serves the real kernel, alone, with uring', () => {
    expect(configOf([])).toEqual({
      personality: 'lockstepd',
      kernel: { kind: 'connector' },
      receiveBufferBytes: 8 * 2 ** 20,
      stateDirectory: '/run/user/1000/lockstep/logs',
      logMemoryBytesMax: 4 * 2 ** 30,
      pidFiles: ['/run/lockstepd.pid', cmirrordPidFile],
      transport: 'local',
      node: 1,
      nodeName: 'alpha',
      bootId: host.bootId,
      logWriter: 'auto',
      stickyIdleMs: 2000,
      stickyMax: 4096,
      cleanCommitMs: 1000,
      logRetryMs: 3000,
      failWithoutQuorum: false,
      restartRecovery: true,
      fencing: null,
      fencingIntervalMs: 2000,
      forceForeignSession: false,
      statusFile: null,
      statusIntervalMs: 0,
      verbose: false,
      logTarget: 'stderr',
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
    expect(configOf([], { journalStream: true }).logTarget).toBe('journal');
    expect(configOf(['--journal']).logTarget).toBe('journal');
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
  const without = { ...facts, corosyncBuiltIn: false };

  it('is never taken for alone by default', () => {
    expect(configOf([], facts).transport).toBe('corosync');
    expect(wrongText([], without)).toMatch(/corosync\.conf exists.*--transport local/);
    expect(wrongText(['--simulated-kernel', '/x/y'], without)).toMatch(/corosync/);
  });

  it('is alone when somebody says so', () => {
    expect(configOf(['--transport', 'local'], facts).transport).toBe('local');
  });
});

describe('the configuration file', () => {
  const file =
    'transport = "local"\nstate_dir = "/srv/state"\n[log_device]\nwriter = "thread"\n[marks]\nsticky_max = 7\n';

  it('is read where the user keeps such files', () => {
    const seen: string[] = [];
    const look = (argv: string[], facts: Partial<HostFacts>) =>
      parseOptions(argv, { ...host, ...facts }, (path) => {
        seen.push(path);
        return parseConfig('', path);
      });
    look([], {});
    look([], { configHome: '/home/ada/etc' });
    look([], { root: true });
    look([], { root: true, configVariable: '/srv/a.toml' });
    look(['--config', 'b.toml'], { root: true, configVariable: '/srv/a.toml' });
    expect(seen).toEqual([
      '/home/ada/.config/lockstep/lockstep.toml',
      '/home/ada/etc/lockstep/lockstep.toml',
      '/etc/lockstep/lockstep.toml',
      '/srv/a.toml',
      'b.toml',
    ]);
  });

  it('sets what options do not', () => {
    const config = configOf(['--log-writer', 'uring'], { corosyncConfigured: true }, file);
    expect(config).toMatchObject({
      transport: 'local',
      stateDirectory: '/srv/state',
      logWriter: 'uring',
      stickyMax: 7,
    });
  });

  it('that is named and not there is wrong, the usual one may be missing', () => {
    expect(parseOptions(['--config', '/no/file'], host, () => null)).toMatchObject({
      kind: 'wrong',
      text: '/no/file: there is no such file',
    });
    expect(parseOptions([], host, () => null).kind).toBe('run');
  });

  it('with problems is refused with all of them, and without the usage text', () => {
    const parsed = parseOptions(['--check-config'], host, (path) => parseConfig('x = 1\ny = 2\n', path));
    expect(parsed).toMatchObject({ kind: 'wrong', showUsage: false });
    expect(wrongText([], {}, 'x = 1\ny = 2\n')).toMatch(
      /lockstep\.toml:1: unknown key x\n.*lockstep\.toml:2: unknown key y/,
    );
  });

  it('names file and line when it asks for a transport that cannot run', () => {
    const without = { corosyncBuiltIn: false };
    expect(wrongText([], without, 'transport = "corosync"\n')).toMatch(
      /toml:1: transport "corosync": corosync is not built/,
    );
    expect(wrongText(['--transport', 'corosync'], without)).toMatch(
      /--transport: transport "corosync": corosync is not built in.*libcpg-dev.*--transport local/,
    );
  });

  it('--check-config says good, or that there is none', () => {
    expect(parseOptions(['--check-config'], host, (path) => parseConfig(file, path))).toEqual({
      kind: 'print',
      text: '/home/ada/.config/lockstep/lockstep.toml: good\n',
    });
    expect(parseOptions(['--check-config'], host, () => null)).toMatchObject({
      kind: 'print',
      text: expect.stringMatching(/defaults hold/),
    });
  });

  it('--print-config prints a file that says the same, and where each value comes from', () => {
    const argv = ['--print-config', '--status-interval-ms', '20', '--status-file', '/run/status.json'];
    const parsed = parseOptions(argv, host, (path) => parseConfig(file, path));
    if (parsed.kind !== 'print') throw new Error(parsed.kind);
    expect(parsed.text).toMatch(/^sticky_max = 7 {2}# .*lockstep\.toml:6$/m);
    expect(parsed.text).toMatch(/^interval_ms = 20 {2}# --status-interval-ms$/m);
    expect(parsed.text).toMatch(/^log_memory_max = "4 GiB" {2}# default$/m);
    const again = configOf([], {}, parsed.text);
    expect(again).toEqual(configOf(argv.slice(1), {}, file));
  });
});

describe('wrong usage', () => {
  it.each([
    [['--no-such-option'], /no-such-option/],
    [['operand'], /operand/],
    [['--transport', 'token-ring'], /--transport token-ring: must be one of "auto", "local", "corosync"/],
    [['--log-writer', 'mmap'], /--log-writer mmap: must be one of "auto", "uring", "thread"/],
    [['--status-interval-ms', 'often', '--status-file', '/x'], /status-interval-ms/],
    [['--status-interval-ms', '-1', '--status-file', '/x'], /status-interval-ms/],
    [['--status-interval-ms=-1', '--status-file', '/x'], /status-interval-ms/],
    [['--status-interval-ms', '9999999', '--status-file', '/x'], /status-interval-ms/],
    [['--status-interval-ms', '500'], /needs status.file/],
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
