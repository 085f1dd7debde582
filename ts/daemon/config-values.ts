/**
 * From values (file, command line) and what the host is to the values that hold, each with where it comes from, and
 * from these to a `DaemonConfig`. Pure. The rule for the transport is here, since it is one for both daemons.
 */
import { type TransportKind, whyUnavailable } from '../cluster/availability.js';
import type { LogWriterKind } from '../native/log-device.js';
import type { DaemonConfig, LogTarget } from './config.js';
import type { FoundValue, FoundValues } from './config-file.js';
import { type ConfigKey, type ConfigValue, configKeyNames, configKeys, shownBytes } from './config-keys.js';
import type { FenceSourceKind } from './fence-sources.js';
import { type HostFacts, stateDirectoryDefault } from './host-facts.js';

/** cmirrord's pid file: LVM2 looks for its lock, and it keeps a cmirrord and this daemon apart. */
export const cmirrordPidFile = '/run/cmirrord.pid';
const lockstepdPidFile = '/run/lockstepd.pid';
/** One host, one node: a cluster will number its own. */
const localNode = 1;

/** The value that holds for a key; null where nothing is the default. */
export type EffectiveValues = ReadonlyMap<ConfigKey, { readonly value: ConfigValue | null; readonly source: string }>;

export function effectiveValues(found: FoundValues, host: HostFacts): EffectiveValues {
  const fallbacks = defaults(host);
  return new Map(
    configKeyNames.map((key): [ConfigKey, { value: ConfigValue | null; source: string }] => [
      key,
      found.get(key) ?? { value: fallbacks[key], source: 'default' },
    ]),
  );
}

function defaults(host: HostFacts): Record<ConfigKey, ConfigValue | null> {
  return {
    transport: 'auto',
    node_name: host.hostName,
    state_dir: stateDirectoryDefault(host),
    pid_file: lockstepdPidFile,
    cmirrord_pid_file: cmirrordPidFile,
    'kernel.receive_buffer': 8 * 1024 * 1024,
    'limits.log_memory_max': 4 * 2 ** 30,
    'marks.sticky_idle_ms': 2000,
    'marks.sticky_max': 4096,
    'marks.clean_commit_ms': 1000,
    'log_device.writer': 'auto',
    'log_device.retry_ms': 3000,
    'cluster.on_quorum_loss': 'wait',
    'cluster.restart_recovery': true,
    'fencing.confirm': 'none',
    'fencing.command': null,
    'fencing.interval_ms': 2000,
    'status.file': null,
    'status.interval_ms': 0,
    'log.target': host.journalStream ? 'journal' : 'stderr',
    'log.verbose': false,
  };
}

/** Command line over file. */
export function merged(file: FoundValues, options: FoundValues): FoundValues {
  return new Map<ConfigKey, FoundValue>([...file, ...options]);
}

/** What is left of the configuration when keys have had their say. */
export type ConfigRest = Pick<
  DaemonConfig,
  'personality' | 'kernel' | 'transport' | 'bootId' | 'forceForeignSession'
> & {
  /** As given on the command line; a simulated kernel needs no other. */
  readonly pidFileGiven: boolean;
};

export function daemonConfig(values: EffectiveValues, rest: ConfigRest): DaemonConfig {
  const { pidFileGiven, ...fixed } = rest;
  const text = (key: ConfigKey) => values.get(key)?.value as string;
  const number = (key: ConfigKey) => values.get(key)?.value as number;
  return {
    ...fixed,
    receiveBufferBytes: number('kernel.receive_buffer'),
    stateDirectory: text('state_dir'),
    logMemoryBytesMax: number('limits.log_memory_max'),
    pidFiles: pidFiles(text('pid_file'), text('cmirrord_pid_file'), rest),
    node: localNode,
    nodeName: text('node_name'),
    logWriter: text('log_device.writer') as LogWriterKind,
    stickyIdleMs: number('marks.sticky_idle_ms'),
    stickyMax: number('marks.sticky_max'),
    cleanCommitMs: number('marks.clean_commit_ms'),
    logRetryMs: number('log_device.retry_ms'),
    failWithoutQuorum: text('cluster.on_quorum_loss') === 'fail',
    restartRecovery: values.get('cluster.restart_recovery')?.value as boolean,
    fencing: fencing(text('fencing.confirm'), values.get('fencing.command')?.value ?? null),
    fencingIntervalMs: number('fencing.interval_ms'),
    statusFile: values.get('status.file')?.value as string | null,
    statusIntervalMs: number('status.interval_ms'),
    verbose: values.get('log.verbose')?.value as boolean,
    logTarget: text('log.target') as LogTarget,
  };
}

