/**
 * Judges every reply at the instant at which the core gives it: the daemon may be killed right after, so what the
 * reply promises must be stored by then (R2), on stable storage by then (R1), and true by then.
 */
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_CTR,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_CLEAN,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_STATUS_INFO,
  requestNames,
} from '../../base/ulog-frames.js';
import { LifeCycle, serves } from '../../mirror/log-state.js';
import type { CountedState } from '../daemon/counted-state.js';
import type { ReplyRecord, RequestRecord } from '../daemon/requests.js';
import type { SimMirror } from '../mirror.js';
import { cleanBit, forEachNotClean, readLogBytes, sessionClosed, sessionIntact } from './log-bytes.js';
import { keepsForItself } from './step-checks.js';
import type { CheckWorld } from './world.js';

interface Judged {
  readonly world: CheckWorld;
  readonly request: RequestRecord;
  readonly reply: ReplyRecord;
  readonly mirror: SimMirror;
  readonly state: CountedState;
}

export function checkReply(world: CheckWorld, request: RequestRecord, reply: ReplyRecord): void {
  const mirror = world.mirrors.get(request.uuid);
  if (request.hostile) {
    checkRefused(world, request, reply);
    return;
  }
  const state = world.states?.find(request.key);
  if (request.type === DM_ULOG_DTR && reply.error === 0) {
    world.evaluations.check('R2-store-before-reply', state === undefined, () => 'DTR answered, the record is there');
  }
  if (reply.error !== 0 || mirror === undefined || request.type === DM_ULOG_DTR) return;
  // RESUME of a log that is not known promises nothing: the next request makes the kernel reconnect.
  const promised = request.type !== DM_ULOG_RESUME;
  world.evaluations.check(
    'identity',
    state !== undefined || !promised,
    () => `${name(request)} answered 0 without a record`,
  );
  if (state === undefined) return;
  checkDoubtful(world, request, state, world.truth.of(request).doubtful);
  judges[request.type]?.({ world, request, reply, mirror, state });
}

/** A request that nobody honest sends must be refused, and nothing may have come of it. */
function checkRefused(world: CheckWorld, request: RequestRecord, reply: ReplyRecord): void {
  world.evaluations.check(
    'refused-request',
    reply.error < 0,
    () => `${name(request)} that makes no sense was answered 0`,
  );
}

const judges: Readonly<Record<number, (judged: Judged) => void>> = {
  [DM_ULOG_CTR]: checkConstructor,
  [DM_ULOG_RESUME]: checkResume,
  [DM_ULOG_PRESUSPEND]: (judged) => checkLifeCycle(judged, LifeCycle.halted),
  [DM_ULOG_POSTSUSPEND]: checkPostsuspend,
  [DM_ULOG_MARK_REGION]: checkHeld,
  [DM_ULOG_CLEAR_REGION]: checkCleared,
  [DM_ULOG_FLUSH]: checkFlush,
  [DM_ULOG_IN_SYNC]: checkInSync,
  [DM_ULOG_IS_CLEAN]: checkIsClean,
  [DM_ULOG_GET_RESYNC_WORK]: checkHandOut,
  [DM_ULOG_SET_REGION_SYNC]: checkSetSync,
  [DM_ULOG_GET_SYNC_COUNT]: checkSyncCount,
  [DM_ULOG_IS_REMOTE_RECOVERING]: checkHint,
  [DM_ULOG_STATUS_INFO]: checkStatus,
};

function checkConstructor({ world, request, state }: Judged): void {
  world.evaluations.check(
    'R2-store-before-reply',
    state.constructorText === request.text,
    () => `CTR answered, the record says "${state.constructorText}" instead of "${request.text}"`,
  );
  if (world.truth.of(request).marksLost) checkUnknown(world, request, state);
  // When RESUME finds nobody the kernel gives up the question for which it reconnects, and writes one leg of a region in sync.
  if (request.endsWithNul && serves(state)) {
    world.evaluations.check(
      'R3-reconnect',
      state.marksUnknown,
      () => `${name(request)} repeated and answered, and its marks count as known before RESUME has come`,
    );
  }
}

