/** What the main thread and the engine worker say to each other. Plain data; rare, never one a request. */
import type { RegionStatus } from '../admin/daemon-status.js';
import type { ExitCode } from './config.js';
import type { LogEntry } from './log-entry.js';
import type { LostHost } from './lost-nodes.js';
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
  /** A node that was lost is dead, as `by` says; in this boot, or, with null, whichever it was lost in. With `id` the answer comes. */
  | {
      readonly kind: 'dead';
      readonly id: number | null;
      readonly node: number;
      readonly boot: string | null;
      readonly by: string;
    }
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
  /** Why a node cannot be confirmed dead; empty: all members are told. */
  | { readonly kind: 'confirmed'; readonly id: number; readonly refusal: string }
  /** A host with logs is lost, and this side may ask whether it is dead. */
  | { readonly kind: 'lost'; readonly host: LostHost }
  /** It is back, known dead, or this side may not ask any more. */
  | { readonly kind: 'settled'; readonly node: number }
  /** `stop` was refused: logs exist. */
  | { readonly kind: 'refused'; readonly logs: number }
  /** `stop` is done: socket, devices and state records are closed. */
  | { readonly kind: 'stopped' };
