/**
 * Requests that are answered when something is safe (R1): every FLUSH, a SET_REGION_SYNC that made a region dirty, a
 * repeated RESUME. It knows when; what "durable" and "acknowledged" are is told to it.
 *
 * A waiter passes three points, in order:
 *
 * | point        | reached when                                                                        |
 * | ------------ | ----------------------------------------------------------------------------------- |
 * | delivered    | every mark message that this node had submitted when it came has come back in order |
 * | acknowledged | every member of the view has those messages                                         |
 * | durable      | a write that started after that delivery is on stable storage (disk logs)            |
 *
 * Requirements only grow from one waiter to the next, so those that are ready are always the first ones. Bounded:
 * when full, a new one joins the newest of its type and raises its requirement, which answers the older one later, never sooner.
 * Every request is answered, up to more than a kernel can have in flight (`flushSeqsMax`).
 */
import { flushSeqsMax, flushWaitersMax } from '../base/limits.js';
import { SeqList } from './seq-list.js';

interface Waiter {
  readonly type: number;
  readonly seqs: SeqList;
  marksNeeded: number;
  /** Place in the order of the last message waited for; -1 until all are delivered. */
  order: number;
  /** Generation of changes that must be durable. */
  generation: number;
  /** Fresh marks of this node when it came. */
  fresh: number;
}

/** How far a log has come. */
export interface Progress {
  /** Mark messages of this node that were delivered, and the place in the order of the last of them. */
  readonly marksDelivered: number;
  readonly lastMarkOrder: number;
  /** Rises with every delivered change that made a region dirty. */
  readonly generation: number;
  /** Marks that this node's kernel has newly set, delivered or not. */
  readonly fresh: number;
}

export class FlushWaiters {
  readonly #waiters: Waiter[] = [];

  get size(): number {
    return this.#waiters.length;
  }

  /** True when a request of this type waits. */
  has(type: number): boolean {
    return this.#waiters.some((waiter) => waiter.type === type);
  }

  /** True when a waiter needs a write that was not started at generation `started` or later. */
  needsWrite(started: number): boolean {
    for (const waiter of this.#waiters) {
      if (waiter.order >= 0 && waiter.generation > started) return true;
    }
    return false;
  }

  /** Adds a request that waits for `marksNeeded` mark messages, or for all of an announcement (infinity). The same request again joins the one that waits. */
  add(type: number, seq: number, marksNeeded: number, progress: Progress): void {
    const delivered = progress.marksDelivered >= marksNeeded;
    const full = this.#waiters.length >= flushWaitersMax;
    const newest = full ? this.#waiters.findLast((waiter) => waiter.type === type) : this.#waiters.at(-1);
    const joins = newest !== undefined && newest.type === type && (full || asksTheSame(newest));
    function asksTheSame(waiter: Waiter): boolean {
      const sameMarks = waiter.marksNeeded === marksNeeded && waiter.order >= 0 === delivered;
      return sameMarks && waiter.generation === progress.generation;
    }
    const waiter: Waiter = joins
      ? newest
      : { type, seqs: new SeqList(flushSeqsMax), marksNeeded, order: -1, generation: progress.generation, fresh: 0 };
    if (!joins) this.#waiters.push(waiter);
    waiter.seqs.add(seq);
    waiter.marksNeeded = marksNeeded;
    waiter.order = delivered ? progress.lastMarkOrder : -1;
    waiter.generation = progress.generation;
    waiter.fresh = progress.fresh;
  }

  /** What was on its way counts no more: everybody waits for the next announcement of all that is held. */
  unsettle(): void {
    for (const waiter of this.#waiters) {
      waiter.marksNeeded = Number.POSITIVE_INFINITY;
      waiter.order = -1;
    }
  }

  /** Takes the requests of one type out, without an answer. */
  withdraw(type: number, take: (seq: number) => void): void {
    for (let i = this.#waiters.length - 1; i >= 0; i--) {
      const waiter = this.#waiters[i] as Waiter;
      if (waiter.type !== type) continue;
      this.#waiters.splice(i, 1);
      waiter.seqs.answerAll(take);
    }
  }

  /** All that is held was announced, in the first `marksNeeded` mark messages: what those waited for who did not know how many. */
  announced(progress: Progress, marksNeeded: number): void {
    for (const waiter of this.#waiters) {
      if (waiter.marksNeeded === Number.POSITIVE_INFINITY) waiter.marksNeeded = marksNeeded;
    }
    this.delivered(progress);
  }

  /** A mark message of this node was delivered and applied. */
  delivered(progress: Progress): void {
    for (const waiter of this.#waiters) {
      if (waiter.order >= 0 || waiter.marksNeeded > progress.marksDelivered) continue;
      waiter.order = progress.lastMarkOrder;
      waiter.generation = progress.generation;
    }
  }

  /** Whatever was delivered for them before, they wait for this place in the order, too: every member of the view must have it. */
  awaitAlso(order: number): void {
    for (const waiter of this.#waiters) if (waiter.order >= 0) waiter.order = order;
  }

  /** Hands every request that is ready to `answer`; returns the fresh marks that are safe by that, -1: none was ready. */
  takeReady(acknowledgedOrder: number, durableGeneration: number, answer: (seq: number, type: number) => void): number {
    let ready = 0;
    let fresh = -1;
    for (const waiter of this.#waiters) {
      if (waiter.order < 0 || waiter.order > acknowledgedOrder || waiter.generation > durableGeneration) break;
      ready += 1;
      fresh = waiter.fresh;
    }
    this.#take(ready, answer);
    return fresh;
  }

  /** Hands every request to `answer`: none of them can become ready any more. */
  takeAll(answer: (seq: number, type: number) => void): void {
    this.#take(this.#waiters.length, answer);
  }

  #take(count: number, answer: (seq: number, type: number) => void): void {
    if (count === 0) return;
    for (const waiter of this.#waiters.splice(0, count)) waiter.seqs.answerAll((seq) => answer(seq, waiter.type));
  }
}
