/**
 * Which hosts must know the same of a log, as the world sees it: two hosts are *bonded* when each has the other in its view,
 * both copies follow the stream, and one of them came to follow while they were together. Two sides that meet again are
 * not bonded before one of them has given its copy up and taken the other's.
 */
import type { Host } from '../host.js';
import type { Simulation } from '../simulation.js';

interface Pair {
  together: boolean;
  bonded: boolean;
  /** Both followed when they met: who is right is not decided yet. */
  undecided: boolean;
}

export class Bonds {
  readonly #sim: Simulation;
  readonly #pairs = new Map<string, Pair>();

  constructor(sim: Simulation) {
    this.#sim = sim;
  }

  bonded(uuid: string, a: Host, b: Host): boolean {
    return this.#pairs.get(key(uuid, a, b))?.bonded === true;
  }

  /** Hosts that must know of this log what `host` knows, but itself. */
  *of(uuid: string, host: Host): Iterable<Host> {
    for (const other of this.#sim.hosts) if (other !== host && this.bonded(uuid, host, other)) yield other;
  }

  /** Looks at all pairs; `bondedNow` hears of each new bond. */
  update(uuids: Iterable<string>, bondedNow: (uuid: string, a: Host, b: Host) => void): void {
    for (const uuid of uuids) {
      for (const a of this.#sim.hosts) {
        for (const b of this.#sim.hosts) if (a.node < b.node && this.#update(uuid, a, b)) bondedNow(uuid, a, b);
      }
    }
  }

  #update(uuid: string, a: Host, b: Host): boolean {
    const name = key(uuid, a, b);
    let pair = this.#pairs.get(name);
    if (pair === undefined) {
      pair = { together: false, bonded: false, undecided: false };
      this.#pairs.set(name, pair);
    }
    const both = a.follows(uuid) && b.follows(uuid);
    if (!together(a, b)) {
      pair.together = false;
      pair.bonded = false;
      return false;
    }
    if (!pair.together) {
      pair.together = true;
      pair.undecided = both;
    }
    if (!both) pair.undecided = false;
    const bonded = both && !pair.undecided;
    const fresh = bonded && !pair.bonded;
    pair.bonded = bonded;
    return fresh;
  }
}

/** Each has the other in its view. */
export function together(a: Host, b: Host): boolean {
  const first = a.membership;
  const second = b.membership;
  return first !== null && second !== null && first.view.includes(second) && second.view.includes(first);
}

function key(uuid: string, a: Host, b: Host): string {
  return a.node < b.node ? `${uuid} ${a.node} ${b.node}` : `${uuid} ${b.node} ${a.node}`;
}
