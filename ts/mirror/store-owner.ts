/**
 * What a log store (log-store.ts) is doing, what for, and what it asks and tells its owner: the owner decides what the
 * bits are, the store when they are written and when a write counts.
 *
 * | goal    | meaning                                                                                     |
 * | ------- | ------------------------------------------------------------------------------------------- |
 * | learn   | open to learn the device's numbers, close again                                             |
 * | load    | RESUME: read what the device has, then write everything                                     |
 * | rewrite | memory is the truth and has not been written since this daemon started, or after a failure  |
 * |         | over a suspend: write everything                                                            |
 * | takeOver | another node was the writer (R8): read what the device has as dirty, then write everything     |
 * | repair  | the same after a failure, and read it back                                                  |
 */
import type { LogDeviceInfo } from './log-device.js';
import type { LogHeader, LogSession } from './log-image.js';

export const StorePhase = {
  closed: 'closed',
  opening: 'opening',
  readingHead: 'readingHead',
  readingBits: 'readingBits',
  settling: 'settling',
  writing: 'writing',
  merging: 'merging',
  checking: 'checking',
  ready: 'ready',
  failed: 'failed',
} as const;
export type StorePhase = (typeof StorePhase)[keyof typeof StorePhase];

export const StoreGoal = {
  learn: 'learn',
  load: 'load',
  rewrite: 'rewrite',
  takeOver: 'takeOver',
  repair: 'repair',
} as const;
export type StoreGoal = (typeof StoreGoal)[keyof typeof StoreGoal];

/** Number of a take-over that has read nothing. */
export const noTakeOver = 0;

/** What to do with a log that was found, or why it must be left alone. */
export type HeadVerdict =
  | { readonly ok: true; readonly keepRegions: number; readonly fillClean: boolean }
  | { readonly ok: false; readonly errno: number; readonly text: string };

export interface LogStoreOwner {
  /** The device is open, and is the one it was before. */
  deviceKnown(info: LogDeviceInfo): void;
  /** Header and session record of the device at a load. */
  judgeHead(header: LogHeader, session: LogSession | null): HeadVerdict;
  /** The bits of a load are in the map; what follows from them is derived before everything is written. */
  bitsLoaded(): void;
  /** Header and session record at a take-over. Returns as `foundOnDevice` does: the bits behind them may be of another log, or missing. */
  foundHead(header: LogHeader, session: LogSession | null, takeOver: number): number;
  /**
   * Bytes of the area at a take-over: what they have as dirty. Returns how many messages about that must be delivered before
   * anything is written; `merged` is called for each, with the number of the take-over.
   */
  foundOnDevice(offset: number, bytes: Uint8Array, regionLimit: number, takeOver: number): number;
  /** The device of a take-over cannot be read: what only it knows is not known now. `merged` with `noTakeOver` is called when all know that. */
  unread(): void;
  /** What a write carries: it counts while this stays what it was when the write started (R1). */
  readonly epoch: number;
  /** The device has failed and is not known to be well again: what is written is read back (R16). */
  readonly suspect: boolean;
  /** All members know that the device is this node's to write, and it has quorum: a load or take-over may write what follows from what it has read. */
  readonly mayBegin: boolean;
  /** How often that node has ceased to have it: what was read before may be old, others may have written it since. */
  readonly lapses: number;
  /** A write counts when it has ended; otherwise when its confirmation is delivered. */
  readonly alone: boolean;
  session(closed: boolean): LogSession;
  /** The device must not be used (`judgeHead`): nothing was written, and nobody tries again. */
  loadRefused(errno: number, text: string): void;
  /** Device trouble. A load is tried again, as is everything else, until `finish` or `abandon`. */
  failed(errno: number, text: string, goal: StoreGoal): void;
  /** `writtenGeneration` may have grown. */
  committed(): void;
  /** `durableGeneration` may have grown by another node's word. */
  changed(): void;
  /** A goal has been reached: everything is durable. */
  reached(): void;
}
