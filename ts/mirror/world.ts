/**
 * What every part of the mirror core may use: who we are, where effects go, what is set, and how far the ordered
 * stream has come. One object a service.
 */
import type { Cluster } from './cluster.js';
import type { MirrorEffects, MirrorReport } from './effects.js';
import type { LogStates } from './log-state.js';
import type { MessageSender } from './message-sender.js';
import type { MirrorSettings } from './settings.js';

/** Counted since start, over all logs. */
export interface MirrorCounters {
  /** Marks, also those of a FLUSH, and those of them that named nothing new: they cost neither message nor write. */
  marks: number;
  marksWithoutIo: number;
  /** Log devices that were got back after a failure (R16). */
  repairs: number;
  /** Log devices that failed. */
  logFailures: number;
  /** Sticky marks that were used again, and that were given up. */
  stickyHits: number;
  stickyReleases: number;
  /** Regions whose owner did not fit the log's owner table: they stay dirty until the next resume. */
  ownersDropped: number;
}

export interface World {
  readonly node: number;
  readonly nodeName: string;
  readonly bootId: string;
  readonly states: LogStates;
  readonly effects: MirrorEffects;
  readonly settings: MirrorSettings;
  readonly sender: MessageSender;
  readonly counters: MirrorCounters;
  /** The other nodes; null on a host that is alone. Set once, before anything else. */
  cluster: Cluster | null;
  /** Epoch of the current view (R1). */
  epoch: number;
  /** The time of the call that is under way. */
  nowMs: number;
  /** Place of the message that is being delivered, or was last. */
  order: number;
  /** All members have every message up to this one. */
  acknowledgedOrder: number;
  /** Questions for parts of copies, of all logs. */
  questions: number;
  /** Log devices that were read to take them over, of all logs. */
  takeOvers: number;
  /** Messages of this node about its places, by which each knows its own (place-requests.ts). */
  placeRequests: number;
}

export function report(world: World, level: MirrorReport['level'], event: string, uuid: string, text: string): void {
  world.effects.report({ level, event, uuid, text });
}
