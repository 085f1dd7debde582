/**
 * The command line of `lockstepd`: options to configuration, and every way in which they can be wrong.
 *
 * A pure function of the arguments and of what it may know of the host (`HostFacts`), so that tests can ask about
 * hosts that they do not run on. It opens nothing and makes nothing.
 */
import { parseArgs } from 'node:util';
import type { DaemonConfig } from '../daemon/config.js';

/** What the host is, as far as defaults depend on it. */
export interface HostFacts {
  readonly root: boolean;
  /** $XDG_RUNTIME_DIR, or null. */
  readonly runtimeDirectory: string | null;
  readonly homeDirectory: string;
  readonly hostName: string;
  readonly bootId: string;
  /** True when /etc/corosync/corosync.conf exists: the host may be one of several. */
  readonly corosyncConfigured: boolean;
  /** True when stderr goes to the journal (JOURNAL_STREAM is set). */
  readonly journalStream: boolean;
}

export type ParsedOptions =
  | { readonly kind: 'run'; readonly config: DaemonConfig }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  /** `text` says what is wrong; `showUsage` whether the usage text helps. Exit code 2 either way. */
  | { readonly kind: 'wrong'; readonly text: string; readonly showUsage: boolean };

/** cmirrord's pid file: LVM2 looks for its lock, and it keeps a cmirrord and this daemon apart. */
export const cmirrordPidFile = '/run/cmirrord.pid';
const defaultPidFile = '/run/lockstepd.pid';

export const usageText = `Usage: lockstepd [options]

   --simulated-kernel PATH     serve a simulated kernel on this socket instead of the real one;
                               its folder must be yours and have mode 0700
   --transport local           this host is alone; needed where corosync is configured
   --state-dir DIR             records that outlive a killed daemon; best on a tmpfs
   --pid-file PATH             locked while the daemon runs
   --log-writer uring|thread   how disk logs are written (uring)
   --force-foreign-session     take over disk logs that another host did not close
   --boot-id ID                instead of the kernel's, for tests
   --status-file PATH          status as JSON, replaced at SIGUSR1 and every --status-interval-ms
   --status-interval-ms N      0: only at SIGUSR1 (0)
   --journal                   prefix log lines with journald's levels
   --verbose                   log debug lines too
   --help                      this text
   --version                   the version

SIGTERM, SIGINT, SIGQUIT and SIGHUP end the daemon when no log exists; otherwise it says so and stays.
SIGUSR1 writes status to stdout as one line of JSON.
`;

const optionTable = {
  'simulated-kernel': { type: 'string' },
  transport: { type: 'string' },
  'state-dir': { type: 'string' },
  'pid-file': { type: 'string' },
  'log-writer': { type: 'string' },
  'force-foreign-session': { type: 'boolean' },
  'boot-id': { type: 'string' },
  'status-file': { type: 'string' },
  'status-interval-ms': { type: 'string' },
  journal: { type: 'boolean' },
  verbose: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const;

/** Names of all options, for the test that compares them with the manual page. */
export const optionNames: readonly string[] = Object.keys(optionTable);

const intervalMsMax = 3_600_000;
/** What a state record and a session record have room for. */
const bootIdBytesMax = 64;
/** One host, one node: a cluster will number its own. */
const localNode = 1;

export function parseOptions(argv: readonly string[], host: HostFacts): ParsedOptions {
  let values: Values;
  try {
    values = parseArgs({ args: [...argv], options: optionTable, strict: true, allowPositionals: false }).values;
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error));
  }
  if (values.help === true) return { kind: 'help' };
  if (values.version === true) return { kind: 'version' };
  const empty = Object.entries(values).find(([, value]) => value === '');
  if (empty !== undefined) return wrong(`--${empty[0]} needs a value`);
  return configure(values, host);
}

type Values = ReturnType<typeof parseArgs<{ options: typeof optionTable }>>['values'];

function configure(values: Values, host: HostFacts): ParsedOptions {
  const transport = values.transport;
  if (transport !== undefined && transport !== 'local') {
    return wrong(`--transport ${transport}: only "local" is built in`);
  }
  if (transport === undefined && host.corosyncConfigured) {
    return {
      kind: 'wrong',
      showUsage: false,
      text:
        '/etc/corosync/corosync.conf exists, so this host may share its mirrors with others, and cluster transport is not ' +
        'built in. Two hosts that are each alone on a shared mirror corrupt it. If this host is alone: --transport local',
    };
  }
  const writer = values['log-writer'] ?? 'uring';
  if (writer !== 'uring' && writer !== 'thread') return wrong(`--log-writer ${writer}: "uring" or "thread"`);
  const interval = values['status-interval-ms'] ?? '0';
  const statusIntervalMs = /^\d{1,7}$/.test(interval) ? Number(interval) : Number.NaN;
  if (!(statusIntervalMs <= intervalMsMax)) return wrong(`--status-interval-ms ${interval}: 0 to ${intervalMsMax}`);
  const bootId = values['boot-id'] ?? host.bootId;
  if (Buffer.byteLength(bootId) > bootIdBytesMax) return wrong(`--boot-id: at most ${bootIdBytesMax} bytes`);
  const statusFile = values['status-file'] ?? null;
  if (statusIntervalMs > 0 && statusFile === null) return wrong('--status-interval-ms needs --status-file');
  const simulated = values['simulated-kernel'];
  return {
    kind: 'run',
    config: {
      kernel: simulated === undefined ? { kind: 'connector' } : { kind: 'simulated', path: simulated },
      stateDirectory: values['state-dir'] ?? defaultStateDirectory(host),
      pidFiles: pidFiles(values['pid-file'], simulated === undefined),
      transport: 'local',
      node: localNode,
      nodeName: host.hostName,
      bootId,
      logWriter: writer,
      forceForeignSession: values['force-foreign-session'] ?? false,
      statusFile,
      statusIntervalMs,
      verbose: values.verbose ?? false,
      journal: values.journal ?? host.journalStream,
    },
  };
}

/** On a tmpfs where there is one. Elsewhere it costs writes, not safety: records of another boot are ignored. */
function defaultStateDirectory(host: HostFacts): string {
  if (host.root) return '/run/lockstep/logs';
  if (host.runtimeDirectory !== null) return `${host.runtimeDirectory}/lockstep/logs`;
  return `${host.homeDirectory}/.local/state/lockstep/logs`;
}

/** The real kernel has one daemon on a host, whatever its own pid file is called; a simulated one needs none. */
function pidFiles(given: string | undefined, realKernel: boolean): string[] {
  if (!realKernel) return given === undefined ? [] : [given];
  const own = given ?? defaultPidFile;
  return own === cmirrordPidFile ? [own] : [own, cmirrordPidFile];
}

function wrong(text: string): ParsedOptions {
  return { kind: 'wrong', text, showUsage: true };
}
