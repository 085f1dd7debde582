/**
 * What follows when a FLUSH is answered with an error. From that answer on, until a later FLUSH succeeds, dm-mirror does not say
 * which writes a leg has failed: it would clear such a region like any other. So what it holds is in doubt, all of it:
 *
 * 1. Its CLEAR is not believed any more: what it held stays held, in the state folder too, and so stays dirty.
 * 2. When the log device is well again and has those marks on stable storage, what is held goes out of sync by ordered
 *    messages, as if the kernel had reported it, and is resynced. Not sooner: a kernel that knows a region to be out of sync
 *    writes there without a mark, and the device might have it as clean.
 * 3. When that is delivered CLEAR counts again, and the log device is called well. On a cluster what was cleared meanwhile is
 *    released then: another node may have to recover it, and does not while this one holds it (R4).
 *
 * A daemon that is killed in between finds the doubt in the state record and everything still held, and goes on here.
 */
import { Errno } from '../base/errno.js';
import { messageRegionsMax } from '../base/limits.js';
import { DM_ULOG_FLUSH, DM_ULOG_RESUME } from '../base/ulog-frames.js';
import type { FlushWaiters } from './flush-waiters.js';
import { type LogState, serves } from './log-state.js';
import type { Marks } from './marks.js';
import { MessageType } from './messages.js';
import type { ReplicaRights } from './replica-rights.js';
import type { World } from './world.js';

export class FlushFailures {
  readonly #world: World;
  readonly #state: LogState;
  readonly #marks: Marks;
  readonly #rights: ReplicaRights;
  /** On their way out of sync. */
  readonly #leaving = new Set<number>();
  readonly #batch = new Float64Array(messageRegionsMax);
  /** Another FLUSH has failed since those went. */
  #failedAgain = false;
  /** The log device works again; the log counts as failed until nothing is in doubt. */
  #whenWell: (() => void) | null = null;
  /** All members were told that it does: what is left is this kernel's doubt. */
  #known = false;

  constructor(world: World, state: LogState, marks: Marks, rights: ReplicaRights) {
    this.#world = world;
    this.#state = state;
    this.#marks = marks;
    this.#rights = rights;
  }

  /** True while no FLUSH can succeed for the log device's sake. */
  get deviceFails(): boolean {
    return this.#state.logFailed && this.#whenWell === null;
  }

  /** As all members have it, whatever this kernel's doubt. */
  get failedForAll(): boolean {
    return this.#state.logFailed && !this.#known;
  }

  fail(seq: number): void {
    this.#marks.doubt();
    this.#failedAgain = true;
    this.#world.effects.reply(seq, DM_ULOG_FLUSH, -Errno.EIO);
  }

  /** The log device has failed: none of those who wait for it can become ready. A resumed log stays resumed all the same. */
  failAll(waiters: FlushWaiters): void {
    this.#whenWell = null;
    this.#known = false;
    waiters.takeAll((seq, type) => {
      if (type === DM_ULOG_FLUSH) this.fail(seq);
      else this.#world.effects.reply(seq, type, type === DM_ULOG_RESUME ? 0 : -Errno.EIO);
    });
  }

  /** The log device works again, as this node has found. The log counts as failed until nothing is in doubt; then `said` is called. */
  deviceWell(said: () => void): void {
    this.#whenWell = said;
    this.#known = false;
    if (!this.#marks.doubted) this.#settled();
  }

  /** All members know that it works again. */
  knownWell(): void {
    this.#whenWell = () => {};
    this.#known = true;
    if (!this.#marks.doubted) this.#settled();
  }

  /** What is in doubt may go out of sync now. `durable`: every mark so far is on stable storage. */
  mayEndDoubt(durable: boolean): boolean {
    const { doubted, announcing } = this.#marks;
    if (!doubted || !durable || announcing || this.deviceFails) return false;
    return this.#leaving.size === 0 && this.#rights.mayPromise && serves(this.#state);
  }

  /** Sends what is held out of sync; its delivery ends the doubt. */
  putOutOfSync(): void {
    this.#failedAgain = false;
    const { map } = this.#state;
    let region = map.heldCount === 0 ? -1 : map.nextHeld(0);
    while (region >= 0) {
      if (map.isInSync(region)) this.#leaving.add(region);
      region = region + 1 < map.regionCount ? map.nextHeld(region + 1) : -1;
    }
    if (this.#leaving.size === 0) this.#settled();
    else this.#submit();
  }

  /** Delivery of an inSync message of this node about the region. */
  syncDelivered(region: number): void {
    if (!this.#leaving.delete(region) || this.#leaving.size > 0) return;
    if (!this.#failedAgain && !this.deviceFails) this.#settled();
  }

  /** The copy does not follow the stream any more: what was on its way may be lost. */
  hush(): void {
    this.#leaving.clear();
  }

  #submit(): void {
    const { sender } = this.#world;
    const { uuid } = this.#state.identity;
    // No kernel knows them to be out of sync, so another node's may recover them (R10); this one's may never ask.
    const flag = this.#rights.shared ? 2 : 0;
    let count = 0;
    for (const region of this.#leaving) {
      this.#batch[count++] = region;
      if (count < this.#batch.length) continue;
      sender.regions(MessageType.inSync, uuid, flag, this.#batch, count);
      count = 0;
    }
    if (count > 0) sender.regions(MessageType.inSync, uuid, flag, this.#batch, count);
  }

  #settled(): void {
    this.#marks.endDoubt();
    const said = this.#whenWell;
    if (said === null) return;
    this.#whenWell = null;
    this.#known = false;
    this.#state.logFailed = false;
    said();
  }
}
