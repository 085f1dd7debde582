/** What the main thread and the engine worker say to each other. Plain data; rare, never one a request. */
import type { RegionStatus } from '../admin/daemon-status.js';
import type { ExitCode } from './config.js';
import type { LogEntry } from './log-entry.js';
import type { DaemonStatus } from './status.js';

export type ToEngine =
  /** Send a status; `id` comes back with it. */
  | { readonly kind: 'status'; readonly id: number }
  /** Tell how a region of a log stands; `id` comes back with it. */
  | {
      readonly kind: 'region';
      readonly id: number;
      readonly uuid: string;
      /** 16 hexadecimal digits. */
      readonly luid: string;
      readonly region: number;
    }
  /** A node that was lost is dead, as `by` says. */
  | { readonly kind: 'dead'; readonly node: number; readonly by: string }
  /** End, if no log exists. */
  | { readonly kind: 'stop' };

export type FromEngine =
  | { readonly kind: 'log'; readonly entry: LogEntry }
  /** The kernel's socket is open, and restored logs are written again or known to have failed. */
  | { readonly kind: 'ready'; readonly restoredLogs: number }
  /** The engine cannot start: a fault of the world, with the exit code it calls for. */
  | { readonly kind: 'failed'; readonly exitCode: ExitCode; readonly text: string }
  | { readonly kind: 'status'; readonly id: number; readonly status: DaemonStatus }
  /** Null: no such log, or no such region. */
  | { readonly kind: 'region'; readonly id: number; readonly region: RegionStatus | null }
  /** A node with logs has left the group and is not known dead. Again with every view in which that is so. */
  | { readonly kind: 'lost'; readonly node: number; readonly name: string }
  /** It is back, or known dead. */
  | { readonly kind: 'settled'; readonly node: number }
  /** `stop` was refused: logs exist. */
  | { readonly kind: 'refused'; readonly logs: number }
  /** `stop` is done: socket, devices and state records are closed. */
  | { readonly kind: 'stopped' };
