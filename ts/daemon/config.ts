/**
 * What a daemon is told at start: the result of reading the command line, handed to the engine worker as it is.
 * Plain data, so that it can cross threads. It knows nothing of options or defaults.
 */
import type { LogWriterKind } from '../native/log-device.js';

export interface DaemonConfig {
  /** Where requests come from: the kernel's connector socket, or a local socket for the simulated kernel. */
  readonly kernel: { readonly kind: 'connector' } | { readonly kind: 'simulated'; readonly path: string };
  /** Folder of the state records (R2). */
  readonly stateDirectory: string;
  /** Pid files to lock, in order. On the connector cmirrord's is among them: two daemons never answer one kernel. */
  readonly pidFiles: readonly string[];
  readonly transport: 'local';
  readonly node: number;
  readonly nodeName: string;
  readonly bootId: string;
  readonly logWriter: LogWriterKind;
  /** Take a disk log that another host did not close (R9). */
  readonly forceForeignSession: boolean;
  /** File that status is written to, or null. */
  readonly statusFile: string | null;
  /** How often; 0: only when asked for by SIGUSR1. */
  readonly statusIntervalMs: number;
  /** Log level `debug` too. */
  readonly verbose: boolean;
  /** Write journald's level prefixes instead of times. */
  readonly journal: boolean;
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