function checkUnknown(world: CheckWorld, request: RequestRecord, state: CountedState): void {
  world.evaluations.check(
    'R3-marks-unknown',
    state.marksUnknown,
    () => `${name(request)}: the state was lost under a live kernel, and the log goes on as if it knew its marks`,
  );
}

function checkLifeCycle({ world, request, state }: Judged, expected: LifeCycle): void {
  world.evaluations.check(
    'R2-store-before-reply',
    state.lifeCycle === expected,
    () => `${name(request)} answered in life cycle ${state.lifeCycle}, expected ${expected}`,
  );
}

function checkResume(judged: Judged): void {
  const { world, request, state, mirror } = judged;
  // A kernel of unknown marks that must drain is let go although the log cannot be loaded (R3), and any that only reconnects.
  const { draining, drained, endUnsaid, begins } = world.truth.of(request);
  if (state.lifeCycle === LifeCycle.resuming && draining && (state.marksUnknown || !begins)) return;
  // A reconnect's RESUME waits for a commit, and another thread suspends meanwhile; or has, and the commit is that of the leave.
  if (state.lifeCycle === LifeCycle.halted && draining) return;
  // For a daemon that has only found the log halted it may be that of a reconnect.
  if (state.lifeCycle === LifeCycle.halted && endUnsaid) return;
  if (state.lifeCycle !== LifeCycle.active && drained) return;
  checkLifeCycle(judged, LifeCycle.active);
  if (world.truth.of(request).marksLost) checkUnknown(world, request, state);
  // With others the device is the writer's, and follows the copies.
  if (mirror.disk !== null && world.alone) checkBytes(judged, false);
  for (const region of mirror.reads.get(request.seq) ?? []) {
    world.evaluations.check(
      'R9-resume-reads',
      region >= state.geometry.regionCount || !state.map.inner.isInSync(region),
      () => `${name(request)}: region ${region} was not clean on the device and counts as in sync`,
    );
  }
  mirror.reads.delete(request.seq);
}

function checkPostsuspend(judged: Judged): void {
  const { world, request, state, mirror } = judged;
  checkLifeCycle(judged, LifeCycle.pending);
  if (mirror.disk === null || !world.alone) return;
  checkBytes(judged, true);
  const map = state.map.inner;
  for (
    let region = map.nextDirty(0);
    region >= 0;
    region = region + 1 < map.regionCount ? map.nextDirty(region + 1) : -1
  ) {
    const reason = map.isHeld(region) || !map.isInSync(region) || state.marksUnknown;
    world.evaluations.check(
      'R5-sticky-ends',
      reason,
      () => `${name(request)}: region ${region} stays dirty for no reason`,
    );
  }
}

/** The device's bytes at a moment when nothing is on its way to it: exactly the classic area and the session (R9). */
function checkBytes({ world, request, state, mirror }: Judged, closed: boolean): void {
  const { evaluations } = world;
  const disk = mirror.disk;
  if (disk === null || state.logFailed) return;
  const map = state.map.inner;
  const found = readLogBytes(disk.durable, map.regionCount);
  evaluations.check('R9-bytes', found.fault === '', () => `${name(request)}: ${found.fault}`);
  // What a RESUME of a log that serves does not answer for: marks that wait for their flush, and what became dirty behind it
  // because a flush knew of no marks (R3), which waits for that flush.
  const { flushed } = world.truth.of(request);
  const later = (region: number) => map.isHeld(region) || request.cleanThen?.has(region) === true;
  const unflushed = (region: number) => later(region) && !flushed.has(region);
  const wrong = closed ? firstWrongBit(disk.durable, state) : firstTooClean(disk.durable, state, unflushed);
  evaluations.check('R9-bytes', wrong < 0, () => `${name(request)}: the bit of region ${wrong} on the device is wrong`);
  const intact = found.hasSession && sessionIntact(disk.durable) && sessionClosed(disk.durable) === closed;
  evaluations.check('R9-session', intact, () => `${name(request)}: no session record, or not closed=${closed}`);
}

