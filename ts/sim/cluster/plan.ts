/** What a seed says of its cluster, besides what it says of every run. */
import { chunkRegionsMax } from '../../base/limits.js';
import type { MirrorSettings } from '../../mirror/settings.js';
import type { Prng } from '../prng.js';

/**
 * How somebody comes to know that a node is dead (R7): `asked` answers the daemon that asks, somewhat late; `shoots` also
 * switches the node off first, when the one who asks has quorum; `operator` confirms on his own, long after; `never`
 * leaves it to the node's return.
 */
export type Fencing = 'asked' | 'shoots' | 'operator' | 'never';

/** How the cluster service goes, in milliseconds. */
export interface GroupPlan {
  /** From a change of quorum until a daemon is told. */
  readonly quorumMsMax: number;
  /** Until a lost token is noticed and the rest has agreed; until a new node is taken in. */
  readonly lossMs: readonly [number, number];
  readonly joinMs: readonly [number, number];
  /** The share of messages that are long on their way to some, and how long. */
  readonly lateChance: number;
  readonly lateMsMax: number;
}

export interface ClusterPlan {
  readonly hosts: number;
  /** Of two nodes each has quorum alone. */
  readonly twoNode: boolean;
  readonly fencing: Fencing;
  /** How late a confirmation comes. */
  readonly fencingMsMax: number;
  readonly group: GroupPlan;
  /** `on_quorum_loss = "fail"`. */
  readonly failWithoutQuorum: boolean;
  /** The share of all faults that concern more than one host. */
  readonly clusterFaults: number;
  /** Limits that only logs far larger than these come to, and paces too slow for a run, where they are smaller than the daemon's. */
  readonly limits: Partial<MirrorSettings>;
  /** By mirror: the hosts that use it. The first makes it. */
  readonly users: readonly ReadonlySet<number>[];
}

/** How often somebody in the group does not have a mirror that others have. */
const unusedSomewhere = 0.4;
/** How often each limit is small. */
const smallLimit = 0.25;

export function planCluster(prng: Prng, hosts: number, mirrors: number): ClusterPlan {
  const fencing = prng.pick(['asked', 'asked', 'shoots', 'shoots', 'operator', 'never'] as const);
  return {
    hosts,
    // Two sides that both go on must shoot first: without that the promise is only that it is told loudly.
    twoNode: hosts === 2 && prng.chance(0.6),
    fencing,
    fencingMsMax: prng.pick([50, 2000, 20_000]),
    group: planGroup(prng),
    failWithoutQuorum: prng.chance(0.2),
    clusterFaults: prng.real(0.3, 0.8),
    limits: planLimits(prng),
    users: Array.from({ length: mirrors }, () => planUsers(prng, hosts)),
  };
}

function planLimits(prng: Prng): Partial<MirrorSettings> {
  return {
    chunkRegions: prng.pick([64, chunkRegionsMax]),
    // A run is too short for many tries of the daemon's own pace.
    logRetryMs: prng.pick([50, 400, 3000]),
    ...(prng.chance(smallLimit) && { announceRegions: prng.pick([1, 4]) }),
    ...(prng.chance(smallLimit) && { logReadBytes: 512 }),
    ...(prng.chance(smallLimit) && { foundMax: prng.pick([0, 1, 2]) }),
    ...(prng.chance(smallLimit) && { restrictedMax: prng.pick([0, 1, 3]) }),
  };
}

function planGroup(prng: Prng): GroupPlan {
  return {
    quorumMsMax: prng.pick([5, 100, 100, 1000]),
    lossMs: prng.pick([
      [300, 2500],
      [5, 100],
    ] as const),
    joinMs: prng.pick([
      [10, 300],
      [1, 20],
    ] as const),
    lateChance: prng.pick([0.02, 0.08, 0.3]),
    lateMsMax: prng.pick([10, 40, 200]),
  };
}

/** Two at least, or it would be no shared mirror. */
function planUsers(prng: Prng, hosts: number): ReadonlySet<number> {
  const users = new Set(Array.from({ length: hosts }, (_, index) => index + 1));
  if (!prng.chance(unusedSomewhere)) return users;
  for (let node = 2; node <= hosts; node++) if (users.size > 2 && prng.chance(0.5)) users.delete(node);
  return users;
}
