/**
 * Every key of lockstep.toml: its name, what it may hold, its default, and a sentence that says what it is for.
 *
 * The one table behind the parser, `--print-config`, the sample file and the test that holds the manual against them.
 * Values are checked one by one; what fits together is the business of whoever makes a `DaemonConfig` of them.
 */

export type ConfigValue = string | number | boolean;

export type KeyRule = { readonly text: string; readonly fallback: string } & (
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  | { readonly kind: 'path' | 'name' | 'flag' }
  | { readonly kind: 'count' | 'milliseconds' | 'bytes'; readonly min: number; readonly max: number }
);

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const hourMs = 3_600_000;

/** Dotted names. `fallback` is for people: what holds when the key is not there. */
export const configKeys = {
  transport: {
    kind: 'choice',
    choices: ['auto', 'local', 'corosync'],
    text: 'who else may write to the mirrors of this host',
    fallback: '"auto": corosync where /etc/corosync/corosync.conf exists, else local; for cmirrord always corosync',
  },
  node_name: { kind: 'name', text: "this host's name in session records of disk logs", fallback: 'the host name' },
  state_dir: {
    kind: 'path',
    text: 'folder of the records that outlive a killed daemon; best on a tmpfs',
    fallback: '/run/lockstep/logs for root',
  },
  pid_file: { kind: 'path', text: 'locked while lockstepd runs', fallback: '/run/lockstepd.pid' },
  cmirrord_pid_file: {
    kind: 'path',
    text: 'where LVM2 was built to look for cmirrord; locked while any daemon of ours serves the kernel',
    fallback: '/run/cmirrord.pid',
  },
  'kernel.receive_buffer': {
    kind: 'bytes',
    min: 64 * KiB,
    max: GiB,
    text: 'room for requests that wait in the kernel',
    fallback: '8 MiB',
  },
  'limits.log_memory_max': {
    kind: 'bytes',
    min: MiB,
    max: 1024 * GiB,
    text: 'what the state records of all logs may map; beyond it a new log gets ENOMEM',
    fallback: '4 GiB',
  },
  'marks.sticky_idle_ms': {
    kind: 'milliseconds',
    min: 0,
    max: hourMs,
    text: 'how long a region stays marked after its last write',
    fallback: '2000',
  },
  'marks.sticky_max': {
    kind: 'count',
    min: 0,
    max: 2 ** 20,
    text: 'most regions of one log that stay marked so; 0 turns it off',
    fallback: '4096',
  },
  'marks.clean_commit_ms': {
    kind: 'milliseconds',
    min: 0,
    max: hourMs,
    text: 'how long clean bits may wait for a log write that is needed anyway',
    fallback: '1000',
  },
  'log_device.writer': {
    kind: 'choice',
    choices: ['auto', 'uring', 'thread'],
    text: 'how disk logs are written',
    fallback: '"auto"',
  },
  'log_device.retry_ms': {
    kind: 'milliseconds',
    min: 100,
    max: hourMs,
    text: 'time between attempts to get a failed log device back',
    fallback: '3000',
  },
  'cluster.on_quorum_loss': {
    kind: 'choice',
    choices: ['wait', 'fail'],
    text: 'what new marks and flushes get without quorum: nothing until it is back, or EIO',
    fallback: '"wait"',
  },
  'cluster.restart_recovery': {
    kind: 'flag',
    text: "suspend and resume a mirror whose kernel has to be told that a dead host's regions need a resync",
    fallback: 'true',
  },
  'fencing.confirm': {
    kind: 'choice',
    choices: ['none', 'command', 'dlm', 'pacemaker'],
    text: 'who is asked whether a lost node is dead; nobody is believed dead by a time-out',
    fallback: '"none": regions of a lost node stay marked until it is back or `lockstep fence-confirm` says so',
  },
  'fencing.command': {
    kind: 'path',
    text: 'program that is run with name and number of a lost node; exit code 0 and no other means dead',
    fallback: 'none',
  },
  'fencing.interval_ms': {
    kind: 'milliseconds',
    min: 100,
    max: hourMs,
    text: 'time between two questions about one node',
    fallback: '2000',
  },
  'status.file': { kind: 'path', text: 'status as JSON, replaced whole', fallback: 'none' },
  'status.interval_ms': {
    kind: 'milliseconds',
    min: 0,
    max: hourMs,
    text: 'how often; 0: only at SIGUSR1',
    fallback: '0',
  },
  'log.target': {
    kind: 'choice',
    choices: ['stderr', 'journal', 'syslog'],
    text: 'where log lines of lockstepd go; cmirrord has the system log, or stdout in the foreground',
    fallback: '"journal" when stderr is the journal, else "stderr"',
  },
  'log.verbose': { kind: 'flag', text: 'debug lines too', fallback: 'false' },
} as const satisfies Record<string, KeyRule>;

