/**
 * Marks of one log: what this node's kernel holds, what outlives its CLEAR for a while (R5), and what the ordered
 * stream makes of marks and releases of every node. It answers nobody and writes no device.
 *
 * How a region of this node stands:
 *
 * | state     | held | sticky | owner | what brings it there                                         |
 * | --------- | ---- | ------ | ----- | ------------------------------------------------------------ |
 * | free      | no   | no     | no    | its release was delivered                                    |
 * | announced | yes  | no     | no    | MARK came; the mark message is on its way                    |
 * | marked    | yes  | no     | yes   | the mark message was delivered: the region is dirty          |
 * | sticky    | no   | yes    | yes   | CLEAR came; the next MARK costs nothing                      |
 * | releasing | no   | no     | yes   | the release message is on its way                            |
 *
 * `held` is stored before anything leaves, and cleared before the release leaves, so that a daemon killed anywhere in
 * between finds either a mark to announce again or a dirty region that nobody holds, which the sweep after a
 * restart releases. A mark while the release is on its way sends a mark message behind it; that is why being
 * owned is never a reason to send nothing, and only `held` and `sticky` are.
 *
 * A region is cleaned at the delivery of a release, and only when nobody owns it, this kernel does not hold it, it is
 * in sync and the marks of this kernel are known (R3). On a cluster all replicas must do that alike: there what this kernel
 * holds and has not announced does not count (its FLUSH is not answered either), and the marks of all kernels must be
 * known.
 */
import { messageRegionsMax, payloadRegionsMax, sweepRegionsMax, sweptOnTheWayMax } from '../base/limits.js';
import type { LogState } from './log-state.js';
import { MessageType } from './messages.js';
import type { ReplicaRights } from './replica-rights.js';
import { StickySet } from './sticky-set.js';
import { report, type World } from './world.js';

/** What a delivered change did to the clean bits, so that the log device hears of it. */
export interface CleanChange {
  dirtied: number;
  cleaned: number;
}

export class Marks {
  /** Mark messages of this node: submitted, delivered, and the place of the last delivered one in the order. */
  marksSubmitted = 0;
  marksDelivered = 0;
  lastMarkOrder = 0;
  /** Between PRESUSPEND and resume nothing sticks. */
  resting = false;
  readonly #world: World;
  readonly #state: LogState;
  readonly #uuid: string;
  readonly #mayStick: (region: number) => boolean;
  readonly #rights: ReplicaRights;
  readonly #sticky: StickySet;
  /** Regions whose release is on its way. */
  readonly #releasing = new Set<number>();
  readonly #scratch = new Float64Array(Math.max(payloadRegionsMax, messageRegionsMax));
  readonly #one = new Float64Array(1);
  #announceFrom = -1;
  #sweepFrom = -1;
  /** Owners are missing: they did not fit. On a cluster in all copies alike. */
  ownersFull = false;
  /** Cleared while CLEAR was not believed, and not marked since. */
  readonly #unbelieved = new Set<number>();
  /** The copy does not follow the stream: marks are stored and go nowhere before `announce`. */
  #hushed = false;
  /** Any region may be in the kernel's hands, and that is to be said when the copy follows; it was said before. */
  #distrusts = false;
  #distrusted = false;
  /** Carried by every mark message: those from before the last `hush` count no more. */
  #era = 0;
  /** Marks of what was not held. */
  fresh = 0;
  /** Of them, those that a FLUSH was answered for; an earlier daemon's may not have been. */
  #promised: number;

  /** `mayStick` says whether a region waits for recovery; the rest of R5 is decided here. */
  constructor(world: World, state: LogState, rights: ReplicaRights, mayStick: (region: number) => boolean) {
    this.#world = world;
    this.#state = state;
    this.#uuid = state.identity.uuid;
    this.#mayStick = mayStick;
    this.#rights = rights;
    this.#sticky = new StickySet(state.sticky);
    this.#promised = state.restored ? -1 : 0;
  }

  /** A FLUSH has failed: the kernel's CLEAR is not believed (flush-failures.ts). */
  get doubted(): boolean {
    return this.#state.doubted;
  }

