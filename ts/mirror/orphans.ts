/**
 * R2, last sentence: a log whose uuid is in no device-mapper table has lost its kernel, by a DTR that nobody heard. It
 * leaves as if it had been suspended; what was held stays dirty.
 *
 * Tables and requests are not seen at one time, so one look decides nothing:
 *
 *  - a constructor is sent before its table is in either slot, and while one table replaces another the new one is in
 *    neither; so two looks must agree, some seconds apart, and a log that was never resumed is given minutes;
 *  - a request of the log since the first of them, or while the second was taken, means that its kernel has it.
 *
 * Should the kernel have it all the same, nothing is lost: its next request finds a log that is not known (R3).
 */
import type { MirrorLog } from './mirror-log.js';

/** Between the two looks. */
const missingMsMin = 5_000;
/** For a log that was constructed and not resumed: its table may wait for the open of a leg. */
const constructedMissingMsMin = 600_000;

export class Orphans {
  /** When a log was first missing. */
  readonly #missing = new Map<MirrorLog, number>();

  /** A log is missing and will be looked for again. */
  get suspects(): boolean {
    return this.#missing.size > 0;
  }

  /** A look that was begun at `askedMs` and has ended at `nowMs`; returns the logs that are gone. */
  look(logs: Iterable<MirrorLog>, uuids: ReadonlySet<string>, askedMs: number, nowMs: number): MirrorLog[] {
    const missing: MirrorLog[] = [];
    for (const log of logs) if (!uuids.has(log.uuid) && log.heardAtMs < askedMs) missing.push(log);
    const before = new Map(this.#missing);
    this.#missing.clear();
    const gone: MirrorLog[] = [];
    for (const log of missing) {
      const sinceMs = before.get(log);
      const since = sinceMs === undefined || log.heardAtMs >= sinceMs ? nowMs : sinceMs;
      const neededMs = log.state.everResumed ? missingMsMin : constructedMissingMsMin;
      if (askedMs - since >= neededMs) gone.push(log);
      else this.#missing.set(log, since);
    }
    return gone;
  }
}
