/** What a seed says of its cluster, besides what it says of every run. */
import { chunkRegionsMax } from '../../base/limits.js';
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
  /** Regions of one part of a copy. */
  readonly chunkRegions: number;
  /** By mirror: the hosts that use it. The first makes it. */
  readonly users: readonly ReadonlySet<number>[];
}

/** How often somebody in the group does not have a mirror that others have. */
const unusedSomewhere = 0.4;

export function planCluster(prng: Prng, hosts: number, mirrors: number): ClusterPlan {
  const fencing = prng.pick(['asked', 'asked', 'shoots', 'shoots', 'operator', 'never'] as const);
  return {
    hosts,
    // Two sides that both go on must shoot first: without that the promise is only that it is told loudly.
    twoNode: hosts === 2 && prng.chance(0.6),
    fencing,
    fencingMsMax: prng.pick([50, 2000, 20_000]),
    clusterFaults: prng.real(0.3, 0.8),
    chunkRegions: prng.pick([64, chunkRegionsMax]),
    users: Array.from({ length: mirrors }, () => planUsers(prng, hosts)),
  };
}

/** Two at least, or it would be no shared mirror. */
function planUsers(prng: Prng, hosts: number): ReadonlySet<number> {
  const users = new Set(Array.from({ length: hosts }, (_, index) => index + 1));
  if (!prng.chance(unusedSomewhere)) return users;
  for (let node = 2; node <= hosts; node++) if (users.size > 2 && prng.chance(0.5)) users.delete(node);
  return users;
}
