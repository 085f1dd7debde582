/**
 * What the main thread and the admin worker say to each other. Plain data.
 *
 * The worker asks and is answered; unasked it hears only `news`, at most one until it has asked for events again. So
 * whatever the worker is busy with, what waits for it is bounded by what it asked for.
 */
import type { DaemonStatus, RegionStatus } from './daemon-status.js';
import type { EventBatch } from './event-ring.js';

/** How a worker is started. */
export interface AdminOptions {
  readonly socketPath: string;
  /** Times that a worker before this one died. */
  readonly restarts: number;
}

export type Question =
  | { readonly what: 'status' }
  /** Events behind `since`, at most `max`. */
  | { readonly what: 'events'; readonly since: number; readonly stream: string; readonly max: number }
  | { readonly what: 'region'; readonly uuid: string; readonly luid: string; readonly region: number }
  /** An operator says that the node is dead. */
  | { readonly what: 'confirm'; readonly node: number };

export interface Snapshot {
  /** The last status that the engine gave; null: none yet. */
  readonly status: DaemonStatus | null;
  /** How old it is. */
  readonly ageMs: number;
  /** False: the engine did not answer in time, and this is what it said before. */
  readonly fresh: boolean;
}

export type Answer =
  | { readonly what: 'status'; readonly snapshot: Snapshot }
  | { readonly what: 'events'; readonly batch: EventBatch }
  /** `region` null: no such log, or no such region; `fresh` false: the engine did not answer in time. */
  | { readonly what: 'region'; readonly region: RegionStatus | null; readonly fresh: boolean }
  /** Why that cannot be; empty: all members are told. */
  | { readonly what: 'confirm'; readonly refusal: string };

export type FromAdmin =
  | { readonly kind: 'listening'; readonly path: string }
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question }
  /** Something an operator should see. */
  | {
      readonly kind: 'report';
      readonly level: 'warning' | 'notice';
      readonly event: string;
      readonly fields: Readonly<Record<string, string | number | boolean>>;
    };

export type ToAdmin =
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
  | { readonly kind: 'news' }
  /** Close the socket and end. */
  | { readonly kind: 'stop' };
