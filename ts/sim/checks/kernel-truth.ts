/**
 * What the kernel truly holds, told by the kernel itself and by the frames that left it: the yardstick of the
 * checkers. One record for each table's log.
 */

import { Errno } from '../../base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_CTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../base/ulog-frames.js';
import type { RegionMap } from '../../regions/region-map.js';
import type { ReplyRecord, RequestRecord } from '../daemon/requests.js';
import { kernelErrno } from '../kernel/world.js';

export interface TargetTruth {
  readonly key: string;
  readonly uuid: string;
  /** Rises with the marks, the writes and the copy of this record, and with the loss of the daemon's state. */
  changes: number;
  /** Region -> order of the mark that was answered; removed when its clear leaves the kernel. */
  readonly marked: Map<number, number>;
  /** Those of them that were not clean when their mark was answered: nothing may clean them before their clear. */
  readonly dirtyWhenMarked: Set<number>;
  /** Those of them that a FLUSH made safe: the kernel writes under their protection. */
  readonly flushed: Set<number>;
  /** Regions that a FLUSH took to a daemon and that no answer has come back for: given up, its kernel sends them again. */
  readonly carried: Set<number>;
  /** Those of them that the daemon held when a later FLUSH was answered: promised with it. */
  readonly kept: Set<number>;
  /** Those of them that every member has had since. */
  readonly known: Set<number>;
  /** Those that were safe when a later FLUSH failed and are not known to be out of sync: see flush-failures.ts. */
  readonly doubtful: Set<number>;
  /** A FLUSH has failed since the last resume. */
  flushFailed: boolean;
  /** Region -> writes under way to all legs. */
  readonly open: Map<number, number>;
  /** Region -> writes under way to the default leg only. */
  readonly openDefault: Map<number, number>;
  /** Regions of which the kernel gave a question up: it may write to one leg without a mark. */
  readonly givenUp: Set<number>;
  /** Region whose copy was started and not yet reported to the daemon; -1 none. */
  copying: number;
  /** Region that the daemon has handed out and whose end the kernel has not reported, heard or not; -1 none. */
  handedOut: number;
  /** Rises with every mark that was answered. */
  markOrder: number;
  /** The kernel has seen every region in sync since its last resume. */
  latched: boolean;
  /** The highest hint that it was told since its last suspend: of regions below it the kernel asks nothing but IN_SYNC. */
  hintMax: number;
  /** It waits for one. */
  asksHint: boolean;
  /** Regions that nobody recovers, as it was told since it has flushed marks last: it is about to write there. */
  readonly admitted: Set<number>;
  /** Those of the round that its last FLUSH has ended, while no daemon has heard that FLUSH. */
  readonly admittedBefore: Set<number>;
  /** A daemon has died since then: the next one does not know what that one had said. */
  roundUnknown: boolean;
  /**
   * Since it asked for work last it has asked about writes, and then for the count: of a worker that looks like a suspend that nobody heard,
   * and the count may be another thread's.
   */
  amidWrites: 'no' | 'asked' | 'counted';
  /** Marks went to a daemon that lives, and no flush since. */
  roundMarks: boolean;
  /** Between PRESUSPEND and POSTSUSPEND. */
  draining: boolean;
  /** Suspends, and no daemon was there for its PRESUSPEND; until POSTSUSPEND. */
  drainingUnheard: boolean;
  /** The last suspend has ended, and no daemon can know: its POSTSUSPEND never left the kernel. */
  endUnsaid: boolean;
  /** POSTSUSPEND was sent, and RESUME not since: nothing is written. */
  drained: boolean;
  /** Threads that repeat a request: their constructors were answered, and the RESUME that follows is no resume of the table. */
  reconnects: number;
  /** The last RESUME that was sent is that of the table, and not of a request that is repeated. */
  begins: boolean;
  /** PRESUSPEND was answered, POSTSUSPEND not sent: no write may be held back any more. */
  letDrain: boolean;
  /** PRESUSPEND was answered, and POSTSUSPEND has not left the kernel: writes may be under way that nothing holds back. */
  halted: boolean;
  /** The daemon lost this log's state while the kernel lived; until its POSTSUSPEND (R3). */
  marksLost: boolean;
}

export class KernelTruth {
  readonly targets = new Map<string, TargetTruth>();
  /** Rises whenever the truth changes. */
  changes = 0;
  /** Rises when a mark is acknowledged, or forgotten before it was. */
  acknowledgements = 0;

  /** What was asked for last is mostly asked for again. */
  #last: TargetTruth | null = null;

