/**
 * Who must know of which write: when a kernel writes a region to all legs, every host that is bonded to its own must have the region
 * not clean, as long as the legs differ there or the write is under way. The duty stays with a host that is cut off, and goes over
 * to whoever gets its copy from one that has it, when it has come to the place in the order at which both follow: what a new writer has
 * found on the log device is told in the order.
 *
 * Kept by looking at kernels and legs; what daemons believe decides nothing here.
 */
import type { Host } from '../host.js';
import type { Simulation } from '../simulation.js';
import type { Bonds } from './bonds.js';
import type { Sight } from './sights.js';

export interface Duty {
  readonly region: number;
  /** Hosts that must know. */
  readonly hosts: Set<Host>;
  /** Two sides wrote it. */
  contested: boolean;
  /** Nobody has looked since somebody came to it. */
  fresh: boolean;
}

interface Bond {
  readonly a: Host;
  readonly b: Host;
  /** In the order: where both follow. */
  readonly place: number;
}

export class Duties {
  readonly #sim: Simulation;
  readonly #bonds: Bonds;
  /** By uuid and region. */
  readonly #duties = new Map<string, Map<number, Duty>>();
  /** By uuid: one of them has not heard yet what the other one has. */
  readonly #fresh = new Map<string, Bond[]>();

  constructor(sim: Simulation, bonds: Bonds) {
    this.#sim = sim;
    this.#bonds = bonds;
  }

  /**
   * A kernel begins a write to all legs. Nobody can keep two sides apart that both may go on: a region that both write is told of
   * when they meet (R13), and until its legs are equal nobody has a duty for it.
   */
  written(uuid: string, region: number, by: Host, bonded: Iterable<Host>, apart: (other: Host) => boolean): void {
    const duty = this.#duty(uuid, region);
    const { hosts } = duty;
    const copies = (other: Host) => other.liveTruth(uuid)?.copying === region;
    const { cluster, shared } = this.#sim;
    // What a side that is gone by now wrote nobody here can know.
    const unknown = cluster?.plan.twoNode === true && !hosts.has(by);
    if (unknown && shared.get(uuid)?.legs.differingRegions.has(region)) contest(duty);
    const contested = this.#sim.hosts.some(
      (other) => other !== by && (copies(other) || hosts.has(other)) && apart(other),
    );
    if (contested || duty.contested) {
      contest(duty);
      return;
    }
    duty.fresh = true;
    hosts.add(by);
    for (const host of bonded) hosts.add(host);
  }

  /** A kernel begins to copy a region from leg to leg: that is a write too. */
  copied(uuid: string, region: number, by: Host, apart: (other: Host) => boolean): void {
    const duty = this.#duties.get(uuid)?.get(region);
    if (duty !== undefined && [...duty.hosts].some((other) => other !== by && apart(other))) contest(duty);
  }

  /** Two hosts have the same copy from now on. */
  bonded(uuid: string, a: Host, b: Host): void {
    const bond = { a, b, place: Math.max(placeOf(a), placeOf(b)) };
    this.#fresh.set(uuid, [...(this.#fresh.get(uuid) ?? []), bond]);
  }

  /**
   * Of two that each may have gone on alone, what one has marked the other has heard when it knows what all kernels hold (R3), where its own
   * copy counts.
   */
  pass(uuid: string, seen: readonly Sight[]): void {
    const fresh = this.#fresh.get(uuid);
    if (fresh === undefined) return;
    const unheard = this.#sim.cluster?.plan.twoNode === true && !seen.every(({ settled }) => settled);
    const waiting = fresh.filter(({ a, b, place }) => {
      if (!this.#bonds.bonded(uuid, a, b)) return false;
      if (unheard || placeOf(a) < place || placeOf(b) < place) return true;
      this.#pass(uuid, a, b);
      return false;
    });
    if (waiting.length > 0) this.#fresh.set(uuid, waiting);
    else this.#fresh.delete(uuid);
  }

  #pass(uuid: string, a: Host, b: Host): void {
    for (const duty of this.#duties.get(uuid)?.values() ?? []) {
      const { hosts } = duty;
      if (hosts.has(a) === hosts.has(b)) continue;
      hosts.add(a).add(b);
      duty.fresh = true;
    }
  }

  /** A host lost its memory: it owes nothing any more. */
  released(host: Host): void {
    for (const duties of this.#duties.values()) for (const { hosts } of duties.values()) hosts.delete(host);
  }

  /** Regions of which somebody must know. Those that are equal on both legs again are dropped; `sights` are the hosts of the log. */
  each(uuid: string, sights: readonly Sight[], visit: (duty: Duty) => void): void {
    const duties = this.#duties.get(uuid);
    const legs = this.#sim.shared.get(uuid)?.legs;
    if (duties === undefined || legs === undefined) return;
    for (const duty of duties.values()) {
      const { region } = duty;
      if (legs.differingRegions.has(region) || isWritten(region, sights)) visit(duty);
      else duties.delete(region);
    }
  }

  #duty(uuid: string, region: number): Duty {
    let duties = this.#duties.get(uuid);
    if (duties === undefined) {
      duties = new Map();
      this.#duties.set(uuid, duties);
    }
    let duty = duties.get(region);
    if (duty === undefined) {
      duty = { region, hosts: new Set(), contested: false, fresh: true };
      duties.set(region, duty);
    }
    return duty;
  }
}

function isWritten(region: number, sights: readonly Sight[]): boolean {
  for (const { truth } of sights) if (truth?.open.has(region)) return true;
  return false;
}

function contest(duty: Duty): void {
  duty.hosts.clear();
  duty.contested = true;
}

function placeOf({ membership }: Host): number {
  return membership?.taken ?? 0;
}