function firstWrongBit(bytes: Uint8Array, state: CountedState): number {
  const map = state.map.inner;
  let notClean = 0;
  forEachNotClean(bytes, map.regionCount, () => {
    notClean += 1;
  });
  const tooClean = firstTooClean(bytes, state);
  if (tooClean >= 0 || notClean === map.regionCount - map.cleanCount) return tooClean;
  let wrong = -1;
  forEachNotClean(bytes, map.regionCount, (region) => {
    if (wrong < 0 && map.isClean(region)) wrong = region;
  });
  return wrong;
}

/** A clean bit may come to the device later than to memory, never sooner. */
function firstTooClean(
  bytes: Uint8Array,
  state: CountedState,
  exempt: (region: number) => boolean = () => false,
): number {
  const map = state.map.inner;
  for (
    let region = map.nextDirty(0);
    region >= 0;
    region = region + 1 < map.regionCount ? map.nextDirty(region + 1) : -1
  ) {
    if (cleanBit(bytes, region) && !exempt(region)) return region;
  }
  return -1;
}

function checkHeld({ world, request, state }: Judged): void {
  for (const region of request.values) {
    world.evaluations.check(
      'R2-store-before-reply',
      state.map.inner.isHeld(region),
      () => `${name(request)} answered before region ${region} was stored as held`,
    );
  }
}

function checkCleared({ world, request, state }: Judged): void {
  // A CLEAR behind a FLUSH that failed is not believed; where that was before the last suspend, not until all know what is in doubt since.
  const { flushFailed } = world.truth.of(request);
  if (state.logFailed || ((flushFailed || state.doubted) && !world.alone)) return;
  for (const region of request.values) {
    world.evaluations.check(
      'R2-store-before-reply',
      !state.map.inner.isHeld(region),
      () => `${name(request)} answered, region ${region} is still stored as held`,
    );
  }
}

/** What was held when a FLUSH failed may differ between the legs, and the kernel does not say so. */
function checkDoubtful(world: CheckWorld, request: RequestRecord, state: CountedState, doubtful: Set<number>): void {
  if (state.lifeCycle !== LifeCycle.active || state.marksUnknown) return;
  const { inner } = state.map;
  for (const region of doubtful) {
    world.evaluations.check(
      'R16-flush-failed',
      inner.isHeld(region) || !inner.isInSync(region),
      () => `${name(request)}: region ${region} was held when a FLUSH failed, and counts as in sync`,
    );
    if (!inner.isInSync(region)) doubtful.delete(region);
  }
}

function checkFlush(judged: Judged): void {
  const { world, request, state, mirror } = judged;
  checkHeld(judged);
  const truth = world.truth.of(request);
  for (const [region, order] of truth.marked) {
    if (order > request.markOrder) continue;
    if (mirror.disk !== null) {
      world.evaluations.check(
        'R1-flush-disk',
        !mirror.disk.mayBeClean(region),
        () => `${name(request)} answered, region ${region} may be clean on the device after a power cut`,
      );
    }
    const underWay = world.truth.unacknowledged(request.uuid, region);
    // What is safe since an earlier flush or resume is with every member still, however often it is announced since (R13: repeats go on).
    const repeats = !world.alone && (truth.flushed.has(region) || truth.known.has(region));
    const acknowledged = repeats || !underWay;
    const delivered = state.marksUnknown || state.owners.has(world.node, region) || (repeats && underWay);
    world.evaluations.check(
      'R1-flush-core',
      !state.map.inner.isClean(region) && delivered && acknowledged,
      () => `${name(request)} answered, the mark of region ${region} is not with every member`,
    );
  }
  for (const region of request.values) checkMarkDurable(judged, region);
}

function checkMarkDurable({ world, request, mirror }: Judged, region: number): void {
  if (mirror.disk === null) return;
  world.evaluations.check(
    'R1-flush-disk',
    !mirror.disk.mayBeClean(region),
    () => `${name(request)} answered, region ${region} of its own marks may be clean on the device`,
  );
}

