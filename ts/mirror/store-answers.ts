/**
 * What a log does when its device says something: the owner of the store (store-owner.ts). What the bits are after a
 * load is derived in resume-bits.ts; whether the log serves then is decided in log-life.ts.
 */
import { foundOnDeviceMax, messageRegionsMax } from '../base/limits.js';
import { bootKey } from './boot-key.js';
import type { LogDeviceInfo } from './log-device.js';
import type { LogHeader, LogSession } from './log-image.js';
import type { LogParts } from './log-parts.js';
import { LifeCycle, type LogState } from './log-state.js';
import { hadRole, hasEnded, type MemberTable } from './member-table.js';
import { MessageType } from './messages.js';
import { deriveDiskBits, isMerged, judgeHead } from './resume-bits.js';
import { packDevice } from './status-text.js';
import { type HeadVerdict, type LogStoreOwner, noTakeOver, StoreGoal } from './store-owner.js';
import { onlyOnDevice } from './take-over.js';
import { report } from './world.js';

export interface StoreHooks {
  /** Other instances of the same uuid on this host that have left. */
  predecessors(): Iterable<LogState>;
  /** Something changed: the end of this turn must look at the log. */
  changed(): void;
  /** A load has ended well. */
  ready(): void;
  /** A load has failed; `errno` is positive. */
  notReady(errno: number): void;
  /** A load was refused for good. */
  refused(errno: number): void;
  /** What the store has written. */
  writtenGeneration(): number;
}

export class StoreAnswers implements LogStoreOwner {
  readonly #parts: LogParts;
  readonly #hooks: StoreHooks;

  constructor(parts: LogParts, hooks: StoreHooks) {
    this.#parts = parts;
    this.#hooks = hooks;
  }

  deviceKnown(info: LogDeviceInfo): void {
    const { state } = this.#parts;
    const packed = packDevice(info);
    if (state.deviceNumber !== packed) state.deviceNumber = packed;
  }

  judgeHead(header: LogHeader, session: LogSession | null): HeadVerdict {
    const { state, args, world, uuid } = this.#parts;
    const { nodeName, cluster, settings } = world;
    const ended = session !== null && (cluster?.hasEnded({ ...session, uuid }) ?? false);
    const guard = { nodeName, forceForeignSession: settings.forceForeignSession || ended };
    const verdict = judgeHead(state, args, guard, header, session);
    if (!verdict.ok) return verdict;
    const resized = this.#isResized(session);
    return resized || this.#isOutdated(header, session) ? { ok: true, keepRegions: 0, fillClean: false } : verdict;
  }

