/**
 * Looks at the whole world after every step. What is checked here must hold at every instant, whoever was killed a
 * moment ago: that is what makes a crash or a power cut at that instant harmless.
 */
import { LifeCycle } from '../../mirror/log-state.js';
import type { CountedState } from '../daemon/counted-state.js';
import type { SimMirror } from '../mirror.js';
import type { TargetTruth } from './kernel-truth.js';
import { type CheckWorld, liveState } from './world.js';

/** A sticky mark may outlive its idle time by this much: the time of a turn and of a commit under way. */
const stickySlackMs = 1500;

export function checkStep(world: CheckWorld): void {
  for (const mirror of world.mirrors.values()) {
    const log = mirror.device?.live?.log;
    if (log === undefined) continue;
    const truth = world.truth.of(log);
    const state = liveState(world, mirror);
    checkWriters(world, mirror, truth, state);
    if (mirror.legs.differingSectors > 0) checkDiffering(world, mirror, truth, state);
    if (state === undefined) continue;
    checkAssignment(world, truth, state);
    checkSticky(world, state);
  }
}

/** No region is clean, in memory or on the device, while a writer is at work in it under a mark. */
function checkWriters(world: CheckWorld, mirror: SimMirror, truth: TargetTruth, state: CountedState | undefined): void {
  const { evaluations } = world;
  for (const region of truth.open.keys()) {
    if (mirror.disk !== null) {
      evaluations.check(
        'clean-on-disk-under-writer',
        !mirror.disk.mayBeClean(region),
        () => `${mirror.shape.uuid}: region ${region} may be clean on the device under a writer`,
      );
    }
    if (state === undefined) continue;
    const map = state.map.inner;
    evaluations.check(
      'clean-under-writer',
      !map.isClean(region),
      () => `${mirror.shape.uuid}: region ${region} is clean under a writer`,
    );
    if (state.marksUnknown || truth.marksLost) continue;
    const kept = !truth.marked.has(region) || map.isHeld(region);
    evaluations.check(
      'R2-held-after-kill',
      kept,
      () => `${mirror.shape.uuid}: region ${region} is written and not stored as held`,
    );
  }
}

/** Where the legs differ, a power cut now must find the region not clean, and the live log must know. */
function checkDiffering(
  world: CheckWorld,
  mirror: SimMirror,
  truth: TargetTruth,
  state: CountedState | undefined,
): void {
  const { evaluations } = world;
  for (const region of mirror.legs.differingRegions) {
    // A table that was made shorter no longer speaks for what lies behind its end.
    if (region >= mirror.regionCount) continue;
    if (mirror.disk !== null) {
      evaluations.check(
        'clean-while-legs-differ',
        !mirror.disk.mayBeClean(region),
        () => `${mirror.shape.uuid}: the legs differ in region ${region}, which may be clean on the device`,
      );
    }
    if (state === undefined || state.lifeCycle !== LifeCycle.active) continue;
    const map = state.map.inner;
    evaluations.check(
      'clean-while-legs-differ',
      !map.isClean(region),
      () => `${mirror.shape.uuid}: the legs differ in region ${region}, which is clean in memory`,
    );
    if (state.marksUnknown || truth.open.has(region)) continue;
    evaluations.check(
      'in-sync-while-legs-differ',
      !map.isInSync(region) || map.isHeld(region),
      () => `${mirror.shape.uuid}: the legs differ in region ${region}, which counts as in sync and has no writer`,
    );
  }
}

function checkAssignment(world: CheckWorld, truth: TargetTruth, state: CountedState): void {
  if (truth.copying < 0 || state.marksUnknown || truth.marksLost) return;
  world.evaluations.check(
    'R6-assignment',
    state.recoveringRegion === truth.copying,
    () =>
      `${state.identity.uuid}: the kernel copies region ${truth.copying}, the record says ${state.recoveringRegion}`,
  );
}

function checkSticky(world: CheckWorld, state: CountedState): void {
  const { evaluations, nowMs } = world;
  const map = state.map.inner;
  const { regions } = state.sticky;
  evaluations.check('R17-bounds', state.sticky.size <= world.stickyMax, () => `${state.sticky.size} sticky marks`);
  if (regions.size === 0) return;
  const mayBeSticky = state.lifeCycle === LifeCycle.active && !state.marksUnknown;
  evaluations.check(
    'R5-sticky',
    mayBeSticky,
    () => `${state.identity.uuid}: sticky marks in life cycle ${state.lifeCycle}`,
  );
  for (const [region, sinceMs] of regions) {
    evaluations.check(
      'R5-sticky',
      map.isInSync(region) && !map.isClean(region),
      () => `${state.identity.uuid}: region ${region} is sticky and out of sync, or clean`,
    );
    const late = world.daemonPunctual && nowMs > sinceMs + world.stickyIdleMs + stickySlackMs;
    evaluations.check(
      'R5-sticky-ends',
      !late,
      () => `${state.identity.uuid}: region ${region} is sticky since ${nowMs - sinceMs} ms`,
    );
  }
}