function checkInSync({ world, request, reply, state, mirror }: Judged): void {
  const region = request.values[0] ?? 0;
  const { evaluations, truth } = world;
  if (mustDrain(world, request, state)) {
    evaluations.check(
      'R2-draining',
      reply.first === 1,
      () => `IN_SYNC of region ${region} answered ${reply.first} to a kernel whose writes must end`,
    );
  } else if (state.lifeCycle === LifeCycle.halted) {
    evaluations.check(
      'R10-halted',
      reply.first === 1,
      () => `IN_SYNC of region ${region} answered ${reply.first} while halted`,
    );
  } else if (truth.of(request).latched) {
    evaluations.check(
      'R12-latch',
      reply.first === 1,
      () => `IN_SYNC of region ${region} answered ${reply.first} after the latch`,
    );
  } else if (state.marksUnknown && !world.alone && state.lifeCycle === LifeCycle.active) {
    evaluations.check(
      'R12-latch',
      reply.first === 1,
      () => `IN_SYNC of region ${region} answered ${reply.first} to a kernel that may have heard any hint`,
    );
  } else if (!state.inSyncLatched && !state.marksUnknown && state.lifeCycle === LifeCycle.active) {
    const { hintMax, admitted, admittedBefore, roundUnknown } = truth.of(request);
    const live = mirror.device?.live?.log;
    const hint = live?.key === request.key ? live.hint : 0;
    const inSync = state.map.inner.isInSync(region);
    // A kernel that does not ask who recovers a region must not write to it without a mark.
    const must = inSync || (!world.alone && (region < hint || admitted.has(region)));
    const may = must || (!world.alone && (region < hintMax || admittedBefore.has(region) || roundUnknown));
    evaluations.check(
      'in-sync-answer',
      reply.first === 1 ? may : !must,
      () => `IN_SYNC of ${region}: ${reply.first}, is ${must ? 1 : 0}`,
    );
  }
}

function checkIsClean({ world, request, reply, state }: Judged): void {
  const region = request.values[0] ?? 0;
  const expected = state.map.inner.isClean(region) ? 1 : 0;
  world.evaluations.check('in-sync-answer', reply.first === expected, () => `IS_CLEAN of ${region}: ${reply.first}`);
}

function checkHandOut({ world, request, reply, state, mirror }: Judged): void {
  if (reply.first === 0) return;
  const { evaluations, truth } = world;
  const region = reply.second;
  const { copying, handedOut } = truth.of(request);
  const allowed =
    reply.first === 1 &&
    state.lifeCycle === LifeCycle.active &&
    !state.marksUnknown &&
    !state.map.inner.isInSync(region) &&
    (copying < 0 || copying === region);
  evaluations.check(
    'R4-hand-out',
    allowed,
    () => `region ${region} handed out (life cycle ${state.lifeCycle}, copying ${copying})`,
  );
  // A kernel that did not hear of it asks again: one region at a time, whatever it heard.
  evaluations.check(
    'R6-assignment',
    handedOut < 0 || handedOut === region,
    () => `region ${region} handed out, and the end of ${handedOut} was not reported`,
  );
  evaluations.check(
    'R2-store-before-reply',
    state.recoveringRegion === region,
    () => `region ${region} handed out, the record says ${state.recoveringRegion}`,
  );
  evaluations.check(
    'resync-only-dirty',
    mirror.mayRecoverAll || mirror.mayRecover.has(region),
    () => `region ${region} is resynced, though it was clean on the log device and never failed`,
  );
}

function checkSetSync({ world, request, state }: Judged): void {
  const [region = 0, flag = 0] = request.values;
  const told = state.recoveringRegion !== region || state.recoveringNode >= 0;
  // What nobody knows that this host's kernel copies, any more or yet, says nothing (R6).
  const unasked = flag === 1 && !request.delivered;
  const holds = told && (unasked || state.map.inner.isInSync(region) === (flag === 1));
  world.evaluations.check(
    'R2-store-before-reply',
    holds,
    () => `SET_REGION_SYNC(${region}, ${flag}) answered, not stored`,
  );
}

