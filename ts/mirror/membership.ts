/**
 * What being one of several members means for a log: what the steps of its replica (replica.ts) do to marks, recovery, life and
 * device. Without a cluster nothing of this is ever called.
 */
import { announceRegionsMax } from '../base/limits.js';
import { MapBits } from '../regions/region-map.js';
import { bootKey } from './boot-key.js';
import type { PastMember } from './copy-record.js';
import type { FlushFailures } from './flush-failures.js';
import type { FlushWaiters, Progress } from './flush-waiters.js';
import type { LogLife } from './log-life.js';
import type { LogState } from './log-state.js';
import type { CleanChange, Marks } from './marks.js';
import { type Member, memberOf, newMember } from './member-table.js';
import { type LogMessage, MessageType } from './messages.js';
import type { Recovery } from './recovery.js';
import type { RecoveryRequests } from './recovery-requests.js';
import type { Replica } from './replica.js';
import type { ReplicaHooks } from './replica-hooks.js';
import { StoreGoal, StorePhase } from './store-owner.js';
import type { Recovering, ReplicaHead } from './transfer.js';
import { report, type World } from './world.js';

/** Bits that are looked at together. */
const copiedBytesMax = 65_536;

/** The parts of the log, as they are once it is made. */
export interface MembershipParts {
  readonly world: World;
  readonly state: LogState;
  readonly marks: Marks;
  readonly recovery: Recovery;
  readonly recoveryRequests: RecoveryRequests;
  readonly waiters: FlushWaiters;
  readonly failures: FlushFailures;
  readonly progress: Progress;
  readonly life: LogLife;
  readonly replica: Replica;
  apply(order: number, message: LogMessage, nowMs: number): void;
  changed(): void;
}

export class Membership implements ReplicaHooks {
  readonly #change: CleanChange = { dirtied: 0, cleaned: 0 };
  readonly #one = new Float64Array(1);
  #parts: MembershipParts | null = null;

  /** Once, before anything else: the parts and this refer to each other. */
  attach(parts: MembershipParts): void {
    this.#parts = parts;
  }

  get #log(): MembershipParts {
    if (this.#parts === null) throw new Error('a membership without a log');
    return this.#parts;
  }

  load(): void {
    this.#log.life.entry.loadFirst();
  }

  abandonLoad(): void {
    this.retire(() => {});
  }

  othersHave(): void {
    this.#log.life.entry.enterAgain();
  }

  follow(): void {
    const { marks } = this.#log;
    marks.announce();
    if (!marks.announcing) this.announced();
    this.changed();
  }

  /** Everything that the kernel holds was submitted. */
  announced(): void {
    const { waiters, progress, marks, recoveryRequests, life, replica, state } = this.#log;
    waiters.announced(progress, marks.marksSubmitted);
    this.#sayFound();
    recoveryRequests.resubmit();
    life.halt.resubmit();
    replica.announced();
    // Any other log is swept when it is settled, and leaves then.
    if (state.marksUnknown) life.exit.swept();
  }

