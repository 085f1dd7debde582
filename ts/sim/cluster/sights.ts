/**
 * What the cluster's checkers see of every host, a record for each log: taken anew only when something of that host may have
 * changed, because most steps of a run concern one host and a look at all of them after each step is most of a run's time.
 *
 * A host has changed when its kernel, its daemon or its place in the group has: its own count says the first two (see
 * `Host.changes`), the objects that it has now say the third. What of it has changed the records say: most checkers concern the
 * kernel or the daemon's record alone.
 */
import type { TargetTruth } from '../checks/kernel-truth.js';
import type { SeenMirror } from '../checks/step-checks.js';
import type { CountedState } from '../daemon/counted-state.js';
import type { Host } from '../host.js';
import type { SimMirror } from '../mirror.js';
import type { Simulation } from '../simulation.js';
import type { VersionLegs } from '../version-legs.js';
import type { Membership } from './membership.js';

/** One host in one log. */
export class Sight implements SeenMirror {
  readonly host: Host;
  readonly mirror: SimMirror;
  truth: TargetTruth | null = null;
  state: CountedState | null = null;
  /** See `Host.follows`. */
  follows = false;
  /** What the kernels of all members hold is known, as its daemon has it (R3). */
  settled = true;
  /** Since the last look the kernel's part has changed; the daemon's has, or another record stands for either. */
  truthChanged = true;
  stateChanged = true;
  diskChanges = -1;
  acknowledgements = -1;
  stickySinceMs = Number.POSITIVE_INFINITY;
  #table: object | null = null;
  #truthChanges = -1;
  #stateChanges = -1;

  constructor(host: Host, mirror: SimMirror) {
    this.host = host;
    this.mirror = mirror;
  }

  /** Another table is in use. */
  get tableChanged(): boolean {
    return (this.mirror.device?.live ?? null) !== this.#table;
  }

  take(uuid: string): void {
    const { host } = this;
    this.#table = this.mirror.device?.live ?? null;
    const truth = host.liveTruth(uuid);
    const state = host.liveState(uuid);
    const follows = state !== null && host.follows(uuid);
    const settled = host.daemon?.settled(uuid) !== false;
    const truthChanges = truth?.changes ?? -1;
    const stateChanges = state?.changes.value ?? -1;
    this.truthChanged = truth !== this.truth || truthChanges !== this.#truthChanges;
    this.stateChanged =
      state !== this.state ||
      stateChanges !== this.#stateChanges ||
      follows !== this.follows ||
      settled !== this.settled;
    this.truth = truth;
    this.state = state;
    this.follows = follows;
    this.settled = settled;
    this.#truthChanges = truthChanges;
    this.#stateChanges = stateChanges;
  }
}

/** One log of the run. */
export interface LogSights {
  readonly uuid: string;
  readonly legs: VersionLegs;
  /** One for each host, in the order of the hosts. */
  readonly seen: readonly Sight[];
  /** Since the last look: of some host. */
  truthChanged: boolean;
  stateChanged: boolean;
  legsChanged: boolean;
  legsChanges: number;
}

interface Place {
  readonly host: Host;
  changes: number;
  daemon: object | null;
  membership: Membership | null;
  view: readonly Membership[] | null;
  exchanging: boolean;
}

export class Sights {
  /** Of the last look: hosts that have changed, by their place in the list of all. */
  readonly changed: boolean[];
  /** Of the last look: hosts that see others otherwise than before, or whose copies follow and did not, or the reverse. */
  readonly moved: boolean[];
  anyMoved = true;
  /** Of the last look: some host has another table in use, or a host that had none has one. */
  tablesChanged = true;
  readonly logs: readonly LogSights[];
  readonly #places: readonly Place[];

  constructor({ hosts, shared }: Simulation) {
    this.changed = hosts.map(() => true);
    this.moved = hosts.map(() => true);
    this.#places = hosts.map((host) => ({
      host,
      changes: -1,
      daemon: null,
      membership: null,
      view: null,
      exchanging: false,
    }));
    this.logs = [...shared].map(([uuid, { legs }]) => ({
      uuid,
      legs,
      seen: hosts.map((host) => new Sight(host, host.mirrors.get(uuid) as SimMirror)),
      truthChanged: true,
      stateChanged: true,
      legsChanged: true,
      legsChanges: -1,
    }));
  }

  /** The place of this host in the group; null: none. Of the last look. */
  membership(index: number): Membership | null {
    return this.#places[index]?.membership ?? null;
  }

  /** Its daemon hears who else is there: it has not come to the place of the order where that is decided. Of the last look. */
  exchanging(index: number): boolean {
    return this.#places[index]?.exchanging === true;
  }

  look(): void {
    this.tablesChanged = false;
    this.anyMoved = false;
    for (const log of this.logs) {
      log.truthChanged = false;
      log.stateChanged = false;
      log.legsChanged = log.legs.changes !== log.legsChanges;
      log.legsChanges = log.legs.changes;
    }
    for (let i = 0; i < this.#places.length; i++) this.#look(i, this.#places[i] as Place);
  }

  #look(index: number, place: Place): void {
    const { host } = place;
    let moved = this.#moved(place);
    const { changes } = host;
    let changed = moved || changes !== place.changes;
    place.changes = changes;
    for (const { seen } of this.logs) {
      const sight = seen[index] as Sight;
      if (!sight.tableChanged) continue;
      this.tablesChanged = true;
      changed = true;
    }
    this.changed[index] = changed;
    for (const log of this.logs) {
      const sight = log.seen[index] as Sight;
      if (!changed) {
        sight.truthChanged = false;
        sight.stateChanged = false;
        continue;
      }
      const { follows } = sight;
      sight.take(log.uuid);
      if (sight.follows !== follows) moved = true;
      if (sight.truthChanged) log.truthChanged = true;
      if (sight.stateChanged) log.stateChanged = true;
    }
    this.moved[index] = moved;
    if (moved) this.anyMoved = true;
  }

  #moved(place: Place): boolean {
    const { daemon, membership } = place.host;
    const view = membership?.view ?? null;
    const exchanging = daemon?.exchanging !== false;
    const moved =
      daemon !== place.daemon ||
      membership !== place.membership ||
      view !== place.view ||
      exchanging !== place.exchanging;
    place.daemon = daemon;
    place.membership = membership;
    place.view = view;
    place.exchanging = exchanging;
    return moved;
  }
}
