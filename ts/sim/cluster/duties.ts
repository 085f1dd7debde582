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

  constructor(sim: Simulation) {
    this.#sim = sim;
  }

  /** A kernel begins a write to all legs. */
  written(uuid: string, region: number, by: Host, bonded: Iterable<Host>): void {
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
    hosts.add(by);
    for (const host of bonded) hosts.add(host);
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

  #underWay(uuid: string, region: number): boolean {
    return this.#sim.hosts.some((host) => host.liveTruth(uuid)?.open.has(region) === true);
  }
}
