/**
 * SET_REGION_SYNC requests of this node on their way through the ordered stream, oldest first. The same request
 * again, while it is on its way, is answered with it and sends nothing.
 */
import { syncChangesMax } from '../base/limits.js';
import { SeqList } from './seq-list.js';

interface SyncChange {
  readonly region: number;
  readonly inSync: boolean;
  /** The first request that asked for it. */
  readonly seq: number;
  readonly seqs: SeqList;
}

export class SyncChanges {
  readonly #changes: SyncChange[] = [];

  get full(): boolean {
    return this.#changes.length >= syncChangesMax;
  }

  /** Adds a request; true when its message must be sent. Only the newest change of a region can be joined. */
  add(region: number, inSync: boolean, seq: number): boolean {
    const newest = this.#changes.findLast((change) => change.region === region);
    if (newest !== undefined && newest.inSync === inSync) {
      newest.seqs.add(seq);
      return false;
    }
    const seqs = new SeqList();
    seqs.add(seq);
    this.#changes.push({ region, inSync, seq, seqs });
    return true;
  }

  /** The requests that this delivery answers; null when it answers none (an earlier daemon's message). */
  take(region: number, inSync: boolean): SeqList | null {
    const index = this.#changes.findIndex((change) => change.region === region && change.inSync === inSync);
    return index < 0 ? null : (this.#changes.splice(index, 1)[0]?.seqs ?? null);
  }

  /** The newest change of the region that is on its way is this one. */
  awaits(region: number, inSync: boolean): boolean {
    return this.#changes.findLast((change) => change.region === region)?.inSync === inSync;
  }

  /** Those on their way, oldest first. */
  waiting(): readonly Omit<SyncChange, 'seqs'>[] {
    return this.#changes;
  }

  /** Hands every sequence number to `answer`. */
  takeAll(answer: (seq: number) => void): void {
    for (const change of this.#changes.splice(0)) change.seqs.answerAll(answer);
  }
}