function fencing(confirm: string, command: ConfigValue | null): DaemonConfig['fencing'] {
  if (confirm === 'none') return null;
  return { kind: confirm as FenceSourceKind, command: command as string | null };
}

/** The real kernel has one daemon on a host, whatever its own pid file is called; a simulated one needs none. */
function pidFiles(own: string, shared: string, rest: ConfigRest): string[] {
  if (rest.personality === 'cmirrord') return [shared];
  if (rest.kernel.kind === 'simulated') return rest.pidFileGiven ? [own] : [];
  return own === shared ? [own] : [own, shared];
}

export type ChosenTransport = { readonly kind: TransportKind } | { readonly problem: string };

/**
 * Transport of `lockstepd`: corosync when configured or when the host has a corosync configuration, else local. It
 * does not start with one that it cannot run.
 */
export function chooseTransport(values: EffectiveValues, host: HostFacts): ChosenTransport {
  const { value, source } = values.get('transport') ?? { value: 'auto', source: 'default' };
  const kind = value === 'auto' ? (host.corosyncConfigured ? 'corosync' : 'local') : (value as TransportKind);
  const why = whyUnavailable(kind, host.corosyncBuiltIn);
  if (why === null) return { kind };
  const alone =
    'If this host shares its mirrors with no other: transport = "local" in lockstep.toml, or --transport local';
  if (value !== 'auto') return { problem: `${source}: transport ${JSON.stringify(value)}: ${why}. ${alone}` };
  return {
    problem:
      `/etc/corosync/corosync.conf exists, so this host may share its mirrors with others, and ${why}. ` +
      `Two hosts that are each alone on a shared mirror corrupt it. ${alone}`,
  };
}

/** What single keys cannot know of each other. */
export function combinationProblems(values: EffectiveValues): string[] {
  const problems: string[] = [];
  const interval = values.get('status.interval_ms');
  if (interval !== undefined && interval.value !== 0 && values.get('status.file')?.value === null) {
    problems.push(`${interval.source}: status.interval_ms needs status.file (--status-file)`);
  }
  const confirm = values.get('fencing.confirm');
  const command = values.get('fencing.command');
  if (confirm?.value === 'command' && command?.value === null) {
    problems.push(`${confirm.source}: fencing.confirm = "command" needs fencing.command`);
  }
  if (confirm?.value !== 'command' && command !== undefined && command.value !== null) {
    problems.push(`${command.source}: fencing.command needs fencing.confirm = "command"`);
  }
  return problems;
}

/** The values that hold as a file that says the same, each with where it comes from. */
export function printedConfig(values: EffectiveValues): string {
  let text = '';
  let table = '';
  for (const key of configKeyNames) {
    const { value, source } = values.get(key) ?? { value: null, source: 'default' };
    const dot = key.indexOf('.');
    const wanted = key.slice(0, Math.max(0, dot));
    if (wanted !== table) text += `\n[${wanted}]\n`;
    table = wanted;
    const name = key.slice(dot + 1);
    if (value === null) text += `# ${name} is not set\n`;
    else text += `${name} = ${printedValue(key, value)}  # ${source}\n`;
  }
  return text;
}

function printedValue(key: ConfigKey, value: ConfigValue): string {
  const shown = configKeys[key].kind === 'bytes' ? shownBytes(value as number) : String(value);
  return typeof value === 'string' || shown.includes(' ') ? JSON.stringify(shown) : shown;
}
