/** How `lockstep doctor` judges hosts that this one is not: every check in its good and its bad forms. */
import { describe, expect, it } from 'vitest';
import type { LogStatus } from '../../ts/admin/daemon-status.js';
import { type Check, checksOf } from '../../ts/admin/doctor-checks.js';
import { type ConfigFact, type DaemonFact, type DoctorFacts, listeners } from '../../ts/admin/doctor-facts.js';

const log = {
  uuid: 'LVM-a',
  regionCount: 8192,
  logDevice: '/dev/sdc',
  logFailed: false,
} as LogStatus;

const allCapabilities = (1n << 41n) - 1n;
const daemon: DaemonFact = {
  pid: 100,
  version: '1',
  logs: [log],
  simulated: false,
  transport: 'local',
  groupProblem: '',
  stateDirectory: '/run/lockstep/logs',
  overruns: 0,
  capabilities: allCapabilities,
  swappedKib: 0,
  memlockBytes: Number.POSITIVE_INFINITY,
  swapMaxBytes: 0,
  ownMounts: false,
};

const config: ConfigFact = {
  path: '/etc/lockstep/lockstep.toml',
  present: true,
  problems: [],
  pidFiles: ['/run/lockstepd.pid', '/run/cmirrord.pid'],
  stateDirectory: null,
};

const wellHost: DoctorFacts = {
  config,
  kernel: '6.1.0',
  root: true,
  capabilities: allCapabilities,
  moduleLoaded: true,
  modulePresent: true,
  mirrorTarget: true,
  connector: 'Name            ID\ncn_proc         1:1\ndmlogusr        7:1\n',
  pidFiles: [
    { path: '/run/lockstepd.pid', holder: 100, program: 'lockstepd' },
    { path: '/run/cmirrord.pid', holder: 100, program: 'lockstepd' },
  ],
  corosyncConfigured: false,
  receiveBufferMax: 212_992,
  listeners: [{ portId: 100, queuedBytes: 0, drops: 0 }],
  ioUring: true,
  ioUringDisabled: '0',
  memlockBytes: 65_536,
  swaps: ['/dev/sda2'],
  stateDirectory: '/run/lockstep/logs',
  stateMount: { tmpfs: true, freeBytes: 1 << 30 },
  daemon,
  daemonProblem: '',
  logBytes: new Map([['/dev/sdc', 1 << 20]]),
};

function check(name: string, facts: Partial<DoctorFacts>): Check {
  const found = checksOf({ ...wellHost, ...facts }).find((one) => one.check === name);
  if (found === undefined) throw new Error(`no check ${name}`);
  return found;
}

it('a daemon that shares its logs by corosync passes where corosync is set up', () => {
  const facts = { corosyncConfigured: true, daemon: { ...daemon, transport: 'corosync' as const } };
  expect(check('cluster', facts)).toMatchObject({ result: 'ok', text: expect.stringContaining('by corosync') });
});

it('a host that is well passes every check', () => {
  const bad = checksOf(wellHost).filter(({ result }) => result !== 'ok');
  expect(bad).toEqual([]);
});

