/**
 * Answers FLUSH with an error. From that answer on, until a later FLUSH succeeds, dm-mirror does not say which writes a
 * leg has failed: such a region would be cleared like any other and its legs differ. So everything that the kernel holds then
 * counts as if it had said so of all of it, and the answer follows when that is delivered: the stream's inSync messages.
 *
 * While the copy does not follow the stream nothing can be delivered. The answer is given at once and the regions are
 * remembered, whatever becomes of their marks, until it follows again; a daemon that ends before that forgets them.
 */
import { Errno } from '../base/errno.js';
import { flushSeqsMax, messageRegionsMax } from '../base/limits.js';
import { DM_ULOG_FLUSH, DM_ULOG_RESUME } from '../base/ulog-frames.js';
import type { FlushWaiters } from './flush-waiters.js';
import type { LogState } from './log-state.js';
import { MessageType } from './messages.js';
import { SeqList } from './seq-list.js';
import type { World } from './world.js';

export class FlushFailures {
  readonly #world: World;
  readonly #state: LogState;
  /** Held when a FLUSH failed, in sync, and not yet delivered as out of sync. */
  readonly #doubtful = new Set<number>();
  readonly #failing = new SeqList(flushSeqsMax);
  readonly #batch = new Float64Array(messageRegionsMax);
  #hushed = false;

  constructor(world: World, state: LogState) {
    this.#world = world;
    this.#state = state;
  }

  fail(seq: number): void {
    this.#failing.add(seq);
    this.#doubtHeld();
    this.#answer();
  }

  /** None of those who wait for the device can become ready. A resumed log stays resumed, whatever its device does. */
  failAll(waiters: FlushWaiters): void {
    const { effects } = this.#world;
    waiters.takeAll((seq, type) => {
      if (type === DM_ULOG_FLUSH) this.#failing.add(seq);
      else effects.reply(seq, type, type === DM_ULOG_RESUME ? 0 : -Errno.EIO);
    });
    if (this.#failing.count === 0) return;
    this.#doubtHeld();
    this.#answer();
  }

  /** Delivery of an inSync message about the region. */
  syncDelivered(region: number): void {
    if (this.#doubtful.delete(region)) this.#answer();
  }

  /** The copy does not follow the stream any more. */
  hush(): void {
    this.#hushed = true;
    this.#answer();
  }

  /** It follows again: what was on its way goes once more. */
  resubmit(): void {
    this.#hushed = false;
    this.#submit(this.#doubtful);
  }

  #doubtHeld(): void {
    const { map } = this.#state;
    const fresh: number[] = [];
    let region = map.heldCount === 0 ? -1 : map.nextHeld(0);
    while (region >= 0) {
      if (map.isInSync(region) && !this.#doubtful.has(region)) fresh.push(region);
      region = region + 1 < map.regionCount ? map.nextHeld(region + 1) : -1;
    }
    for (const held of fresh) this.#doubtful.add(held);
    this.#submit(fresh);
  }

  #submit(regions: Iterable<number>): void {
    if (this.#hushed) return;
    const { sender } = this.#world;
    let count = 0;
    for (const region of regions) {
      this.#batch[count++] = region;
      if (count < this.#batch.length) continue;
      sender.regions(MessageType.inSync, this.#state.identity.uuid, 0, this.#batch, count);
      count = 0;
    }
    if (count > 0) sender.regions(MessageType.inSync, this.#state.identity.uuid, 0, this.#batch, count);
  }

  #answer(): void {
    if (this.#doubtful.size > 0 && !this.#hushed) return;
    this.#failing.answerAll((seq) => this.#world.effects.reply(seq, DM_ULOG_FLUSH, -Errno.EIO));
  }
}
