/**
 * Looks at the whole world after every step. What is checked here must hold at every instant, whoever was killed a
 * moment ago: that is what makes a crash or a power cut at that instant harmless.
 */

import { LifeCycle, serves } from '../../mirror/log-state.js';
import { decodeMembers } from '../../mirror/member-record.js';
import type { CountedState } from '../daemon/counted-state.js';
import type { LogDisk } from '../daemon/log-disk.js';
import type { SimMirror } from '../mirror.js';
import type { TargetTruth } from './kernel-truth.js';
import { type CheckedRule, Violation } from './violation.js';
import { type CheckWorld, liveState } from './world.js';

/** A sticky mark may outlive its idle time by this much: the time of a turn and of a commit under way. */
const stickySlackMs = 1500;
/** Within this time a daemon finds out that a log device is well again: a few of its attempts. */
const repairMsMax = 15_000;

/** A mirror of a host of several, as it is now and as it was looked at last. */
export interface SeenMirror {
  readonly mirror: SimMirror;
  readonly truth: TargetTruth | null;
  readonly state: CountedState | null;
  /** The daemon's copy is what all members have. */
  readonly follows: boolean;
  /** Since the last look. */
  readonly truthChanged: boolean;
  readonly stateChanged: boolean;
  diskChanges: number;
  acknowledgements: number;
  /** Of the sticky marks the one that was used longest ago; infinite: there is none. */
  stickySinceMs: number;
}

export function checkStep(world: CheckWorld): void {
  for (const mirror of world.mirrors.values()) {
    const log = mirror.device?.live?.log;
    if (log === undefined) continue;
    const truth = world.truth.of(log);
    const state = liveState(world, mirror);
    const follows = state !== undefined && world.follows(state.identity.uuid);
    checkWriters(world, mirror, truth, state, follows);
    if (mirror.legs.differingSectors > 0) {
      checkDiffering(world, mirror, truth, state);
      checkDevice(world, mirror);
    }
    if (state === undefined) continue;
    if (follows) checkMarked(world, mirror, truth, state);
    checkAssignment(world, truth, state);
    if (follows) checkSticky(world, mirror, state, truth);
    checkRepair(world, mirror, state);
  }
}

/**
 * The same for a host of several, of which most steps change nothing: looks where something is otherwise than at the last look. What
 * depends on the legs depends there on who wrote (see sim/cluster/duties.ts).
 */
export function checkSeen(world: CheckWorld, seen: SeenMirror): void {
  const { mirror, truth, state, follows } = seen;
  if (truth === null) return;
  const changed = seen.truthChanged || seen.stateChanged;
  const diskChanges = mirror.disk?.changes ?? 0;
  if (changed) checkWriters(world, mirror, truth, state ?? undefined, follows);
  else if (mirror.disk !== null && diskChanges !== seen.diskChanges)
    checkDeviceOfWriters(world, mirror, truth, mirror.disk);
  seen.diskChanges = diskChanges;
  if (state === null) return;
  if (changed) {
    if (follows) checkMarked(world, mirror, truth, state);
    checkAssignment(world, truth, state);
  }
  // Of the kernel's part only the loss of the daemon's state counts here, and then the record is another one.
  const { acknowledgements } = world.truth;
  if (seen.stateChanged || acknowledgements !== seen.acknowledgements) {
    seen.stickySinceMs = follows ? checkSticky(world, mirror, state, truth) : Number.POSITIVE_INFINITY;
    seen.acknowledgements = acknowledgements;
  } else if (seen.stickySinceMs < stickyLateMs(world)) checkSticky(world, mirror, state, truth);
}

function checkDeviceOfWriters(world: CheckWorld, mirror: SimMirror, { open }: TargetTruth, disk: LogDisk): void {
  for (const region of open.keys()) {
    if (disk.mayBeClean(region))
      fail('clean-on-disk-under-writer', mirror, region, 'may be clean on the device under a writer');
  }
  world.evaluations.held('clean-on-disk-under-writer', open.size);
}

/** No region is clean, in memory or on the device, while a writer is at work in it under a mark. */
function checkWriters(
  world: CheckWorld,
  mirror: SimMirror,
  truth: TargetTruth,
  state: CountedState | undefined,
  follows: boolean,
): void {
  const { evaluations } = world;
  const { open } = truth;
  if (open.size === 0) return;
  if (mirror.disk !== null) checkDeviceOfWriters(world, mirror, truth, mirror.disk);
  const map = state?.map.inner;
  if (map === undefined || state === undefined || !follows) return;
  const marksKnown = !state.marksUnknown && !truth.marksLost;
  for (const region of open.keys()) {
    if (map.isClean(region)) fail('clean-under-writer', mirror, region, 'is clean under a writer');
    if (!marksKnown) continue;
    const kept = map.isHeld(region) || !truth.marked.has(region);
    if (!kept) fail('R2-held-after-kill', mirror, region, 'is written and not stored as held');
  }
  evaluations.held('clean-under-writer', open.size);
  if (marksKnown) evaluations.held('R2-held-after-kill', open.size);
}

/** Where the legs differ, a power cut now must find the region not clean, and the live log must know. */
function checkDiffering(
  world: CheckWorld,
  mirror: SimMirror,
  truth: TargetTruth,
  state: CountedState | undefined,
): void {
  const { evaluations } = world;
  const map = state?.lifeCycle === LifeCycle.active ? state.map.inner : undefined;
  const marksKnown = state?.marksUnknown === false;
  for (const region of mirror.legs.differingRegions) {
    // A table that was made shorter no longer speaks for what lies behind its end.
    if (region >= mirror.regionCount) continue;
    if (map === undefined) continue;
    if (map.isClean(region))
      fail('clean-while-legs-differ', mirror, region, 'has different legs and is clean in memory');
    if (!marksKnown || truth.open.has(region)) continue;
    const known = !map.isInSync(region) || map.isHeld(region);
    if (!known)
      fail('in-sync-while-legs-differ', mirror, region, 'has different legs, counts as in sync and has no writer');
    evaluations.held('in-sync-while-legs-differ');
  }
}