  /** Its bits are of regions of another size: what they say of these nobody knows. */
  #isResized(session: LogSession | null): boolean {
    const { state, world, uuid } = this.#parts;
    const { regionSizeSectors } = state.geometry;
    const said = session?.uuid === uuid ? session.regionSizeSectors : 0;
    if (said === 0 || said === regionSizeSectors) return false;
    const text = `the log device has regions of ${said} sectors, the table of ${regionSizeSectors}: every region is resynced`;
    report(world, 'warning', 'log-resized', uuid, text);
    return true;
  }

  /**
   * Who had the log last knew of regions out of sync, or may have, and the device does not: it is of another table, or could not be written
   * (R16). Whoever opened it after that had read it: a boot that members know, for all others count epochs of their own. Not who had only
   * begun to: the header comes last, and has fewer regions before.
   */
  #isOutdated(header: LogHeader, session: LogSession | null): boolean {
    const { state, replica, world, uuid } = this.#parts;
    const { table } = replica.rights;
    if (table === undefined) return false;
    const { closedEpoch, leftWritten, endedEpoch, doubt, lastLeaver, leftOutOfSync, members } = table;
    const whole = header.kind === 'valid' && header.regionCount >= state.map.regionCount;
    const of = session?.uuid === uuid && (session.closed || whole) ? session : null;
    // Who left last had no device, or could not write it: what is there from before says nothing. Who died closed nothing: what it had
    // opened is the last word.
    const unwritten = closedEpoch === 0 && lastLeaver !== -1 && !leftWritten;
    const known = unwritten ? endedEpoch : Math.max(closedEpoch, endedEpoch - 1);
    const boot = bootKey(of?.bootId ?? '');
    const isKnown = hasEnded(table, boot) || members.some((member) => member.boot === boot);
    const later = of !== null && isKnown && of.writerEpoch > known && !this.#isOwnClaim(of);
    if (doubt) return !later;
    if (!leftOutOfSync || (lastLeaver === world.node && this.#remembers(closedEpoch !== 0))) return false;
    const closed = of?.closed === true && isKnown && of.writerEpoch === closedEpoch;
    return unwritten || !(closed || later);
  }

  /** What this node knew when it left last comes into the load: it is on the device that it `closed`, or in the memory of the table before. */
  #remembers(closed: boolean): boolean {
    const { state } = this.#parts;
    const before = [...this.#hooks.predecessors()];
    if (closed) return state.everResumed || before.length > 0;
    return (state.everResumed && state.logFailed) || before.some((one) => isMerged(state, one));
  }

  /** Of this very resume: a load that was given up, or a daemon that was killed in it, had begun to write there. */
  #isOwnClaim({ bootId, writerEpoch, resumeCount }: LogSession): boolean {
    const { state, world } = this.#parts;
    return bootId === world.bootId && writerEpoch === this.epoch && resumeCount === state.resumeCount;
  }

  get epoch(): number {
    return this.#parts.replica.rights.epoch;
  }

  get mayBegin(): boolean {
    return this.#parts.replica.mayBegin;
  }

  get lapses(): number {
    return this.#parts.world.cluster?.lapses ?? 0;
  }

  get suspect(): boolean {
    return this.#parts.state.logFailed;
  }

  get alone(): boolean {
    return this.#parts.replica.rights.sole;
  }

  /**
   * What others left out of sync should stand there, and somebody has exchanged or written over the device: nobody knows it. Or somebody had
   * the role of whom nobody here has heard, as where two hosts each may go on alone: what he knew beyond the device is lost.
   */
  foundHead(header: LogHeader, session: LogSession | null, takeOver: number): number {
    const { state, world, replica, uuid } = this.#parts;
    const { table } = replica.rights;
    if (table === undefined) return 0;
    const said = session?.uuid === uuid ? session : null;
    const whole = header.kind === 'valid' && header.regionCount >= state.map.regionCount;
    const blank = !whole || said === null || said.closed;
    const unheard = said !== null && said.bootId !== world.bootId && this.#isUnheard(table, said);
    const known = table.writerDied && table.deviceAhead;
    if (known ? !blank : !unheard) return 0;
    const text = known
      ? 'the log device does not have this log any more, and what others left out of sync with it: every region is resynced'
      : `${said?.nodeName} has written the log device and nobody here has heard of it: every region is resynced`;
    report(world, 'error', known ? 'take-over-blank' : 'take-over-unheard', uuid, text);
    world.sender.numbers(MessageType.unknownDirty, uuid, takeOver, 1, []);
    return 1;
  }

  /** Of sessions older than all that members remember nobody can say it: somebody has read the device since. */
  #isUnheard(table: MemberTable, { bootId, writerEpoch: epoch }: LogSession): boolean {
    const oldest = table.writers[0]?.epoch ?? this.epoch;
    return epoch >= oldest && !hadRole(table, { boot: bootKey(bootId), epoch });
  }

  /** R8: after the death of a writer, what its device has as dirty and no member knows belongs to nobody and is resynced. */
  foundOnDevice(offset: number, bytes: Uint8Array, regionLimit: number, takeOver: number): number {
    const { state, world, replica, uuid } = this.#parts;
    const { table } = replica.rights;
    if (!table?.writerDied) return 0;
    const regions = onlyOnDevice(state.map, table.deviceAhead, offset, bytes, regionLimit);
    if (regions.length === 0) return 0;
    report(
      world,
      'notice',
      'take-over-dirty',
      uuid,
      `${regions.length} regions are dirty on the log device alone: resynced`,
    );
    if (regions.length > foundOnDeviceMax) {
      world.sender.numbers(MessageType.unknownDirty, uuid, takeOver, 1, []);
      return 1;
    }
    world.sender.regions(MessageType.unknownDirty, uuid, 0, Float64Array.from(regions), regions.length, takeOver);
    return Math.ceil(regions.length / messageRegionsMax);
  }

  /** Here is an older copy, and what others left out of sync stands there: nobody knows it. */
  unread(): void {
    const { replica, world, uuid } = this.#parts;
    const { table } = replica.rights;
    if (table?.writerDied && table.deviceAhead) world.sender.numbers(MessageType.unknownDirty, uuid, noTakeOver, 1, []);
  }

  bitsLoaded(): void {
    deriveDiskBits(this.#parts.state, this.#hooks.predecessors());
  }

  session(closed: boolean): LogSession {
    const { world, state, uuid } = this.#parts;
    const { nodeName, bootId } = world;
    const { resumeCount, geometry } = state;
    const { regionSizeSectors } = geometry;
    return { uuid, writerEpoch: this.epoch, nodeName, bootId, resumeCount, regionSizeSectors, closed };
  }

  loadRefused(errno: number, text: string): void {
    report(this.#parts.world, 'error', 'resume-refused', this.#parts.uuid, text);
    this.#hooks.refused(errno);
  }

  failed(errno: number, text: string, goal: StoreGoal): void {
    const { world, state, waiters, failures, uuid } = this.#parts;
    report(world, 'error', 'log-failed', uuid, text);
    this.#hooks.changed();
    if (goal === StoreGoal.learn) return;
    if (state.lifeCycle === LifeCycle.resuming) {
      this.#hooks.notReady(errno);
      return;
    }
    if (!state.logFailed) {
      state.logFailed = true;
      world.counters.logFailures += 1;
      this.#tellState(1);
    }
    failures.failAll(waiters);
  }

  committed(): void {
    const { replica, world, uuid } = this.#parts;
    // After the death of a writer every node hears that its device was read, those without the log too.
    if (replica.writes && (!replica.rights.sole || replica.rights.table?.writerDied === true)) {
      world.sender.numbers(MessageType.durable, uuid, 0, 0, [this.epoch, this.#hooks.writtenGeneration()]);
    }
    this.#hooks.changed();
  }

  changed(): void {
    this.#hooks.changed();
  }

  /** Every member's status says so (R16). */
  #tellState(flag: number): void {
    const { replica, world, uuid } = this.#parts;
    if (!replica.rights.sole) world.sender.numbers(MessageType.logState, uuid, 0, flag, []);
  }

  reached(): void {
    const { world, state, failures, uuid } = this.#parts;
    if (state.logFailed) {
      failures.deviceWell(() => {
        this.#tellState(0);
        world.counters.repairs += 1;
        report(world, 'notice', 'log-repaired', uuid, 'every block was written again and read back');
      });
    }
    // The first member loads, also when its kernel is resumed already.
    if (state.lifeCycle === LifeCycle.resuming || this.#parts.replica.phase === 'loading') this.#hooks.ready();
  }
}
