/** The last look at a healed world. */

import { requestNames } from '../../base/ulog-frames.js';
import type { Host } from '../host.js';
import type { SimMirror } from '../mirror.js';
import type { PlannedMirror, Simulation } from '../simulation.js';
import { cleanBit } from './log-bytes.js';
import { Violation } from './violation.js';
import { liveState } from './world.js';

/** Right after a mirror's POSTSUSPEND, all of it in sync and nobody writing. */
export function suspendedCheck(host: Host, mirror: SimMirror): void {
  const { evaluations } = host;
  const state = liveState(host, mirror);
  if (state === undefined) throw new Error('a suspended log has no record');
  const { uuid } = mirror.shape;
  evaluations.check(
    'R16-healed',
    !state.logFailed,
    () => `${uuid}: the log device is well and the log still counts as failed`,
  );
  const count = state.geometry.regionCount;
  for (let region = 0; region < count; region++) {
    // A clear that left the kernel after POSTSUSPEND leaves its region dirty: that costs a resync and no data.
    const late = state.map.inner.isHeld(region);
    const clean = mirror.disk === null ? state.map.inner.isClean(region) : cleanBit(mirror.disk.durable, region);
    evaluations.check(
      'log-clean-at-the-end',
      clean || late,
      () => `${uuid}: region ${region} is dirty after an orderly suspend`,
    );
  }
}

/** All mirrors are gone: compare the legs. */
export function finalCheck(sim: Simulation): void {
  const { evaluations } = sim;
  for (const mirror of sim.shared.values()) checkLegs(sim, mirror);
  for (const host of sim.hosts) {
    const left = host.states?.live.size ?? 0;
    evaluations.check('everything-answered', left === 0, () => `${left} logs are left that nobody knows`);
    const { errors } = host.workload;
    evaluations.check('everything-answered', errors === 0, () => `${errors} writes failed`);
    for (const { type, seq, uuid } of host.daemon?.forgotten() ?? []) {
      const request = `${requestNames[type] ?? type} #${seq} of ${uuid}`;
      throw new Violation('one-answer', `${request} was taken and never answered`);
    }
    evaluations.held('one-answer');
    const unanswered = host.kernel?.client.waiting ?? 0;
    evaluations.check('everything-answered', unanswered === 0, () => `${unanswered} requests were never answered`);
  }
}

function checkLegs(sim: Simulation, mirror: PlannedMirror): void {
  const { evaluations } = sim;
  const { legs } = mirror;
  const { uuid } = mirror.shape;
  const sectors = Math.max(...sim.hosts.map((host) => host.mirrors.get(uuid)?.sectors ?? 0));
  let differing = 0;
  let lost = -1;
  for (let sector = 0; sector < sectors; sector++) {
    if (legs.stamp(0, sector) !== legs.stamp(1, sector)) differing += 1;
    if (legs.stamp(0, sector) < (legs.acknowledged[sector] as number)) lost = sector;
  }
  evaluations.check(
    'legs-identical',
    differing === 0,
    () => `${uuid}: the legs differ in ${differing} sectors after healing`,
  );
  evaluations.check('acknowledged-kept', lost < 0, () => `${uuid}: an acknowledged write to sector ${lost} is gone`);
}