  of(log: { key: string; uuid: string }): TargetTruth {
    const { key } = log;
    if (this.#last?.key === key) return this.#last;
    let truth = this.targets.get(key);
    if (truth === undefined) {
      truth = {
        key,
        uuid: log.uuid,
        changes: 0,
        marked: new Map(),
        dirtyWhenMarked: new Set(),
        flushed: new Set(),
        carried: new Set(),
        kept: new Set(),
        known: new Set(),
        doubtful: new Set(),
        flushFailed: false,
        open: new Map(),
        openDefault: new Map(),
        givenUp: new Set(),
        copying: -1,
        handedOut: -1,
        markOrder: 0,
        latched: false,
        hintMax: 0,
        asksHint: false,
        admitted: new Set(),
        admittedBefore: new Set(),
        roundUnknown: false,
        amidWrites: 'no',
        roundMarks: false,
        draining: false,
        drainingUnheard: false,
        endUnsaid: false,
        drained: false,
        reconnects: 0,
        begins: false,
        letDrain: false,
        halted: false,
        marksLost: false,
      };
      this.targets.set(key, truth);
    }
    this.#last = truth;
    return truth;
  }

  /** Marks of a log whose message not every member has, by region. */
  readonly #onTheWay = new Map<string, Map<number, number>>();

  /** By uuid: regions that this kernel has found out of sync. */
  readonly #found = new Map<string, Set<number>>();

  /** Another host's kernel copies the region: it counted as out of sync for all, and what a failed FLUSH left in doubt is over. */
  copiedElsewhere(uuid: string, region: number): void {
    for (const truth of this.targets.values()) if (truth.uuid === uuid) truth.doubtful.delete(region);
  }

  /** A mark message was handed to the transport; `serial` rises. */
  markSubmitted(uuid: string, region: number, serial: number): void {
    let regions = this.#onTheWay.get(uuid);
    if (regions === undefined) {
      regions = new Map();
      this.#onTheWay.set(uuid, regions);
    }
    regions.set(region, serial);
  }

  /** Every member has what was submitted up to `serial`. */
  markAcknowledged(serial: number): void {
    for (const [uuid, regions] of this.#onTheWay) {
      for (const [region, submitted] of regions) {
        if (submitted > serial) continue;
        regions.delete(region);
        for (const truth of this.targets.values())
          if (truth.uuid === uuid && truth.kept.has(region)) truth.known.add(region);
        this.acknowledgements += 1;
      }
    }
  }

  /** This kernel has found the region out of sync, by whatever table, and has not recovered it: nobody else recovers it (R10). */
  hasFound(uuid: string, region: number): boolean {
    return this.#found.get(uuid)?.has(region) === true;
  }

  unacknowledged(uuid: string, region: number): boolean {
    return this.#onTheWay.get(uuid)?.has(region) === true;
  }

  /** A daemon has the request. */
  heard(request: RequestRecord): void {
    if (request.type === DM_ULOG_FLUSH && !request.hostile) this.of(request).admittedBefore.clear();
  }

  /**
   * The daemon is gone, and with it what it had not sent. `hintOf`: as the record of the log has it; whether the kernel was told that the next
   * daemon cannot know. `mapOf`: of the record; what it has as held the next one holds, also where a clear was not believed.
   */
  daemonDied(hintOf: (key: string) => number, mapOf: (key: string) => RegionMap | undefined): void {
    for (const truth of this.targets.values()) {
      for (const region of heldIn(mapOf(truth.key))) if (!truth.marked.has(region)) truth.carried.add(region);
      Object.assign(truth, { roundUnknown: true, roundMarks: false });
      if (truth.asksHint) truth.hintMax = Math.max(truth.hintMax, hintOf(truth.key));
    }
    this.#onTheWay.clear();
    this.acknowledgements += 1;
  }

  /** The daemon does not know this log any more, and its kernel uses it. */
  lost(log: { key: string; uuid: string }): void {
    const truth = this.of(log);
    truth.changes += 1;
    truth.marksLost = true;
  }

  /** A power cut: the kernel and all it held are gone. */
  forgetAll(): void {
    this.targets.clear();
    this.#found.clear();
    this.#last = null;
  }

  forget(log: { key: string }): void {
    this.targets.delete(log.key);
    this.#last = null;
  }

  writeIssued(truth: TargetTruth, region: number, toAllLegs: boolean): void {
    this.changes += 1;
    truth.changes += 1;
    count(toAllLegs ? truth.open : truth.openDefault, region, 1);
  }

  writeEnded(truth: TargetTruth, region: number, toAllLegs: boolean): void {
    this.changes += 1;
    truth.changes += 1;
    count(toAllLegs ? truth.open : truth.openDefault, region, -1);
  }

  recoveryStarted(truth: TargetTruth, region: number): void {
    this.changes += 1;
    truth.changes += 1;
    truth.copying = region;
  }

  /** The kernel has given a flush up, heard or not: what it marked and did not see safe, it does not write. */
  flushFailed(truth: TargetTruth): void {
    truth.changes += 1;
    for (const region of truth.marked.keys()) if (!truth.flushed.has(region)) truth.marked.delete(region);
  }

  /** A request leaves the kernel: from here on a clear is in the daemon's hands. */
  sent(request: RequestRecord): void {
    this.changes += 1;
    const truth = this.of(request);
    if (!isQuestion(request.type)) truth.changes += 1;
    if (request.type === DM_ULOG_CLEAR_REGION) {
      for (const region of request.values) {
        truth.marked.delete(region);
        truth.flushed.delete(region);
        truth.carried.delete(region);
        truth.kept.delete(region);
        truth.known.delete(region);
      }
    }
    if (request.type === DM_ULOG_FLUSH) for (const region of request.values) truth.carried.add(region);
    if (request.type === DM_ULOG_SET_REGION_SYNC) {
      const [region = 0, flag] = request.values;
      if (flag === 0) this.#found.set(request.uuid, (this.#found.get(request.uuid) ?? new Set()).add(region));
      if (request.values[0] === truth.copying) truth.copying = -1;
      if (request.values[0] === truth.handedOut) truth.handedOut = -1;
    }
    if (request.type === DM_ULOG_RESUME) {
      truth.latched = false;
      truth.letDrain = false;
      truth.begins = truth.reconnects === 0;
      if (truth.begins) {
        truth.drained = false;
        truth.flushFailed = false;
      }
    }
    if (request.type === DM_ULOG_IS_REMOTE_RECOVERING) {
      truth.asksHint = true;
      if (truth.amidWrites === 'no') truth.amidWrites = 'asked';
    }
    if (request.type === DM_ULOG_GET_SYNC_COUNT && truth.amidWrites === 'asked') truth.amidWrites = 'counted';
    // One copy at a time: its end may have been given up, with nobody to hear it.
    if (request.type === DM_ULOG_GET_RESYNC_WORK) Object.assign(truth, { copying: -1, amidWrites: 'no' });
    if (request.type === DM_ULOG_MARK_REGION) truth.roundMarks = true;
    // The delayed flush of a log with integrated_flush is another thread's, and ends no round.
    if (request.type === DM_ULOG_FLUSH && (request.values.length > 0 || truth.roundMarks)) {
      for (const region of truth.admitted) truth.admittedBefore.add(region);
      truth.admitted.clear();
      truth.roundMarks = false;
      truth.roundUnknown = false;
    }
    if (request.type === DM_ULOG_PRESUSPEND) Object.assign(truth, { draining: true, endUnsaid: false });
    if (request.type !== DM_ULOG_POSTSUSPEND) return;
    // All writes are done by now: what was lost no longer matters.
    truth.draining = false;
    truth.drainingUnheard = false;
    truth.drained = true;
    truth.handedOut = -1;
    truth.letDrain = false;
    truth.hintMax = 0;
    truth.halted = false;
    truth.marksLost = false;
    truth.marked.clear();
    truth.flushed.clear();
    truth.carried.clear();
    truth.kept.clear();
    truth.known.clear();
    truth.doubtful.clear();
    // Nothing of its rounds is left. That the daemon may go by one of them yet costs marks.
    truth.admitted.clear();
    truth.roundUnknown = true;
  }

  /** What was held before the suspend and whose clear was lost is held still, and all know it, or will when its mark has reached them. */
  #staysHeld(truth: TargetTruth, map: RegionMap, owns: (region: number) => boolean): void {
    for (const region of heldIn(map)) {
      if (truth.marked.has(region)) continue;
      truth.kept.add(region);
      if (owns(region) && !this.unacknowledged(truth.uuid, region)) truth.known.add(region);
    }
  }

