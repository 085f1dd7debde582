/**
 * What a daemon is told at start: the result of reading command line and configuration file, handed to the engine
 * worker as it is. Plain data, so that it can cross threads. It knows nothing of options, files or defaults.
 */
import type { TransportKind } from '../cluster/availability.js';
import type { LogWriterKind } from '../native/log-device.js';
import type { FenceSourceKind } from './fence-sources.js';

/** Where log lines go: stderr with times, stderr with journald's level prefixes, stdout, or the system log's socket. */
export type LogTarget = 'stderr' | 'journal' | 'stdout' | 'syslog';

export interface DaemonConfig {
  /** As whom the daemon shows itself. `cmirrord` words its log as that does and dumps at SIGUSR1 and SIGUSR2. */
  readonly personality: 'lockstepd' | 'cmirrord';
  /** Where requests come from: the kernel's connector socket, or a local socket for the simulated kernel. */
  readonly kernel: { readonly kind: 'connector' } | { readonly kind: 'simulated'; readonly path: string };
  /** Receive buffer of the connector socket. */
  readonly receiveBufferBytes: number;
  /** Folder of the state records (R2). */
  readonly stateDirectory: string;
  /** Most bytes that the state records of all logs may map; beyond it a constructor gets -ENOMEM. */
  readonly logMemoryBytesMax: number;
  /** Pid files to lock, in order. On the connector cmirrord's is among them: two daemons never answer one kernel. */
  readonly pidFiles: readonly string[];
  /** A transport that is not available refuses every RESUME; there is no fall-back from one to another. */
  readonly transport: TransportKind;
  readonly node: number;
  readonly nodeName: string;
  readonly bootId: string;
  readonly logWriter: LogWriterKind;
  /** How long a cleared region stays marked, and how many of them a log may have (R5). */
  readonly stickyIdleMs: number;
  readonly stickyMax: number;
  /** How long clean bits may wait for a write that is needed anyway. */
  readonly cleanCommitMs: number;
  /** Time between attempts to get a failed log device back (R16). */
  readonly logRetryMs: number;
  /** Take a disk log that another host did not close (R9). */
  readonly forceForeignSession: boolean;
  /** New marks and flushes get -EIO without quorum instead of waiting (R13). */
  readonly failWithoutQuorum: boolean;
  /** Restart a kernel's recovery after a death (R11). */
  readonly restartRecovery: boolean;
  /** Who says that a lost node is dead (R7); null: only an operator does. */
  readonly fencing: { readonly kind: FenceSourceKind; readonly command: string | null } | null;
  readonly fencingIntervalMs: number;
  /** File that status is written to, or null. */
  readonly statusFile: string | null;
  /** How often; 0: only when asked for by SIGUSR1. */
  readonly statusIntervalMs: number;
  /** Log level `debug` too. */
  readonly verbose: boolean;
  readonly logTarget: LogTarget;
}

/** Exit codes; 0 to 3 are cmirrord's. */
export const ExitCode = {
  ok: 0,
  /** Anything else, an uncaught error in the engine among it. */
  failed: 1,
  /** Wrong usage, a refused configuration, or a pid file that another daemon holds. */
  usage: 2,
  /** The kernel's connector, or the socket for the simulated kernel, could not be opened. */
  kernelSocket: 3,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