export type ConfigKey = keyof typeof configKeys;
export const configKeyNames = Object.keys(configKeys) as readonly ConfigKey[];
/** Tables of the file: what stands before the dot. */
export const configTables: readonly string[] = [
  ...new Set(configKeyNames.flatMap((name) => (name.includes('.') ? [name.slice(0, name.indexOf('.'))] : []))),
];

/** Bytes of a name that a state record and a session record have room for. */
const nameBytesMax = 64;
const units: Readonly<Record<string, number>> = { KiB, MiB, GiB, TiB: 1024 * GiB };

export type CheckedValue = { readonly value: ConfigValue } | { readonly problem: string };

/** Checks one value; `problem` says what is allowed and what was found. */
export function checkValue(rule: KeyRule, found: unknown): CheckedValue {
  const refuse = (allowed: string): CheckedValue => ({ problem: `${allowed}, found ${shown(found)}` });
  switch (rule.kind) {
    case 'choice':
      if (typeof found === 'string' && rule.choices.includes(found)) return { value: found };
      return refuse(`must be one of ${rule.choices.map((choice) => JSON.stringify(choice)).join(', ')}`);
    case 'flag':
      return typeof found === 'boolean' ? { value: found } : refuse('must be true or false');
    case 'path':
      if (typeof found === 'string' && found.startsWith('/') && !found.includes('\0')) return { value: found };
      return refuse('must be an absolute path');
    case 'name':
      if (typeof found === 'string' && isName(found)) return { value: found };
      return refuse(`must be a name of 1 to ${nameBytesMax} bytes without blanks`);
    case 'count':
    case 'milliseconds':
      if (isWithin(found, rule)) return { value: found };
      return refuse(`must be a whole number from ${rule.min} to ${rule.max}`);
    case 'bytes': {
      const bytes = bytesOf(found);
      if (isWithin(bytes, rule)) return { value: bytes };
      return refuse(`must be bytes from ${shownBytes(rule.min)} to ${shownBytes(rule.max)}, as in 8388608 or "8 MiB"`);
    }
  }
}

/** `8 MiB` for 8388608, the plain number where no unit fits. */
export function shownBytes(bytes: number): string {
  const fitting = Object.entries(units).findLast(([, size]) => bytes >= size && bytes % size === 0);
  return fitting === undefined ? String(bytes) : `${bytes / fitting[1]} ${fitting[0]}`;
}

function isName(text: string): boolean {
  return /^[^\s\0]+$/.test(text) && Buffer.byteLength(text) <= nameBytesMax;
}

function isWithin(found: unknown, range: { readonly min: number; readonly max: number }): found is number {
  return typeof found === 'number' && Number.isInteger(found) && found >= range.min && found <= range.max;
}

function bytesOf(found: unknown): unknown {
  if (typeof found !== 'string') return found;
  const match = /^(\d{1,12}) ?([KMGT]iB)$/.exec(found);
  return match === null ? Number.NaN : Number(match[1]) * (units[match[2] as string] as number);
}

/** A value of the wrong kind or size, as people wrote it. */
export function shown(found: unknown): string {
  if (Array.isArray(found)) return 'a list';
  if (typeof found === 'object' && found !== null) return found instanceof Date ? 'a date' : 'a table';
  // JSON has no infinity.
  return typeof found === 'number' ? String(found) : (JSON.stringify(found) ?? String(found));
}
