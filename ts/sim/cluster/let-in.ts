/**
 * R8: a kernel that begins with a table takes for in sync what it is not told of, and may read either leg there. So where the legs differ
 * and nobody is at work, its host's copy has the region out of sync or marked by then; what only a log device knows was read before.
 */
import type { RequestRecord } from '../daemon/requests.js';
import type { Host } from '../host.js';
import type { Simulation } from '../simulation.js';

/** RESUME is answered. */
export function checkLetIn(sim: Simulation, host: Host, { key, uuid }: RequestRecord): void {
  const { evaluations, hosts } = sim;
  const legs = sim.shared.get(uuid)?.legs;
  const state = host.liveState(uuid);
  // Where two sides may go on nobody has to know what the other one wrote.
  if (legs === undefined || state === null || sim.cluster?.plan.twoNode !== false) return;
  // Nor what the others wrote since it was cut off: what it knows was the last word as it was taken in.
  if (!sim.cluster.group.quorate(host.node)) return;
  if (!host.truth.of({ key, uuid }).begins || state.marksUnknown) return;
  const truths = hosts.map((other) => other.liveTruth(uuid));
  // R3: what a kernel holds is not known, and so not who owns it.
  if (truths.some((truth) => truth?.marksLost === true) || host.daemon?.settled(uuid) === false) return;
  const map = state.map.inner;
  for (const region of legs.differingRegions) {
    if (region >= map.regionCount || truths.some((truth) => truth?.open.has(region) === true)) continue;
    evaluations.check(
      'R8-let-in',
      !map.isInSync(region) || map.isHeld(region) || state.owners.ownerCount(region) > 0,
      () => `${uuid}: the legs differ in region ${region}, which the kernel of ${host.name} takes for in sync`,
    );
  }
}
