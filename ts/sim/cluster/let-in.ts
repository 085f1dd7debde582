/**
 * R8: a kernel that begins with a table takes for in sync what it is not told of, and may read either leg there. So where the legs differ
 * and nobody is at work, its host's copy has the region out of sync or marked by then; what only a log device knows was read before.
 *
 * A RESUME that was not answered, or whose answer was lost, is sent again, maybe to the next daemon. That answers at once where it can promise
 * nothing, as before it is in the group: the log was resumed, and its kernel knows what a kernel knows whose daemon was away.
 */
import type { RequestRecord } from '../daemon/requests.js';
import type { Host } from '../host.js';
import type { Simulation } from '../simulation.js';

export class LetIn {
  readonly #sim: Simulation;
  /** Tables whose RESUME was answered, by host. */
  readonly #resumed = new Map<Host, Set<string>>();

  constructor(sim: Simulation) {
    this.#sim = sim;
  }

  /** RESUME is answered. */
  resumed(host: Host, request: RequestRecord): void {
    const resumed = this.#resumed.get(host) ?? new Set();
    this.#resumed.set(host, resumed);
    if (!resumed.has(request.key)) check(this.#sim, host, request);
    resumed.add(request.key);
  }

  /** POSTSUSPEND is answered. */
  left(host: Host, { key }: RequestRecord): void {
    this.#resumed.get(host)?.delete(key);
  }

  /** It lost its power, or all that its daemon had stored. */
  forgets(host: Host): void {
    this.#resumed.delete(host);
  }
}

function check(sim: Simulation, host: Host, { key, uuid }: RequestRecord): void {
  const { evaluations, hosts } = sim;
  const legs = sim.shared.get(uuid)?.legs;
  const state = host.liveState(uuid);
  // Where two sides may go on nobody has to know what the other one wrote.
  if (legs === undefined || state === null || sim.cluster?.plan.twoNode !== false) return;
  // Nor what the others wrote since it was cut off: what it knows was the last word as it was taken in.
  if (!sim.cluster.group.quorate(host.node)) return;
  if (!host.truth.of({ key, uuid }).begins || state.marksUnknown || !host.follows(uuid)) return;
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
