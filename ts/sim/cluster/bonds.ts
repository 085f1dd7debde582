/**
 * Which hosts must know the same of a log, as the world sees it: two hosts are *bonded* when each has the other in its view,
 * both copies follow the stream, and one of them came to follow while they were together. Two sides that meet again are
 * not bonded before one of them has given its copy up and taken the other's.
 */
import type { Host } from '../host.js';
import type { Simulation } from '../simulation.js';
import type { Sight, Sights } from './sights.js';

interface Pair {
  together: boolean;
  bonded: boolean;
  /** Both followed when they met: who is right is not decided yet. */
  undecided: boolean;
}

/** All pairs of hosts of one log; the pair of hosts `a` and `b` is at `a.node * width + b.node`, the lower node first. */
interface PairsOfLog {
  readonly pairs: (Pair | undefined)[];
  /** Who follows, by place in the list of hosts; of the last look. */
  readonly follows: boolean[];
}

export class Bonds {
  readonly #sim: Simulation;
  readonly #logs = new Map<string, PairsOfLog>();

  constructor(sim: Simulation) {
    this.#sim = sim;
  }

  /** In the middle of a step too: a view in which one of them lacks the other ends the bond at once. */
  bonded(uuid: string, a: Host, b: Host): boolean {
    return this.#logs.get(uuid)?.pairs[this.#at(a, b)]?.bonded === true && together(a, b);
  }

  /** Hosts that must know of this log what `host` knows, but itself. */
  of(uuid: string, host: Host): Host[] {
    return this.#sim.hosts.filter((other) => other !== host && this.bonded(uuid, host, other));
  }

  /** Looks at all pairs of which a host has moved; `bondedNow` hears of each new bond. */
  update(sights: Sights, bondedNow: (uuid: string, a: Host, b: Host) => void): void {
    const { logs, moved, anyMoved } = sights;
    if (!anyMoved) return;
    const { hosts } = this.#sim;
    for (const { uuid, seen } of logs) {
      const log = this.#log(uuid);
      for (let i = 0; i < seen.length; i++) {
        if (moved[i]) log.follows[i] = (seen[i] as Sight).follows && !sights.exchanging(i);
      }
      for (let i = 0; i < hosts.length; i++) {
        for (let j = i + 1; j < hosts.length; j++) {
          if (!moved[i] && !moved[j]) continue;
          const [a, b] = [hosts[i] as Host, hosts[j] as Host];
          if (this.#update(log, a, b, log.follows[i] === true && log.follows[j] === true)) bondedNow(uuid, a, b);
        }
      }
    }
  }

  #log(uuid: string): PairsOfLog {
    let log = this.#logs.get(uuid);
    if (log === undefined) {
      log = { pairs: [], follows: [] };
      this.#logs.set(uuid, log);
    }
    return log;
  }

  #at(a: Host, b: Host): number {
    const width = this.#sim.hosts.length + 1;
    return a.node < b.node ? a.node * width + b.node : b.node * width + a.node;
  }

  /** `both` follow. True when they are bonded from now on. */
  #update({ pairs }: PairsOfLog, a: Host, b: Host, both: boolean): boolean {
    const at = this.#at(a, b);
    let pair = pairs[at];
    if (pair === undefined) {
      pair = { together: false, bonded: false, undecided: false };
      pairs[at] = pair;
    }
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