  doubt(): void {
    if (!this.#state.doubted) this.#state.doubted = true;
  }

  /** MARK, or the marks of a FLUSH. Nothing allocates, and a repeat costs one native call. */
  mark(regions: Float64Array, count: number): void {
    const { map } = this.#state;
    const { counters } = this.#world;
    counters.marks += 1;
    if (this.#unbelieved.size > 0) for (let i = 0; i < count; i++) this.#unbelieved.delete(regions[i] as number);
    if (map.allHeld(regions, count)) {
      counters.marksWithoutIo += 1;
      return;
    }
    let fresh = 0;
    for (let i = 0; i < count; i++) {
      const region = regions[i] as number;
      if (!map.isHeld(region) && !this.#isSticky(region)) this.#scratch[fresh++] = region;
    }
    map.hold(regions, count);
    for (let i = 0; i < count; i++) {
      if (this.#sticky.remove(regions[i] as number)) counters.stickyHits += 1;
    }
    // What stuck was promised once, and is again with its next flush: not without quorum (R13).
    this.fresh += 1;
    if (fresh === 0) {
      counters.marksWithoutIo += 1;
      return;
    }
    if (!this.#hushed) this.#submitMarks(this.#scratch, fresh);
  }

  /** CLEAR. A region that this kernel never marked (it was just recovered) is released all the same. */
  clear(regions: Float64Array, count: number, nowMs: number): void {
    if (this.doubted) {
      this.#notBelieved(regions, count);
      return;
    }
    const { map, owners } = this.#state;
    const sticks = this.#sticks();
    let released = 0;
    let stuck = 0;
    // What was held stands at the front of the list and what sticks at its back, so that one store comes first.
    const list = this.#scratch;
    for (let i = 0; i < count; i++) {
      const region = regions[i] as number;
      const held = map.isHeld(region);
      if (held && sticks && this.#isAnnounced(region) && map.isInSync(region) && this.#mayStick(region))
        list[list.length - ++stuck] = region;
      else if (held || this.#leftOver(region, owners.has(this.#world.node, region))) list[released++] = region;
    }
    map.unhold(regions, count);
    if (this.#hushed) return;
    for (let i = 1; i <= stuck; i++) this.#stick(list[list.length - i] as number, nowMs);
    // While a kernel reconnects members know nothing of its doubt: what is released then they would clean. The sweep that follows finds it.
    if (released > 0 && !(this.#rights.shared && this.#state.marksUnknown)) this.#submitReleases(list, released);
  }

  /** What others do not know of does not stick: the announcement of what is held would pass it over, and its next mark be silent. */
  #isAnnounced(region: number): boolean {
    return !this.announcing || this.#state.owners.has(this.#world.node, region);
  }

  /** The doubt is over: what the kernel has cleared meanwhile it does not hold. */
  endDoubt(): void {
    const cleared = Float64Array.from(this.#unbelieved);
    this.#unbelieved.clear();
    if (cleared.length > 0) this.#state.map.unhold(cleared, cleared.length);
    if (this.#state.doubted) this.#state.doubted = false;
    if (cleared.length > 0) this.#submitReleases(cleared, cleared.length);
  }

  /** On one host whoever holds a region is who recovers it, and clears it then. */
  #notBelieved(regions: Float64Array, count: number): void {
    if (!this.#rights.shared) return;
    for (let i = 0; i < count; i++) {
      const region = regions[i] as number;
      if (this.#state.map.isHeld(region)) this.#unbelieved.add(region);
    }
  }

  /** Delivery of a mark message. */
  applyMark(node: number, regions: Float64Array, count: number, order: number, era: number, change: CleanChange): void {
    const { owners, map } = this.#state;
    if (!owners.add(node, regions, count)) this.#ownersDropped(count);
    change.dirtied += map.markDirty(regions, count);
    if (node !== this.#world.node || era !== this.#era) return;
    this.marksDelivered += 1;
    this.lastMarkOrder = order;
  }

  /** Delivery of a release message. */
  applyRelease(node: number, regions: Float64Array, count: number, change: CleanChange): void {
    const { owners, map } = this.#state;
    if (node === this.#world.node) for (let i = 0; i < count; i++) this.#releasing.delete(regions[i] as number);
    owners.remove(node, regions, count);
    let cleanable = 0;
    for (let i = 0; i < count; i++) {
      const region = regions[i] as number;
      if (this.#mayClean(region)) this.#scratch[cleanable++] = region;
    }
    if (cleanable > 0) change.cleaned += map.markClean(this.#scratch, cleanable);
  }

  /**
   * Delivery of an inSync message of any node, a region at a time. The region is never clean and out of sync, not even between
   * two stores.
   */
  applySync(region: number, inSync: boolean, change: CleanChange): void {
    const { map } = this.#state;
    this.#one[0] = region;
    if (inSync) {
      map.setInSync(region, true);
      if (this.#mayClean(region)) change.cleaned += map.markClean(this.#one, 1);
      return;
    }
    const stuck = this.#sticky.remove(region);
    change.dirtied += map.markDirty(this.#one, 1);
    map.setInSync(region, false);
    if (stuck) this.#submitReleases(this.#one, 1);
  }

  /** Delivery of a wish: what waits for recovery does not stay marked for convenience. */
  applyWish(region: number): void {
    if (!this.#sticky.remove(region)) return;
    this.#one[0] = region;
    this.#submitReleases(this.#one, 1);
  }

  /** Releases sticky marks that were not used again in time. */
  expire(nowMs: number): void {
    this.#releaseUntil(nowMs - this.#world.settings.stickyIdleMs);
  }

  /** Releases every sticky mark: before a suspend, a deactivated mirror has a clean log. */
  dropSticky(): void {
    this.#releaseUntil(Number.MAX_SAFE_INTEGER);
  }

  /** When `expire` is due next; -1: nothing sticks. */
  deadlineMs(): number {
    return this.#sticky.empty ? -1 : this.#sticky.oldestMs + this.#world.settings.stickyIdleMs;
  }

  /**
   * Begins to announce everything that the kernel holds: after a restart, and at a resume. The first step is made at once and is
   * mostly all of it.
   */
  announce(): void {
    this.#hushed = false;
    this.#announceFrom = 0;
    if (this.#distrusts) this.distrustAll();
    this.announceStep();
  }

  /**
   * The copy does not follow the stream any more: what is on its way counts no more, and everything held will be announced. Sticky
   * marks end: the owners that they leave are swept then.
   */
  hush(): void {
    this.#hushed = true;
    this.#era += 1;
    this.#distrusts = this.#distrusted && this.#state.marksUnknown;
    this.#announceFrom = 0;
    this.#sweepFrom = -1;
    this.#releasing.clear();
    this.marksSubmitted = this.marksDelivered;
    while (!this.#sticky.empty) this.#sticky.expire(Number.MAX_SAFE_INTEGER, this.#scratch);
  }

  /**
   * R3: any region may be in the kernel's hands. On a cluster all of them become dirty by a message; a mark behind it is what
   * the flush waits for.
   */
  distrustAll(): void {
    this.fresh += 1;
    this.#distrusted = true;
    this.#distrusts = this.#hushed;
    if (this.#hushed) return;
    const { sender } = this.#world;
    sender.numbers(MessageType.unknownDirty, this.#uuid, 0, 2, []);
    this.marksSubmitted += 1;
    sender.one(MessageType.mark, this.#uuid, 0, -1, this.#era);
  }

  /** Not all that the kernel holds has been submitted: no flush is safe before that. */
  get announcing(): boolean {
    return this.#announceFrom >= 0;
  }

  /** The next step of the announcement is due. */
  get announcesOn(): boolean {
    return this.announcing && !this.#hushed;
  }

  /** The first `fresh` fresh marks are safe for good. */
  promised(fresh: number): void {
    this.#promised = Math.max(this.#promised, fresh);
  }

  /** Every mark of this kernel is safe: a repeat needs nobody's word (R13). */
  get allPromised(): boolean {
    return this.#promised >= this.fresh;
  }

  /** Mark messages that a request of now has to wait for. */
  get marksAwaited(): number {
    return this.announcing ? Number.POSITIVE_INFINITY : this.marksSubmitted;
  }

  /** Bounded, so that a turn of the engine is; `announcing` says whether another step is needed. */
  announceStep(): void {
    const { map } = this.#state;
    if (this.#announceFrom < 0 || this.#hushed) return;
    const batch = new Float64Array(Math.min(map.heldCount, this.#world.settings.announceRegions));
    let count = 0;
    let region = batch.length === 0 ? -1 : map.nextHeld(this.#announceFrom);
    while (region >= 0 && count < batch.length) {
      batch[count++] = region;
      region = next(region, map.regionCount, (from) => map.nextHeld(from));
    }
    this.#announceFrom = region;
    if (count > 0) this.#submitMarks(batch, count);
  }

  /** Begins to look for dirty regions that nobody owns: sticky marks and releases that an earlier daemon took with it. */
  beginSweep(): void {
    this.#sweepFrom = this.#state.marksUnknown ? -1 : 0;
  }

  get sweeping(): boolean {
    return this.#sweepFrom >= 0;
  }

  /** The next step of the sweep is due. */
  get sweepsOn(): boolean {
    return this.sweeping && this.#releasing.size < sweptOnTheWayMax;
  }

  /** One step of the sweep. Bounded; `sweeping` says whether another is needed. */
  sweep(): void {
    const { map } = this.#state;
    if (this.#sweepFrom < 0) return;
    let released = 0;
    const nothing = map.syncCount === 0 && !this.#rights.shared;
    let region = nothing ? -1 : map.nextDirty(this.#sweepFrom);
    for (let looked = 0; region >= 0 && looked < sweepRegionsMax; looked++) {
      if (this.#isLeftOver(region)) this.#scratch[released++] = region;
      if (released === this.#scratch.length) {
        this.#submitReleases(this.#scratch, released);
        released = 0;
      }
      region = next(region, map.regionCount, (from) => map.nextDirty(from));
    }
    if (released > 0) this.#submitReleases(this.#scratch, released);
    this.#sweepFrom = region;
  }

  /** Dirty, and nobody will release it: on a cluster what this node owns and its kernel does not hold, and what nobody owns. */
  #isLeftOver(region: number): boolean {
    if (this.#releasing.has(region)) return false;
    if (!this.#rights.shared) return this.#mayClean(region);
    const { map, owners, marksUnknown } = this.#state;
    if (marksUnknown || map.isHeld(region) || this.#sticky.has(region)) return false;
    return owners.has(this.#world.node, region) || (this.#rights.leads && this.#mayClean(region));
  }

  /** The release of a region is on its way through the stream. */
  isReleasing(region: number): boolean {
    return this.#releasing.has(region);
  }

  /** This node has left, or begins again: what it owned is gone, what its kernel holds stays dirty. */
  forgetOwners(): void {
    this.forgetMembers();
    this.forgetOwn();
  }

  /** Nobody has the log: there are no owners. */
  forgetMembers(): void {
    this.#state.owners.clear();
    this.ownersFull = false;
  }

  /** What this node had on its way counts no more; the owners of others stay. */
  forgetOwn(): void {
    this.#releasing.clear();
    this.#announceFrom = -1;
    this.#sweepFrom = -1;
  }

  #isSticky(region: number): boolean {
    const { map, marksUnknown } = this.#state;
    // R13: others may have recovered the region on their side of a split.
    if (!this.#rights.operational) return false;
    return this.#sticky.has(region) && map.isInSync(region) && !map.isClean(region) && !marksUnknown;
  }

  #sticks(): boolean {
    const sticks = this.#sticky.capacity > 0 && this.#world.settings.stickyMax > 0;
    return sticks && !this.resting && !this.#hushed && !this.#state.marksUnknown;
  }

  /** Dirty without a mark of this kernel, and nobody is about to release it. */
  #leftOver(region: number, owned: boolean): boolean {
    const { map, marksUnknown } = this.#state;
    if (marksUnknown || this.#hushed || map.isClean(region)) return false;
    if (this.#sticky.has(region) || this.#releasing.has(region)) return false;
    return owned || map.isInSync(region);
  }

  #mayClean(region: number): boolean {
    const { map, owners, marksUnknown } = this.#state;
    if (map.isClean(region) || !map.isInSync(region)) return false;
    if (this.#rights.shared) {
      // By what all members know alone, so that all do the same.
      return owners.ownerCount(region) === 0 && !this.ownersFull && this.#rights.mayClean;
    }
    if (marksUnknown) return false;
    // Held: a mark of this kernel is on its way behind this release. Owners that did not fit may be anybody's.
    if (map.isHeld(region) || this.#sticky.has(region)) return false;
    return owners.ownerCount(region) === 0;
  }

  #stick(region: number, nowMs: number): void {
    const sticky = this.#sticky;
    if (sticky.size >= this.#world.settings.stickyMax && !sticky.has(region)) {
      if (sticky.expire(sticky.oldestMs, this.#one) > 0) this.#submitReleases(this.#one, 1);
    }
    const evicted = sticky.add(region, nowMs);
    if (evicted < 0) return;
    this.#one[0] = evicted;
    this.#submitReleases(this.#one, 1);
  }

  #releaseUntil(untilMs: number): void {
    while (!this.#sticky.empty) {
      const count = this.#sticky.expire(untilMs, this.#scratch);
      if (count === 0) return;
      this.#world.counters.stickyReleases += count;
      this.#submitReleases(this.#scratch, count);
    }
  }

  #submitMarks(regions: Float64Array, count: number): void {
    this.marksSubmitted += Math.ceil(count / messageRegionsMax);
    this.#world.sender.regions(MessageType.mark, this.#uuid, this.#era, regions, count);
  }

  #submitReleases(regions: Float64Array, count: number): void {
    if (this.#hushed) return;
    for (let i = 0; i < count; i++) this.#releasing.add(regions[i] as number);
    this.#world.sender.regions(MessageType.release, this.#uuid, this.#era, regions, count);
  }

  #ownersDropped(count: number): void {
    this.#world.counters.ownersDropped += count;
    if (this.ownersFull) return;
    this.ownersFull = true;
    const text = `more than ${this.#state.owners.capacity} marks: what does not fit is known by its own node only`;
    report(this.#world, 'warning', 'owners-full', this.#uuid, text);
  }
}

/** `find` behind `region`, or -1 at the end of the map. */
function next(region: number, regionCount: number, find: (from: number) => number): number {
  return region + 1 < regionCount ? find(region + 1) : -1;
}
