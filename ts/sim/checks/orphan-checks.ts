/**
 * R2, last sentence, from outside: a log whose mirror left without being heard is gone in time, and no log that the
 * kernel has is taken for one that left.
 *
 * Time counts from when nothing names the log's uuid any more, its last request came, or the daemon was last late,
 * whichever is latest: from then on a daemon that looks as often as `TableLooks` does has no excuse.
 */
import type { CountedState, CountedStates } from '../daemon/counted-state.js';
import type { Kernel } from '../kernel/kernel.js';
import type { ObservedTarget } from '../kernel/world.js';
import { calmLookMs, lookMs, suspectLookMs } from '../table-looks.js';
import { type Evaluations, Violation } from './violation.js';

/** What is promised: how far apart two looks must be, and for a log that was never resumed. */
const missingMsMin = 5_000;
const constructedMissingMsMin = 600_000;
/** Timers and turns come late by this much. */
const slackMs = 50;
/** A leave writes the log device a last time, and may wait for it as long as a claim waits; twice when it failed. */
const leaveMsMax = 60_000;
/** Until members have heard of a leave. */
const leaveSaidMsMax = 5_000;

export interface OrphanWorld {
  readonly evaluations: Evaluations;
  readonly nowMs: number;
  /** The daemon was last late until then. */
  readonly lateUntilMs: number;
  readonly daemonPunctual: boolean;
  readonly states: CountedStates | null;
  readonly kernel: Pick<Kernel, 'devices'> | null;
  /** Logs that members believe this host to use, as its daemon has it. */
  memberships(): Iterable<string>;
}

interface Missing {
  readonly state: CountedState;
  readonly sinceMs: number;
  decidedMs: number;
}

export class OrphanChecks {
  readonly #world: OrphanWorld;
  readonly #missing = new Map<string, Missing>();
  readonly #heardMs = new Map<string, number>();
  /** Logs that only members know this host to use, by uuid: since when. */
  readonly #unrecorded = new Map<string, number>();

  constructor(world: OrphanWorld) {
    this.#world = world;
  }

  /** A request that names the log has reached the daemon. */
  heard(key: string): void {
    this.#heardMs.set(key, this.#world.nowMs);
  }

  /** The daemon says that no table names this uuid, and lets its logs go. */
  decided(uuid: string): void {
    const { evaluations, states, nowMs } = this.#world;
    const known = this.#known();
    const had = new Set(known.map((log) => log.key));
    const records = [...(states?.live.values() ?? [])].filter((state) => state.identity.uuid === uuid);
    // Where the record was lost members alone knew of it.
    const left = records.length === 0 && known.every((log) => log.uuid !== uuid);
    evaluations.check(
      'R2-no-false-orphan',
      left || records.some((state) => !had.has(state.key)),
      () => `${uuid} is taken for a log without a table, and the kernel has it`,
    );
    for (const missing of this.#missing.values()) {
      // Of two logs of a uuid one may have been constructed only, and is given more time.
      const due = nowMs - missing.sinceMs >= neededMs(missing.state);
      if (missing.state.identity.uuid === uuid && due) missing.decidedMs = nowMs;
    }
  }

  step(): void {
    const { states, nowMs, daemonPunctual } = this.#world;
    for (const [key, missing] of this.#missing) {
      if (states?.live.get(key) === missing.state && !this.#named(missing.state.identity.uuid)) continue;
      if (missing.state.removed && missing.decidedMs >= 0) this.#world.evaluations.held('R2-orphan-leaves');
      this.#missing.delete(key);
    }
    if (states === null) return;
    this.#checkUnrecorded(states);
    for (const [key, state] of states.live) {
      if (this.#named(state.identity.uuid)) continue;
      const missing = this.#missing.get(key);
      if (missing === undefined) this.#missing.set(key, { state, sinceMs: nowMs, decidedMs: -1 });
      else if (daemonPunctual) this.#checkInTime(missing);
    }
  }

  #checkInTime({ state, sinceMs, decidedMs }: Missing): void {
    const { nowMs, lateUntilMs } = this.#world;
    const fromMs = Math.max(sinceMs, this.#heardMs.get(state.key) ?? 0, lateUntilMs);
    const lookedForMs = calmLookMs + neededMs(state) + suspectLookMs + 3 * lookMs + slackMs;
    const endMs = decidedMs < 0 ? fromMs + lookedForMs : Math.max(fromMs, decidedMs) + leaveMsMax;
    if (nowMs <= endMs) return;
    const what = decidedMs < 0 ? 'was not noticed' : 'has not left';
    const agoMs = (nowMs - fromMs).toFixed(0);
    throw new Violation('R2-orphan-leaves', `${state.key}: in no table for ${agoMs} ms, which ${what}`);
  }

  /** Its record was lost, and then its table: as long as it is a member nobody can say what its kernel holds. */
  #checkUnrecorded(states: CountedStates): void {
    const { nowMs, lateUntilMs, daemonPunctual, evaluations } = this.#world;
    const unrecorded = new Set<string>();
    for (const uuid of this.#world.memberships()) {
      const recorded = [...states.live.values()].some(({ identity }) => identity.uuid === uuid);
      if (!recorded && !this.#named(uuid)) unrecorded.add(uuid);
    }
    for (const uuid of this.#unrecorded.keys()) if (!unrecorded.has(uuid)) this.#unrecorded.delete(uuid);
    for (const uuid of unrecorded) {
      const sinceMs = this.#unrecorded.get(uuid) ?? nowMs;
      this.#unrecorded.set(uuid, sinceMs);
      const endMs = Math.max(sinceMs, lateUntilMs) + calmLookMs + missingMsMin + suspectLookMs + leaveSaidMsMax;
      evaluations.check(
        'R2-orphan-leaves',
        nowMs <= endMs || !daemonPunctual,
        () =>
          `${uuid}: neither a table nor a record of it for ${nowMs - sinceMs} ms, and members believe that it is used`,
      );
    }
  }

  /** Those that the daemon can know of: a record with the address of a constructor on its way is another log's. */
  #known(): ObservedTarget[] {
    const unheard = new Set<ObservedTarget>();
    for (const { building } of this.#world.kernel?.devices ?? []) {
      if (building !== null && (this.#heardMs.get(building.key) ?? -1) < building.begunMs) unheard.add(building);
    }
    return this.#logs().filter((log) => !unheard.has(log));
  }

  /** A log of this uuid is in a table or under construction. */
  #named(uuid: string): boolean {
    for (const { live, loaded, building } of this.#world.kernel?.devices ?? []) {
      if (live?.log.uuid === uuid || loaded?.log.uuid === uuid || building?.uuid === uuid) return true;
    }
    return false;
  }

  /** Every log that the kernel has: in a table, or under construction. */
  #logs(): ObservedTarget[] {
    const logs: ObservedTarget[] = [];
    for (const { live, loaded, building } of this.#world.kernel?.devices ?? []) {
      if (live !== null) logs.push(live.log);
      if (loaded !== null) logs.push(loaded.log);
      if (building !== null) logs.push(building);
    }
    return logs;
  }
}

function neededMs(state: CountedState): number {
  return state.everResumed ? missingMsMin : constructedMissingMsMin;
}