  /**
   * A reply leaves the daemon: from here on a mark is the kernel's. `map` is the daemon's, when it has one; `owns`: the region is marked by
   * this host at the place in the order that the daemon has come to.
   */
  replied(
    request: RequestRecord,
    reply: ReplyRecord,
    map: RegionMap | undefined,
    owns: (region: number) => boolean,
  ): void {
    const regionCount = map?.regionCount ?? Number.POSITIVE_INFINITY;
    const truth = this.of(request);
    if (!isQuestion(request.type)) truth.changes += 1;
    if (request.type === DM_ULOG_IS_REMOTE_RECOVERING) truth.asksHint = false;
    if (request.type === DM_ULOG_FLUSH) {
      if (reply.error === -Errno.EIO) becomesDoubtful(truth, map);
      flushEnded(truth, request, reply.error);
      if (reply.error === 0) flushPromised(truth, request, map);
    }
    if (request.type === DM_ULOG_PRESUSPEND && truth.draining) {
      truth.letDrain = true;
      // Refused, the log was not resumed and its kernel writes nothing.
      truth.halted = reply.error === 0;
    }
    if (reply.error !== 0) return;
    if (request.type === DM_ULOG_CTR && request.endsWithNul) truth.reconnects += 1;
    // Its RESUME may be sent again before it is answered.
    if (request.type === DM_ULOG_RESUME && truth.reconnects > 0) truth.reconnects -= 1;
    if (request.type === DM_ULOG_RESUME && map !== undefined) this.#staysHeld(truth, map, owns);
    const recovered = request.type === DM_ULOG_SET_REGION_SYNC && request.values[1] === 1 && request.delivered;
    if (recovered) this.#found.get(request.uuid)?.delete(request.values[0] ?? 0);
    if (request.type === DM_ULOG_GET_SYNC_COUNT && reply.first >= regionCount) truth.latched = true;
    // A hint behind the last region ends all questions just so.
    if (request.type === DM_ULOG_IS_REMOTE_RECOVERING) {
      if (reply.second >= regionCount) truth.latched = true;
      const region = request.values[0] ?? 0;
      if (reply.first === 0) truth.admitted.add(region);
      else truth.admitted.delete(region);
      // "All of them" to a kernel whose writes must end is no hint: it has heard that until its next resume (R12).
      const ends = truth.letDrain && reply.second >= regionCount;
      if (!ends) truth.hintMax = Math.max(truth.hintMax, reply.second);
    }
    if (request.type === DM_ULOG_GET_RESYNC_WORK && reply.first === 1) truth.handedOut = reply.second;
    const marks = request.type === DM_ULOG_MARK_REGION || request.type === DM_ULOG_FLUSH;
    if (marks && request.values.length > 0) {
      truth.markOrder += 1;
      for (const region of request.values) {
        truth.marked.set(region, truth.markOrder);
        if (map?.isClean(region) === false) truth.dirtyWhenMarked.add(region);
        if (request.type === DM_ULOG_FLUSH) truth.flushed.add(region);
      }
    }
  }
}

