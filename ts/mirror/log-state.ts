/**
 * The state record of one log (R2): what a daemon that is killed must find again.
 *
 * Interfaces only; `ts/native/log-state.ts` implements them over a file on a tmpfs, mapped shared, in which the
 * bits of the region map lie too. Every setter is one aligned store and takes effect at once, in call order: the
 * simulator counts these calls and kills the daemon between any two of them.
 */

import type { RegionMap, RegionOwners, StickyMarks } from '../regions/region-map.js';
import type { LogImage } from './log-image.js';

/** Where a log stands in its life; the numbers are those of the state file. */
export const LifeCycle = {
  /** Constructed, or suspended: answers only what a pending log answers. */
  pending: 1,
  /** RESUME has come and its log device is being read. */
  resuming: 2,
  /** Resumed: the official log of its uuid. */
  active: 3,
  /** PRESUSPEND has come: marks and flushes may still come, recovery rests. */
  halted: 4,
  /** POSTSUSPEND has come and the last commit is on its way. */
  leaving: 5,
} as const;
export type LifeCycle = (typeof LifeCycle)[keyof typeof LifeCycle];

export interface LogIdentity {
  /** At most 128 bytes of ASCII or UTF-8, no NUL. */
  readonly uuid: string;
  /** The kernel's luid, a 64-bit number in two halves. */
  readonly luidHigh: number;
  readonly luidLow: number;
}

export interface LogGeometry {
  readonly regionCount: number;
  readonly regionSizeSectors: number;
}

/** One log's memory. The setters store to the state file before they return. */
export interface LogState {
  readonly identity: LogIdentity;
  readonly geometry: LogGeometry;
  /** The constructor text as the kernel gave it, without a trailing NUL. */
  readonly constructorText: string;
  /** True when another daemon process of this boot created it: a restart. */
  readonly restored: boolean;

  lifeCycle: LifeCycle;
  /** Region under recovery, or -1: one for the whole log (R6). */
  recoveringRegion: number;
  /** Node whose kernel recovers it; -1: this one. */
  recoveringNode: number;
  /** The end of that says nothing: it may have been said before, to those who went on from there and are lost. */
  recoveryDoubted: boolean;
  /** This node's kernel was not told of the region that it recovers. */
  recoveryUntold: boolean;
  /** Next region the search for resync work looks at. */
  searchPosition: number;
  /** R12: every region has been in sync since the last resume, so IN_SYNC answers 1. */
  inSyncLatched: boolean;
  /** R3: the marks of this kernel are not known; nothing is cleaned or recovered before suspend and resume. */
  marksUnknown: boolean;
  /** The kernel has repeated the constructor; RESUME follows, and a request. They were not both heard. */
  reconnecting: boolean;
  /** The log has been resumed at least once since its constructor. */
  everResumed: boolean;
  /** R16: the log device failed. */
  logFailed: boolean;
  /** A FLUSH was answered with an error, and what its kernel held then is not out of sync yet (flush-failures.ts). */
  doubted: boolean;
  /** PRESUSPEND has come while the log was resuming: its kernel's writes must end. */
  draining: boolean;
  /** Number of resumes, kept in the session record (R9). */
  resumeCount: number;
  /** The log device's major * 2^20 + minor + 1 (status-text.ts), 0 while it is not known. */
  deviceNumber: number;

  /** Messages of the log that were applied to this record; 0 where no other node has the log. */
  position: number;
  /** The log's member table, encoded (member-record.ts), stored whole or not at all; empty: no other node ever had the log. */
  members: Uint8Array;

  readonly map: RegionMap;
  readonly owners: RegionOwners;
  readonly sticky: StickyMarks;
  /** The log device's contents as they should be; null for a core log. */
  readonly image: LogImage | null;

  /** Gives the memory back and removes the record. */
  remove(): void;
}

/** Makes and finds state records. */
export interface LogStates {
  /** A new record, every bit 0 and life cycle `pending`; or an errno (ENOMEM past the limit, ENOSPC, EIO). */
  create(
    identity: LogIdentity,
    geometry: LogGeometry,
    constructorText: string,
    disk: boolean,
  ):
    | { readonly ok: true; readonly state: LogState }
    | { readonly ok: false; readonly errno: number; readonly text: string };
  /** The records that an earlier daemon of this boot left, each valid. Called once, at start. */
  restore(): readonly LogState[];
}

/** True while a log answers everything. */
export function serves({ lifeCycle }: Pick<LogState, 'lifeCycle'>): boolean {
  return lifeCycle === LifeCycle.active || lifeCycle === LifeCycle.halted;
}