  /**
   * R10: what this kernel alone may recover, where the copy does not have it: it is of daemons that all had ended, or of members who came when
   * this one had left. Whoever has recovered it meanwhile did so under writes without marks: it is out of sync.
   */
  #sayFound(): void {
    const { replica, recovery, recoveryRequests, state, world } = this.#log;
    const { found } = replica.record;
    if (found.size === 0) return;
    const copied = recoveryRequests.copiedHere;
    const unknown = [...found].filter(
      (region) =>
        region < state.map.regionCount &&
        region !== copied &&
        !recoveryRequests.hasCopied(region) &&
        !recovery.restrictions.isOf(region, world.node),
    );
    const regions = Float64Array.from(unknown);
    world.sender.regions(MessageType.inSync, state.identity.uuid, 0, regions, regions.length);
  }

  mayHaveGivenUp(resuming: boolean): boolean {
    const { gaveUp } = this.#log.replica.record;
    return gaveUp === 'yes' || (gaveUp === 'maybe' && resuming);
  }

  restrictsMore(): boolean {
    const { replica, recovery, world } = this.#log;
    const { moreFound } = replica.record;
    return moreFound && !recovery.restrictions.knows(world.node) && !recovery.restrictions.isAlone(world.node);
  }

  restrictsUnknown(wasMember: boolean): boolean {
    const { state, world } = this.#log;
    const { restrictions } = this.#log.recovery;
    if (!state.marksUnknown || state.everResumed || restrictions.isAlone(world.node)) return false;
    return !wasMember || !restrictions.knows(world.node);
  }

  /**
   * R10: `node` alone may recover: what it writes without marks, its record does not say. `forgotten`: others may have recovered that
   * meanwhile, and it is out of sync. While a member has said nothing nobody recovers.
   */
  restrictAll(node: number, forgotten: boolean): void {
    const { replica, recovery, world } = this.#log;
    replica.head(() => recovery.restrictions.onlyNode(node));
    if (node === world.node) {
      replica.record.foundUnknown();
      replica.record.gaveUp = 'no';
    }
    if (forgotten) replica.resync();
  }

  /**
   * A disk log's device knows more, and is read at the take-over (R8): what only it has as dirty is resynced then, and here is what both
   * have, for as far as anybody knows by now it was out of sync. Otherwise nobody knows anything.
   */
  doubt(inPieces: boolean): void {
    const { state, world, recovery, replica } = this.#log;
    // R10: the regions to which this kernel writes without marks were lost with the rest.
    if (state.marksUnknown && !state.everResumed) {
      recovery.restrictions.onlyNode(world.node);
      replica.record.foundUnknown();
    }
    this.#doubtRecovery();
    if (state.image !== null && !inPieces) {
      this.#dirtyOutOfSync(state.map.regionCount);
      return;
    }
    const text = 'what other members did may be lost with them: every region is resynced';
    if (state.map.syncCount > 0) report(world, 'warning', 'copy-outdated', state.identity.uuid, text);
    this.#everythingOutOfSync(Number.POSITIVE_INFINITY);
  }

  counts(): void {
    const { store } = this.#log.life;
    // An exchange swallows that the device of a dead writer was read.
    const said = store?.allDurable === true && this.#log.replica.rights.table?.writerDied !== true;
    if (!said) store?.confirmAgain();
  }

  deviceHasAll(): boolean {
    const { life, state, failures } = this.#log;
    return life.store?.allDurable === true && !state.logFailed && !failures.failedForAll;
  }

  hush(): void {
    const { marks, waiters, failures, recoveryRequests, life } = this.#log;
    life.halt.hush();
    marks.hush();
    recoveryRequests.hush();
    failures.hush();
    waiters.unsettle();
    this.changed();
  }

  epochBegun(): void {
    this.#log.life.store?.epochBegun();
  }

  serve(): void {
    const { store } = this.#log.life;
    if (store === null) return;
    if (store.phase === StorePhase.ready) store.confirmAgain();
    const rests = store.phase === StorePhase.closed || store.phase === StorePhase.failed || store.abandoned;
    if (!rests) return;
    // What only the device knows is read also where it has failed: another writer may have had it back meanwhile, of whom nobody here has heard.
    store.begin(StoreGoal.takeOver);
  }

  writeAgain(): void {
    this.#log.life.store?.writeAgain();
    this.changed();
  }

  retire(done: () => void): void {
    const { store, exit } = this.#log.life;
    if (store === null || store.phase === StorePhase.closed) done();
    // Who finishes leaves then, and the role is vacant by that. One that reads the device first waits for the group, which may be lost.
    else if (!store.finishes || store.reads) {
      exit.closeLater();
      store.abandon(done);
    }
  }

  changed(): void {
    this.#log.changed();
  }

  apply(order: number, message: LogMessage, nowMs: number): void {
    this.#log.apply(order, message, nowMs);
  }

  applyBits(message: LogMessage, limit: number): void {
    const { marks } = this.#log;
    const { type, node, flag } = message;
    const regions = message.regions.subarray(0, message.count).filter((region) => region < limit);
    const change = this.#change;
    if (type === MessageType.mark) marks.applyMark(node, regions, regions.length, 0, -1, change);
    else if (type === MessageType.release) marks.applyRelease(node, regions, regions.length, change);
    else if (type === MessageType.inSync) for (const region of regions) marks.applySync(region, flag === 1, change);
    else if (type === MessageType.unknownDirty) this.unknownDirty(message, limit);
  }

  applyGone(member: Member, died: boolean, limit: number): void {
    const { state, recovery, replica, marks, world } = this.#log;
    const lost = this.#ownedBy(member.node);
    state.owners.removeNode(member.node);
    for (const region of lost) if (region < limit) this.#putOutOfSync(region);
    // Not all that it held is among the owners.
    if (!member.settled || marks.ownersFull) this.#dirtyOutOfSync(limit);
    if (lost.length > 0) {
      const text = `node ${member.node} ${died ? 'is dead' : 'left'} with ${lost.length} marks: they are resynced`;
      report(world, 'notice', 'marks-inherited', state.identity.uuid, text);
    }
    if (!replica.following) return;
    replica.overwritten();
    recovery.givenBack(member.node);
    if (died) recovery.restrictions.removeNode(member.node);
    this.#log.life.store?.changed(true, world.nowMs);
    this.restartRecovery();
    this.changed();
  }

  adopt(gone: readonly PastMember[], lost: boolean): void {
    const { state, world, recovery, replica } = this.#log;
    for (const { node, boot } of gone) {
      // R10: who is here in the same boot has left, and may come back with the table that it had.
      const here = world.cluster?.memberOfGroup(node)?.bootId;
      const died = here === undefined || bootKey(here) !== boot;
      this.applyGone(newMember(node, '', boot, 'active'), died, state.map.regionCount);
    }
    // Of an older copy beside a table in which it is none any more.
    const { recoverer } = recovery;
    if (recoverer !== -1 && memberOf(replica.rights.table, recoverer) === undefined) recovery.givenBack(recoverer);
    if (!lost) return;
    this.#dirtyOutOfSync(state.map.regionCount);
    this.#log.life.store?.changed(true, world.nowMs);
    this.restartRecovery();
    this.changed();
  }

  /** Regions that are dirty for a reason that no member knows; flag 1: all of them, flag 2: all are dirty and stay in sync. */
  unknownDirty({ regions, count, flag }: LogMessage, limit: number): void {
    const { map } = this.#log.state;
    if (flag === 2) map.fillClean(0, Math.min(limit, map.regionCount), false);
    else if (flag === 1) {
      // Nor does anybody know what was written under the copy of a region that is under way (R6).
      this.#log.recovery.doubtCopy();
      this.#everythingOutOfSync(limit);
    } else for (let i = 0; i < count; i++) if ((regions[i] as number) < limit) this.#putOutOfSync(regions[i] as number);
  }

  resync(): void {
    this.#doubtRecovery();
    this.#everythingOutOfSync(Number.POSITIVE_INFINITY);
    this.restartRecovery();
  }

  #doubtRecovery(): void {
    this.#log.recovery.doubt();
    this.#log.recoveryRequests.withdrawUntold();
  }

  #everythingOutOfSync(limit: number): void {
    const { state, marks, recovery, replica, life, world } = this.#log;
    const { map } = state;
    const end = Math.min(limit, map.regionCount);
    this.#log.marks.dropSticky();
    map.fillClean(0, end, false);
    map.fillInSync(0, end, false);
    marks.dropSticky();
    recovery.outOfSync(0);
    if (replica.following) life.store?.changed(true, world.nowMs);
  }

  copyBegun(ownersMissing: boolean): void {
    this.#log.marks.ownersFull = ownersMissing;
  }

  doubted(): Recovering | null {
    const { recovery, state } = this.#log;
    const { recoverer: node } = recovery;
    return node !== -1 && state.recoveryDoubted ? { region: state.recoveringRegion, node } : null;
  }

  head(): ReplicaHead {
    const { state, marks, recovery, life, replica, failures } = this.#log;
    const { searchPosition, recoveringRegion, recoveryDoubted, position } = state;
    return {
      generation: life.store?.generation ?? 0,
      durableGeneration: life.store?.durableGeneration ?? 0,
      epoch: replica.rights.epoch,
      position,
      searchPosition,
      recoveringRegion,
      recoveringNode: recovery.recoverer,
      recoveryDoubted,
      wishes: recovery.wishes.list(),
      restrictions: recovery.restrictions.list(),
      ownersFull: marks.ownersFull,
      logFailed: failures.failedForAll,
    };
  }

  takeHead(head: ReplicaHead): void {
    const { state, recovery, recoveryRequests, life, world, failures, replica } = this.#log;
    recoveryRequests.headComes(head.recoveringNode === world.node ? head.recoveringRegion : -1);
    state.searchPosition = head.searchPosition;
    state.recoveringNode = head.recoveringNode === world.node ? -1 : head.recoveringNode;
    state.recoveringRegion = head.recoveringRegion;
    state.recoveryDoubted = head.recoveryDoubted;
    if (state.logFailed && !head.logFailed) failures.knownWell();
    else if (head.logFailed && !state.logFailed) state.logFailed = true;
    this.#log.marks.ownersFull = head.ownersFull;
    recovery.refresh();
    recovery.wishes.clear();
    for (const region of head.wishes) recovery.wishes.add(region);
    const own = recovery.restrictions.regionsOf(world.node);
    recovery.restrictions.take(head.restrictions);
    this.#learnFound(head);
    this.#keepFound(own);
    // Another writer may have begun since that was said.
    life.store?.take(head.generation, head.epoch === replica.rights.epoch ? head.durableGeneration : 0);
    recoveryRequests.headTaken();
  }

  /** R10: what this kernel has found is in the memory of members, and its own record of that was lost. */
  #learnFound({ restrictions }: ReplicaHead): void {
    const { state, replica, world } = this.#log;
    if (!state.marksUnknown || state.everResumed) return;
    for (const [region, node] of restrictions.pairs) if (node === world.node) replica.record.foundOut(region);
    if (restrictions.overflow.includes(world.node)) replica.record.foundUnknown();
  }

  /** R10: what this kernel has found while its copy was not that of the others, its record may not name. What was not answered is said again. */
  #keepFound(own: readonly number[]): void {
    const { replica, recovery, recoveryRequests, world } = this.#log;
    const { record } = replica;
    const { restrictions } = recovery;
    const isNamed = (region: number) => record.found.has(region) || restrictions.isOf(region, world.node);
    const unnamed = own.some((region) => !isNamed(region) && !recoveryRequests.awaits(region));
    if (record.moreFound && unnamed) record.gaveUp = 'yes';
  }

  settled(): void {
    const { marks } = this.#log;
    if (!marks.announcing) marks.beginSweep();
    this.changed();
  }

  /**
   * R11: regions are out of sync, and this kernel asks for no work. One node sees to it, the lowest; and one that alone may recover
   * what it has found out of sync (R10).
   */
  restartRecovery(): void {
    const { recovery, recoveryRequests, replica, world } = this.#log;
    const alone = recoveryRequests.rest === 'told-none' && recovery.restrictions.has(world.node);
    if (replica.rights.leads || alone) this.#restartHere();
  }

  /** The node that has to see to it cannot do it now. */
  restartPassedOn(node: number): void {
    if (this.#log.replica.rights.isNextTo(node)) this.#restartHere();
  }

  #restartHere(): void {
    const { state, replica, recovery, recoveryRequests, world } = this.#log;
    if (recoveryRequests.rest === null || recovery.recoverer !== -1 || !replica.rights.operational) return;
    world.effects.restartRecovery?.(state.identity.uuid);
  }

  #putOutOfSync(region: number): void {
    const { map } = this.#log.state;
    // R5: what waits for recovery does not stay marked for convenience.
    this.#log.marks.applyWish(region);
    this.#one[0] = region;
    this.#change.dirtied += map.markDirty(this.#one, 1);
    map.setInSync(region, false);
    this.#log.recovery.outOfSync(region);
  }

  #dirtyOutOfSync(limit: number): void {
    const { marks, recovery, state } = this.#log;
    const { map } = state;
    const first = map.nextDirty(0);
    if (first < 0 || first >= limit) return;
    // At once: of a large log that is not in sync yet these are nearly all, and one by one they take minutes.
    marks.dropSticky();
    if (limit >= map.regionCount) map.copyCleanToInSync();
    else this.#copyCleanToInSync(limit);
    recovery.outOfSync(first);
  }

  /** Of the regions that a copy has so far: whole words of bits. */
  #copyCleanToInSync(limit: number): void {
    const { map } = this.#log.state;
    const end = limit / 8;
    for (let at = 0; at < end; at += copiedBytesMax) {
      const bits = new Uint8Array(Math.min(copiedBytesMax, end - at));
      map.exportBits(MapBits.clean, at, bits);
      // No room for it: as out of sync as may be.
      if (!map.importBits(MapBits.sync, at, bits)) map.fillInSync(8 * at, 8 * (at + bits.length), false);
    }
  }

  #ownedBy(node: number): number[] {
    const { owners } = this.#log.state;
    const out = new Float64Array(Math.max(1, Math.min(owners.size, announceRegionsMax)));
    const regions: number[] = [];
    for (let cursor = 0; cursor >= 0; ) {
      const [written, next] = owners.list(node, cursor, out);
      for (let i = 0; i < written; i++) regions.push(out[i] as number);
      cursor = next;
    }
    return regions;
  }
}