/** Neither it nor its answer changes marks, writes or copies. */
function isQuestion(type: number): boolean {
  return (
    type === DM_ULOG_IN_SYNC ||
    type === DM_ULOG_IS_REMOTE_RECOVERING ||
    type === DM_ULOG_GET_SYNC_COUNT ||
    type === DM_ULOG_GET_RESYNC_WORK
  );
}

/** Which of its writes a leg fails the kernel does not say any more. */
function becomesDoubtful(truth: TargetTruth, map: RegionMap | undefined): void {
  truth.flushFailed = true;
  for (const region of truth.flushed) if (map?.isInSync(region) === true) truth.doubtful.add(region);
}

function* heldIn(map: RegionMap | undefined): Iterable<number> {
  if (map === undefined) return;
  for (let region = map.nextHeld(0); region >= 0; region = region + 1 < map.regionCount ? map.nextHeld(region + 1) : -1)
    yield region;
}

/** A flush that failed protects nothing: the kernel issues no write under its marks. */
function flushEnded(truth: TargetTruth, request: RequestRecord, error: number): void {
  if (error === -kernelErrno.ESRCH) return;
  for (const [region, order] of truth.marked) {
    if (truth.flushed.has(region) || order > request.markOrder) continue;
    if (error === 0) truth.flushed.add(region);
    else truth.marked.delete(region);
  }
}

/** What is held is promised with every FLUSH, whichever it came with. */
function flushPromised(truth: TargetTruth, request: RequestRecord, map: RegionMap | undefined): void {
  for (const region of request.values) truth.carried.delete(region);
  for (const region of truth.carried) if (map?.isHeld(region) === true) truth.kept.add(region);
}

function count(map: Map<number, number>, region: number, change: number): void {
  const next = (map.get(region) ?? 0) + change;
  if (next === 0) map.delete(region);
  else map.set(region, next);
}
