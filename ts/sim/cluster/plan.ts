/** What a seed says of its cluster, besides what it says of every run. */
import type { Prng } from '../prng.js';

/**
 * How somebody comes to know that a node is dead (R7): `asked` answers the daemon that asks, somewhat late; `shoots` also
 * switches the node off first, when the one who asks has quorum; `operator` confirms on his own, long after; `never`
 * leaves it to the node's return.
 */
export type Fencing = 'asked' | 'shoots' | 'operator' | 'never';

export interface ClusterPlan {
  readonly hosts: number;
  /** Of two nodes each has quorum alone. */
  readonly twoNode: boolean;
  readonly fencing: Fencing;
  /** How late a confirmation comes. */
  readonly fencingMsMax: number;
  /** The share of all faults that concern more than one host. */
  readonly clusterFaults: number;
}

export function planCluster(prng: Prng, hosts: number): ClusterPlan {
  const fencing = prng.pick(['asked', 'asked', 'shoots', 'shoots', 'operator', 'never'] as const);
  return {
    hosts,
    // Two sides that both go on must shoot first: without that the promise is only that it is told loudly.
    twoNode: hosts === 2 && prng.chance(0.6),
    fencing,
    fencingMsMax: prng.pick([50, 2000, 20_000]),
    clusterFaults: prng.real(0.3, 0.8),
  };
}
