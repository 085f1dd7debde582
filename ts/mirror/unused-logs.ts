/**
 * Who has the logs that this host does not have in use, for the next daemon of this boot (R6): when the daemons of those who do have ended,
 * and their kernels go on, that of another host may be the only one left who knows it. Of logs in use the state records have it (R2).
 *
 * The tables as JSON, replaced whole when one of them has changed. What stands there may be old by then: a newer table, or the word of a
 * member that it has left, counts more (return-merge.ts).
 */
import type { MemberTable } from './member-table.js';
import { isTable } from './report-codec.js';

export class UnusedLogs {
  readonly #store: (tables: string) => void;
  #stored: string;

  /** `stored`: what an earlier daemon left, '' when nothing. `store` keeps it in place of that before it returns. */
  constructor(stored: string, store: (tables: string) => void) {
    this.#stored = stored;
    this.#store = store;
  }

  /** What an earlier daemon knew. Nothing where that makes no sense. */
  *tables(): Iterable<MemberTable> {
    let said: unknown;
    try {
      said = JSON.parse(this.#stored);
    } catch {
      return;
    }
    if (Array.isArray(said)) for (const table of said) if (isTable(table)) yield table;
  }

  keep(tables: Iterable<MemberTable>, inUse: (uuid: string) => boolean): void {
    const kept = [...tables].filter(({ uuid, members }) => members.length > 0 && !inUse(uuid));
    const text = kept.length === 0 ? '' : JSON.stringify(kept);
    if (text === this.#stored) return;
    this.#stored = text;
    this.#store(text);
  }
}
