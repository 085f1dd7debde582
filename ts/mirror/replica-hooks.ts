/**
 * What a replica (replica.ts) asks of its log: the steps that follow from its place among the members. What they do to marks,
 * recovery, life and device is in membership.ts.
 */
import type { PastMember } from './copy-record.js';
import type { Member } from './member-table.js';
import type { LogMessage } from './messages.js';
import type { Recovering, ReplicaHead } from './transfer.js';

export interface ReplicaHooks {
  /** Nobody has the log: load it. */
  load(): void;
  abandonLoad(): void;
  /** Members have the log, and this node has no part in it. */
  othersHave(): void;
  /** The copy follows from here on: announce what the kernel holds. */
  follow(): void;
  /** The copy counts from here on although it may lack something. `inPieces`: it is, or no log device has what it lacks: nothing of it is believed. */
  doubt(inPieces: boolean): void;
  /** This node is the writer as all know, and may write: what it has written counts. */
  counts(): void;
  /**
   * The copy counts from here on. These were members when it followed last and are dead, or have left unheard. `lost`: what
   * they, or others before them, held was in the memory of a daemon that has ended.
   */
  adopt(gone: readonly PastMember[], lost: boolean): void;
  /** R10: this kernel may take a region for out of sync that counts as in sync (`CopyRecord.gaveUp`). `resuming`: it is resumed. */
  mayHaveGivenUp(resuming: boolean): boolean;
  /** R10: this kernel has found more regions out of sync than its record names, and members do not name them all. */
  restrictsMore(): boolean;
  /** R10: which regions this kernel has found was lost with its record (R3), and the copy need not know them either, least of all where it was no member. */
  restrictsUnknown(wasMember: boolean): boolean;
  /** What this copy has as dirty is on the log device. */
  deviceHasAll(): boolean;
  /** The copy does not follow any more. */
  hush(): void;
  /** There is another writer, or the same one anew. */
  epochBegun(): void;
  /** This node is the writer in an epoch that is new to it. */
  serve(): void;
  /** Somebody may have written over what this node has written. */
  writeAgain(): void;
  /** This node must not write: `done` when nothing of it is on its way to the log device. */
  retire(done: () => void): void;
  /** A message at its place, whole. */
  apply(order: number, message: LogMessage, nowMs: number): void;
  /** The part of a message that concerns the bits of regions below `limit`. */
  applyBits(message: LogMessage, limit: number): void;
  /** A member is gone. Regions below `limit`. */
  applyGone(member: Member, died: boolean, limit: number): void;
  /** Nothing is known to be in sync: others may have done what they liked. */
  resync(): void;
  /** A copy is begun. `ownersMissing`: in the copies of all who follow, so that nothing is cleaned. */
  copyBegun(ownersMissing: boolean): void;
  /** The recovery under way whose end says nothing. */
  doubted(): Recovering | null;
  head(): ReplicaHead;
  takeHead(head: ReplicaHead): void;
  /** Everything that no owner explains any more is in the stream and all members are heard: what is left over can be cleaned. */
  settled(): void;
  /** Regions may be handed out from here on, or again. */
  restartRecovery(): void;
  changed(): void;
}