function checkSyncCount({ world, request, reply, state }: Judged): void {
  // The kernel keeps "all" as its hint, and may have been resumed by then, unheard.
  if (!world.alone && state.lifeCycle !== LifeCycle.active) {
    const text = () => `${name(request)}: all ${reply.first} regions, of a log that is not in use`;
    world.evaluations.check('R12-latch', reply.first < state.map.inner.regionCount, text);
  }
  if (state.marksUnknown || state.lifeCycle !== LifeCycle.active) return;
  const expected = state.map.inner.syncCount;
  world.evaluations.check(
    'in-sync-answer',
    reply.first === expected,
    () => `GET_SYNC_COUNT: ${reply.first} of ${expected}`,
  );
}

/** Its log cannot be loaded, and its kernel was told that it may suspend: writes that are held back would hold it up. */
function mustDrain(world: CheckWorld, request: RequestRecord, state: CountedState): boolean {
  const { letDrain, marksLost } = world.truth.of(request);
  return state.lifeCycle === LifeCycle.resuming && letDrain && !marksLost;
}

function checkHint({ world, request, reply, state, mirror }: Judged): void {
  const { evaluations } = world;
  const count = state.map.inner.regionCount;
  if (mustDrain(world, request, state)) {
    const text = () => `IS_REMOTE_RECOVERING ${reply.first}, ${reply.second} to a kernel whose writes must end`;
    evaluations.check('R2-draining', reply.first === 0 && reply.second === count, text);
    return;
  }
  if (state.lifeCycle === LifeCycle.halted) {
    const holds = reply.first === 0 && reply.second === count;
    evaluations.check('R10-halted', holds, () => `IS_REMOTE_RECOVERING while halted: ${reply.first}, ${reply.second}`);
    return;
  }
  if (state.lifeCycle !== LifeCycle.active || state.marksUnknown) return;
  const first = state.map.inner.nextOutOfSync(0);
  const hint = first < 0 ? count : first;
  // Whose copy does not follow does not know it, and may say what is safe: nought.
  const known = world.follows(state.identity.uuid);
  evaluations.check(
    'R18-hint',
    reply.second === hint || (!known && reply.second === 0),
    () => `hint ${reply.second}, the first region out of sync is ${hint}`,
  );
  if (world.alone) {
    const text = () => `${mirror.shape.uuid}: another node recovers, on one host`;
    evaluations.check('R4-hand-out', reply.first === 0, text);
  } else if (reply.first === 0) {
    // A kernel that hears "no" may write without a mark to a region that another one may be given at any time; not when IN_SYNC
    // says yes of all regions until its next resume (R12), for then it marks; nor when it has marked it, and others know that: then
    // IN_SYNC says yes in the same round, which is looked at there; nor when it has found the region out of sync: it alone is given it.
    // Nor when it suspends, which waits for its writes, or looks as if it did: they are marked, as IN_SYNC says yes.
    const region = request.values[0] ?? 0;
    const { latched, copying, handedOut, hintMax, draining, drainingUnheard, amidWrites } = world.truth.of(request);
    const found = world.truth.hasFound(request.uuid, region) || keepsForItself(state, region);
    const marks =
      latched ||
      state.inSyncLatched ||
      region < hintMax ||
      state.map.isHeld(region) ||
      found ||
      draining ||
      drainingUnheard ||
      amidWrites === 'counted';
    const may = state.map.inner.isInSync(region) || marks || copying === region || handedOut === region;
    evaluations.check(
      'R4-hand-out',
      may,
      () => `${name(request)}: region ${region} is out of sync, and no "recovering"`,
    );
  }
}

function checkStatus({ world, reply, state, mirror }: Judged): void {
  const disk = mirror.disk;
  const letter = state.logFailed ? 'D' : 'A';
  const expected = disk === null ? '1 clustered-core' : `3 clustered-disk ${disk.major}:${disk.minor} ${letter}`;
  world.evaluations.check(
    'R16-status',
    reply.text === expected,
    () => `STATUS_INFO "${reply.text}", expected "${expected}"`,
  );
}

function name(request: RequestRecord): string {
  return `${requestNames[request.type] ?? request.type} of ${request.uuid} (${request.luidLow})`;
}
