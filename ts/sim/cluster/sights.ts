/**
 * What the cluster's checkers see of every host, a record for each log: taken anew only when something of that host may have
 * changed, because most steps of a run concern one host and a look at all of them after each step is most of a run's time.
 *
 * A host has changed when its kernel, its daemon or its place in the group has: its own count says the first two (see
 * `Host.changes`), the objects that it has now say the third.
 */
import type { TargetTruth } from '../checks/kernel-truth.js';
import type { CountedState } from '../daemon/counted-state.js';
import type { Host } from '../host.js';
import type { Simulation } from '../simulation.js';
import type { VersionLegs } from '../version-legs.js';
import type { Membership } from './membership.js';

/** One host in one log. */
export interface Sight {
  readonly host: Host;
  truth: TargetTruth | null;
  state: CountedState | null;
  /** See `Host.follows`. */
  follows: boolean;
  /** What the kernels of all members hold is known, as its daemon has it (R3). */
  settled: boolean;
}

/** One log of the run. */
export interface LogSights {
  readonly uuid: string;
  readonly legs: VersionLegs;
  /** One for each host, in the order of the hosts. */
  readonly seen: readonly Sight[];
}

interface Place {
  readonly host: Host;
  changes: number;
  daemon: object | null;
  membership: Membership | null;
  view: readonly Membership[] | null;
  readonly tables: (object | null)[];
}

export class Sights {
  /** Of the last look: hosts that have changed, by their place in the list of all. */
  readonly changed: boolean[];
  /** Of the last look: some host has another table in use, or a host that had none has one. */
  tablesChanged = true;
  readonly logs: readonly LogSights[];
  readonly #places: readonly Place[];

  constructor({ hosts, shared }: Simulation) {
    this.changed = hosts.map(() => true);
    this.#places = hosts.map((host) => ({
      host,
      changes: -1,
      daemon: null,
      membership: null,
      view: null,
      tables: [...shared.keys()].map(() => null),
    }));
    this.logs = [...shared].map(([uuid, { legs }]) => ({
      uuid,
      legs,
      seen: hosts.map((host) => ({ host, truth: null, state: null, follows: false, settled: true })),
    }));
  }

  look(): void {
    this.tablesChanged = false;
    for (let i = 0; i < this.#places.length; i++) {
      const place = this.#places[i] as Place;
      const changed = this.#changed(place);
      this.changed[i] = changed;
      if (!changed) continue;
      for (const { uuid, seen } of this.logs) take(uuid, seen[i] as Sight);
    }
  }

  #changed(place: Place): boolean {
    const { host, tables } = place;
    const { daemon, membership } = host;
    const view = membership?.view ?? null;
    const changes = host.changes;
    let changed =
      changes !== place.changes || daemon !== place.daemon || membership !== place.membership || view !== place.view;
    place.changes = changes;
    place.daemon = daemon;
    place.membership = membership;
    place.view = view;
    let at = 0;
    for (const mirror of host.mirrors.values()) {
      const live = mirror.device?.live ?? null;
      if (live !== tables[at]) {
        tables[at] = live;
        changed = true;
        this.tablesChanged = true;
      }
      at += 1;
    }
    return changed;
  }
}

function take(uuid: string, sight: Sight): void {
  const { host } = sight;
  sight.truth = host.liveTruth(uuid);
  sight.state = host.liveState(uuid);
  sight.follows = host.follows(uuid);
  sight.settled = host.daemon?.settled(uuid) !== false;
}