describe('what is wrong is found, and has a remedy', () => {
  const two = { path: '/run/cmirrord.pid', holder: 7, program: 'cmirrord' };
  const own = { path: '/run/lockstepd.pid', holder: 100, program: 'lockstepd' };
  it.each<[string, Partial<DoctorFacts>, 'warn' | 'fail', RegExp]>([
    ['daemon', { daemon: null, daemonProblem: 'nobody there' }, 'fail', /nobody there/],
    ['module', { moduleLoaded: false }, 'fail', /not loaded/],
    ['module', { moduleLoaded: false, modulePresent: false }, 'fail', /6\.1\.0 has no dm_log_userspace$/],
    ['module', { moduleLoaded: false, modulePresent: null }, 'fail', /as far as can be told/],
    ['mirror', { mirrorTarget: false }, 'fail', /no dm_mirror/],
    ['mirror', { mirrorTarget: null }, 'warn', /cannot be told/],
    ['connector', { connector: null }, 'fail', /no \/proc\/net\/connector/],
    ['connector', { connector: 'cn_proc 1:1\n' }, 'fail', /does not list/],
    ['listeners', { listeners: null }, 'warn', /cannot be read/],
    ['listeners', { listeners: [] }, 'fail', /nobody answers/],
    [
      'listeners',
      {
        listeners: [
          { portId: 1, queuedBytes: 0, drops: 0 },
          { portId: 2, queuedBytes: 0, drops: 0 },
        ],
      },
      'fail',
      /2 sockets/,
    ],
    [
      'capabilities',
      { daemon: { ...daemon, capabilities: 0n } },
      'fail',
      /CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_RESOURCE: without it/,
    ],
    [
      'capabilities',
      { daemon: { ...daemon, capabilities: allCapabilities ^ (1n << 24n) } },
      'warn',
      /lacks CAP_SYS_RESOURCE$/,
    ],
    ['capabilities', { daemon: { ...daemon, capabilities: null }, capabilities: null }, 'warn', /cannot be read/],
    ['two-daemons', { pidFiles: [own, two] }, 'fail', /lockstepd 100, .*cmirrord 7/],
    ['two-daemons', { pidFiles: [own, { ...two, holder: null }] }, 'warn', /cannot look at \/run\/cmirrord.pid/],
    [
      'cluster',
      { corosyncConfigured: true },
      'warn',
      /corosync\.conf exists, and .* only host \(transport = "local"\)/,
    ],
    [
      'config',
      { config: { ...config, problems: ['a.toml:1: bad', 'a.toml:2: bad'] } },
      'fail',
      /^a\.toml:1: bad, and 1 more$/,
    ],
    ['cluster', { corosyncConfigured: true, daemon: null }, 'warn', /exists: this host may share its mirrors/],
    [
      'cluster',
      { daemon: { ...daemon, transport: 'corosync', groupProblem: 'corosync does not answer: it is ill' } },
      'warn',
      /in no group, and resumes no log: corosync does not answer: it is ill/,
    ],
    [
      'cluster',
      { daemon: { ...daemon, transport: 'corosync' } },
      'warn',
      /there is no .*corosync\.conf: it resumes no log/,
    ],
    ['receive-buffer', { daemon: { ...daemon, capabilities: 0n } }, 'warn', /208 KiB, the daemon wants 8 MiB/],
    ['drops', { listeners: [{ portId: 1, queuedBytes: 0, drops: 3 }] }, 'warn', /3 requests/],
    ['drops', { daemon: { ...daemon, overruns: 2 } }, 'warn', /2 requests/],
    ['swap', { daemon: { ...daemon, swappedKib: 12 } }, 'fail', /12 KiB/],
    ['swap', { daemon: { ...daemon, swapMaxBytes: Number.POSITIVE_INFINITY } }, 'warn', /swap on \/dev\/sda2/],
    ['mounts', { daemon: { ...daemon, ownMounts: true } }, 'warn', /mount namespace of its own/],
    ['memlock', { daemon: { ...daemon, memlockBytes: 65_536, capabilities: 0n } }, 'warn', /may lock 64 KiB/],
    ['io_uring', { ioUring: false, ioUringDisabled: '2' }, 'warn', /io_uring_disabled=2/],
    ['state', { stateMount: null }, 'fail', /not there/],
    ['state', { stateMount: null, daemon: null }, 'warn', /not there/],
    ['state', { stateMount: { tmpfs: true, freeBytes: 1 << 20 } }, 'fail', /1 MiB left/],
    ['state', { stateMount: { tmpfs: false, freeBytes: 1 << 30 } }, 'warn', /not on a tmpfs/],
    ['log-device', { logBytes: new Map([['/dev/sdc', 2047]]) }, 'fail', /2047 bytes, 8192 regions take 2048/],
    ['log-device', { logBytes: new Map([['/dev/sdc', null]]) }, 'warn', /cannot be looked at/],
    ['log-device', { daemon: { ...daemon, logs: [{ ...log, logFailed: true }] } }, 'fail', /has failed/],
  ])('%s, case %#', (name, facts, result, text) => {
    const found = check(name, facts);
    expect(found.result).toBe(result);
    expect(found.text).toMatch(text);
    expect(found.remedy).not.toBe('');
  });

  it('a log device of exactly the size is large enough', () => {
    expect(check('log-device', { logBytes: new Map([['/dev/sdc', 2048]]) }).result).toBe('ok');
  });
});

it('a daemon of a simulated kernel is not failed for what the real one lacks', () => {
  const facts = {
    ...wellHost,
    moduleLoaded: false,
    modulePresent: false,
    mirrorTarget: false,
    connector: null,
    listeners: [],
  };
  const checks = checksOf({ ...facts, capabilities: 0n, daemon: { ...daemon, simulated: true } });
  expect(checks.filter(({ result }) => result === 'fail')).toEqual([]);
});

it('listeners are those of the connector that have joined group 7', () => {
  const table = [
    'sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode',
    '00000000c0ffee00 0   100        00000551 0        0        0     2        0        1',
    '00000000c0ffee01 11  100        00000040 4096     0        0     2        5        2',
    '00000000c0ffee02 11  7          00000047 0        0        0     2        0        3',
    '00000000c0ffee03 11  0          00000000 0        0        0     2        0        4',
    '00000000c0ffee04 11  9          00000001 0        0        0     2        0        5',
    '',
  ].join('\n');
  expect(listeners(table)).toEqual([
    { portId: 100, queuedBytes: 4096, drops: 5 },
    { portId: 7, queuedBytes: 0, drops: 0 },
  ]);
  expect(listeners(null)).toBe(null);
});
