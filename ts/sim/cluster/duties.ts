/**
 * Who must know of which write: when a kernel writes a region to all legs, every host that is bonded to its own must have the region
 * not clean, as long as the legs differ there or the write is under way. The duty stays with a host that is cut off, and goes over
 * to whoever gets its copy from one that has it.
 *
 * Kept by looking at kernels and legs; what daemons believe decides nothing here.
 */
import type { Host } from '../host.js';
import type { Simulation } from '../simulation.js';

export class Duties {
  readonly #sim: Simulation;
  /** By uuid: region -> hosts that must know. */
  readonly #regions = new Map<string, Map<number, Set<Host>>>();

  /** Of regions that two sides wrote. */
  readonly #contested = new WeakSet<Set<Host>>();

  constructor(sim: Simulation) {
    this.#sim = sim;
  }

  /**
   * A kernel begins a write to all legs. Nobody can keep two sides apart that both may go on: a region that both write is told of
   * when they meet (R13), and until its legs are equal nobody has a duty for it.
   */
  written(uuid: string, region: number, by: Host, bonded: Iterable<Host>, apart: (other: Host) => boolean): void {
    let regions = this.#regions.get(uuid);
    if (regions === undefined) {
      regions = new Map();
      this.#regions.set(uuid, regions);
    }
    let hosts = regions.get(region);
    if (hosts === undefined) {
      hosts = new Set();
      regions.set(region, hosts);
    }
    const copies = (other: Host) => other.liveTruth(uuid)?.copying === region;
    const { cluster, shared } = this.#sim;
    // What a side that is gone by now wrote nobody here can know.
    const unknown = cluster?.plan.twoNode === true && !hosts.has(by);
    if (unknown && shared.get(uuid)?.legs.differingRegions.has(region)) this.#contest(hosts);
    const contested = this.#sim.hosts.some(
      (other) => other !== by && (copies(other) || hosts.has(other)) && apart(other),
    );
    if (contested || this.#contested.has(hosts)) {
      this.#contest(hosts);
      return;
    }
    hosts.add(by);
    for (const host of bonded) hosts.add(host);
  }

  /** A kernel begins to copy a region from leg to leg: that is a write too. */
  copied(uuid: string, region: number, by: Host, apart: (other: Host) => boolean): void {
    const hosts = this.#regions.get(uuid)?.get(region);
    if (hosts !== undefined && [...hosts].some((other) => other !== by && apart(other))) this.#contest(hosts);
  }

  /** Two hosts have the same copy from now on. */
  bonded(uuid: string, a: Host, b: Host): void {
    for (const hosts of this.#regions.get(uuid)?.values() ?? []) {
      if (hosts.has(a)) hosts.add(b);
      else if (hosts.has(b)) hosts.add(a);
    }
  }

  /** A host lost its memory: it owes nothing any more. */
  released(host: Host): void {
    for (const regions of this.#regions.values()) for (const hosts of regions.values()) hosts.delete(host);
  }

  /** Regions of which somebody must know, and who. Those that are equal on both legs again are dropped. */
  *of(uuid: string): Iterable<readonly [number, ReadonlySet<Host>]> {
    const regions = this.#regions.get(uuid);
    const legs = this.#sim.shared.get(uuid)?.legs;
    if (regions === undefined || legs === undefined) return;
    for (const [region, hosts] of regions) {
      if (legs.differingRegions.has(region) || this.#underWay(uuid, region)) yield [region, hosts];
      else regions.delete(region);
    }
  }

  #contest(hosts: Set<Host>): void {
    hosts.clear();
    this.#contested.add(hosts);
  }

  #underWay(uuid: string, region: number): boolean {
    return this.#sim.hosts.some((host) => host.liveTruth(uuid)?.open.has(region) === true);
  }
}
