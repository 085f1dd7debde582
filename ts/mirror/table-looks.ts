/**
 * What follows when somebody has looked at device-mapper's tables: logs that no table names have lost their kernel unheard, and leave.
 * When a look says so is orphans.ts's business.
 */
import type { MirrorLog } from './mirror-log.js';
import { Orphans, type Suspect } from './orphans.js';
import { report, type World } from './world.js';

export class TableLooks {
  readonly #world: World;
  /** Every log; `leaves` tells those of which another constructor has said already that they go. */
  readonly #all: readonly MirrorLog[];
  readonly #leaves: (log: MirrorLog) => boolean;
  readonly #orphans = new Orphans<MirrorLog>();
  /** Logs that leave because no table names them. */
  readonly #orphaned = new Set<MirrorLog>();
  /** By uuid: of these the record was lost. */
  readonly #unrecorded = new Orphans<string>();

  constructor(world: World, all: readonly MirrorLog[], leaves: (log: MirrorLog) => boolean) {
    this.#world = world;
    this.#all = all;
    this.#leaves = leaves;
  }

  /** All uuids in the tables, as somebody saw them between `askedMs` and now. */
  look(uuids: ReadonlySet<string>, askedMs: number, nowMs: number): void {
    for (const log of this.#orphans.look(this.#settled(), uuids, askedMs, nowMs)) {
      report(this.#world, 'notice', 'orphaned', log.uuid, 'no device-mapper table names it any more: it leaves');
      this.#orphaned.add(log);
      log.needsTurn = true;
      log.life.exit.retire(() => log.life.exit.remove());
    }
    for (const uuid of this.#unrecorded.look(this.#withoutRecord(), uuids, askedMs, nowMs)) {
      const text = 'its record was lost, and no device-mapper table names it: this host has left it';
      report(this.#world, 'notice', 'orphaned', uuid, text);
      this.#world.cluster?.withdraw(uuid);
      this.#world.cluster?.removed(uuid);
    }
  }

  /** A log may have lost its kernel, and the tables should be looked at again soon. */
  get suspects(): boolean {
    return this.#orphans.suspects || this.#unrecorded.suspects;
  }

  /** The log is gone. */
  removed(log: MirrorLog): void {
    this.#orphaned.delete(log);
  }

  #settled(): Map<MirrorLog, Suspect> {
    const settled = new Map<MirrorLog, Suspect>();
    for (const log of this.#all) {
      const { uuid, heardAtMs, state } = log;
      if (!this.#leaves(log) && !this.#orphaned.has(log))
        settled.set(log, { uuid, heardAtMs, everUsed: state.everResumed });
    }
    return settled;
  }

  /** Logs that members believe this host to use, and that it does not know: while that is so nobody can say what its kernel holds. */
  #withoutRecord(): Map<string, Suspect> {
    const found = new Map<string, Suspect>();
    const known = new Set(this.#all.map(({ uuid }) => uuid));
    for (const uuid of this.#world.cluster?.ownMemberships() ?? []) {
      if (!known.has(uuid)) found.set(uuid, { uuid, heardAtMs: -1, everUsed: true });
    }
    return found;
  }
}
