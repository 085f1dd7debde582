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
 *
 * On a cluster the same is asked of a log that members believe this host to use, and that its daemon has no record of: that was lost.
 */

/** What may be missing in the tables. */
export interface Suspect {
  readonly uuid: string;
  /** When its kernel spoke of it last; -1: it did not. */
  readonly heardAtMs: number;
  /** Its table was in use: otherwise it may not be there yet. */
  readonly everUsed: boolean;
}

/** Between the two looks. */
const missingMsMin = 5_000;
/** For a log that was constructed and not resumed: its table may wait for the open of a leg. */
const constructedMissingMsMin = 600_000;

export class Orphans<Key> {
  /** When a log was first missing. */
  readonly #missing = new Map<Key, number>();

  /** A log is missing and will be looked for again. */
  get suspects(): boolean {
    return this.#missing.size > 0;
  }

  /** A look that was begun at `askedMs` and has ended at `nowMs`; returns the logs that are gone. */
  look(logs: ReadonlyMap<Key, Suspect>, uuids: ReadonlySet<string>, askedMs: number, nowMs: number): Key[] {
    const before = new Map(this.#missing);
    this.#missing.clear();
    const gone: Key[] = [];
    for (const [key, { uuid, heardAtMs, everUsed }] of logs) {
      if (uuids.has(uuid) || heardAtMs >= askedMs) continue;
      const sinceMs = before.get(key);
      const since = sinceMs === undefined || heardAtMs >= sinceMs ? nowMs : sinceMs;
      const neededMs = everUsed ? missingMsMin : constructedMissingMsMin;
      if (askedMs - since >= neededMs) gone.push(key);
      else this.#missing.set(key, since);
    }
    return gone;
  }
}