/** Who finds the log device after a power cut of all must see that the legs differ. */
export function checkDevice({ evaluations }: Pick<CheckWorld, 'evaluations'>, mirror: SimMirror): void {
  const { disk, regionCount, legs } = mirror;
  for (const region of legs.differingRegions) {
    if (region < regionCount && disk?.mayBeClean(region) === true)
      fail('clean-while-legs-differ', mirror, region, 'has different legs and may be clean on the device');
  }
  if (legs.differingRegions.size > 0) evaluations.held('clean-while-legs-differ', legs.differingRegions.size);
}

/**
 * What was not clean when its mark was answered stays so until the kernel clears it. With others it may become clean by their
 * release while its mark is on its way; from the flush that made the mark safe on it must not be.
 */
function checkMarked(world: CheckWorld, mirror: SimMirror, truth: TargetTruth, state: CountedState): void {
  const map = state.map.inner;
  const { regionCount } = map;
  // What was marked before the state was lost is made dirty by the load.
  if (truth.marksLost || state.lifeCycle === LifeCycle.resuming) return;
  const marked = world.alone ? truth.dirtyWhenMarked : truth.flushed;
  for (const region of marked) {
    if (!truth.marked.has(region) || region >= regionCount) {
      marked.delete(region);
      continue;
    }
    if (map.isClean(region)) fail('clean-under-mark', mirror, region, 'is clean though its mark is held');
  }
  if (marked.size > 0) world.evaluations.held('clean-under-mark', marked.size);
}

function checkAssignment(world: CheckWorld, truth: TargetTruth, state: CountedState): void {
  if (truth.copying < 0 || state.marksUnknown || truth.marksLost) return;
  world.evaluations.check(
    'R6-assignment',
    state.recoveringRegion === truth.copying || (!world.alone && keepsForItself(state, truth.copying)),
    () =>
      `${state.identity.uuid}: the kernel copies region ${truth.copying}, the record says ${state.recoveringRegion}`,
  );
}

/** The copy that counts has no such assignment: the region is this kernel's alone, as if it had found it out of sync (R10). */
export function keepsForItself({ identity, members }: CountedState, region: number): boolean {
  const stored = decodeMembers(identity.uuid, members);
  return stored !== null && (stored.moreFound || stored.found.has(region));
}

/** The hint that the kernel was told, as its record says; or was about to be, when its daemon was killed. */
export function hintOf({ identity, members }: CountedState): number {
  return decodeMembers(identity.uuid, members)?.hint ?? 0;
}

function stickyLateMs({ daemonPunctual, nowMs, stickyIdleMs }: CheckWorld): number {
  return daemonPunctual ? nowMs - stickyIdleMs - stickySlackMs : Number.NEGATIVE_INFINITY;
}

/** Returns since when the one that was used longest ago is sticky. */
function checkSticky(world: CheckWorld, mirror: SimMirror, state: CountedState, truth: TargetTruth): number {
  const { evaluations, nowMs } = world;
  const map = state.map.inner;
  const { regions } = state.sticky;
  let firstMs = Number.POSITIVE_INFINITY;
  if (regions.size === 0) return firstMs;
  evaluations.check('R17-bounds', state.sticky.size <= world.stickyMax, () => `${state.sticky.size} sticky marks`);
  const mayBeSticky = state.lifeCycle === LifeCycle.active && !truth.marksLost;
  evaluations.check(
    'R5-sticky',
    mayBeSticky,
    () => `${state.identity.uuid}: sticky marks in life cycle ${state.lifeCycle}`,
  );
  const lateMs = stickyLateMs(world);
  for (const [region, sinceMs] of regions) {
    // Clean only while its mark is on its way through the ordered stream.
    const marked = !map.isClean(region) || world.truth.unacknowledged(mirror.shape.uuid, region);
    const sound = map.isInSync(region) && marked;
    if (!sound) fail('R5-sticky', mirror, region, 'is sticky and out of sync, or clean');
    if (sinceMs < lateMs) fail('R5-sticky-ends', mirror, region, `is sticky since ${nowMs - sinceMs} ms`);
    if (sinceMs < firstMs) firstMs = sinceMs;
  }
  evaluations.held('R5-sticky', regions.size);
  evaluations.held('R5-sticky-ends', regions.size);
  return firstMs;
}

/** A log that serves does not stay failed when its device is well, whether its kernel has noticed or not. */
function checkRepair(world: CheckWorld, mirror: SimMirror, state: CountedState): void {
  const { disk } = mirror;
  const { nowMs, evaluations } = world;
  const well = disk !== null && disk.fault === null && disk.stalledUntilMs <= nowMs;
  if (!state.logFailed || !well || !world.daemonPunctual || !serves(state)) {
    mirror.repairDueSinceMs = -1;
    return;
  }
  if (mirror.repairDueSinceMs < 0) mirror.repairDueSinceMs = nowMs;
  const sinceMs = nowMs - mirror.repairDueSinceMs;
  const text = () =>
    `${mirror.shape.uuid}: its log device is well since ${sinceMs} ms and the log still counts as failed`;
  evaluations.check('R16-healed', sinceMs <= repairMsMax, text);
}

function fail(rule: CheckedRule, mirror: SimMirror, region: number, text: string): never {
  throw new Violation(rule, `${mirror.shape.uuid}: region ${region} ${text}`);
}
