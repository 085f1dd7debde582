/**
 * Who has the logs that this host does not have in use, for the next daemon of this boot (R6): when the daemons of those who do have ended,
 * and their kernels go on, that of another host may be the only one left who knows it. Of logs in use the state records have it (R2).
 *
 * A text for each log, its table as JSON, stored when that has changed: a few in each turn, since much may change at once. What stands there
 * may be old by then: a newer table, or the word of a member that it has left, counts more (return-merge.ts).
 */
import { leftLogsMax } from '../base/limits.js';
import { isObject } from './json-values.js';
import type { MemberTable } from './member-table.js';
import { isTable } from './report-codec.js';

/** Texts that one turn stores: each is a file. */
const storesMax = 16;
export class UnusedLogs {
  readonly #store: (uuid: string, table: string) => void;
  /** What is stored, by log. */
  readonly #stored = new Map<string, string>();
  readonly #restored: MemberTable[] = [];
  /** Those of them that nobody has, the oldest first. */
  readonly #left = new Set<string>();
  /** Logs whose tables may have changed since. */
  readonly #moved = new Set<string>();

  /** `stored`: what an earlier daemon left; what makes no sense is nothing. `store` keeps a text in place of the log's before; '' is none. */
  constructor(stored: Iterable<string>, store: (uuid: string, table: string) => void) {
    this.#store = store;
    for (const text of stored) {
      const table = tableOf(text);
      if (table === null) continue;
      this.#note(table, text);
      this.#restored.push(table);
    }
  }

  /** What an earlier daemon knew. */
  get restored(): readonly MemberTable[] {
    return this.#restored;
  }

  moved(uuid: string): void {
    this.#moved.add(uuid);
  }

  /** All tables may have changed. */
  allMoved(tables: ReadonlyMap<string, MemberTable>): void {
    for (const uuid of tables.keys()) this.#moved.add(uuid);
    for (const uuid of this.#stored.keys()) this.#moved.add(uuid);
  }

  /** More is to be stored than one turn does. */
  get waits(): boolean {
    return this.#moved.size > 0;
  }

  keep(tables: ReadonlyMap<string, MemberTable>, inUse: (uuid: string) => boolean): void {
    let stores = 0;
    for (const uuid of this.#moved) {
      if (stores === storesMax) return;
      this.#moved.delete(uuid);
      const table = tables.get(uuid);
      const kept = table !== undefined && isWorthIt(table) && !inUse(uuid);
      const text = kept ? JSON.stringify(table) : '';
      if (text === (this.#stored.get(uuid) ?? '')) continue;
      stores += 1;
      if (kept) this.#note(table, text);
      else this.#drop(uuid);
      this.#store(uuid, text);
    }
  }

  #note(table: MemberTable, text: string): void {
    const { uuid, members } = table;
    this.#drop(uuid);
    this.#stored.set(uuid, text);
    if (members.length > 0) return;
    this.#left.add(uuid);
    const [oldest = ''] = this.#left;
    if (this.#left.size <= leftLogsMax) return;
    this.#drop(oldest);
    this.#store(oldest, '');
  }

  #drop(uuid: string): void {
    this.#stored.delete(uuid);
    this.#left.delete(uuid);
  }
}

/** Somebody has it, or had it and may have known more than log device and constructor say. */
function isWorthIt({ members, lastLeaver, doubt, writerDied, ended }: MemberTable): boolean {
  return members.length > 0 || lastLeaver !== -1 || doubt || writerDied || ended.length > 0;
}

/** A daemon of before wrote boots alone, and the last epoch in which one of them ended; nothing of what is on log devices, nor who wrote them. */
function asOfNow(said: unknown): unknown {
  if (!isObject<'ended' | 'endedEpoch'>(said) || !Array.isArray(said.ended)) return said;
  const { endedEpoch: epoch } = said;
  const ended = said.ended.map((one: unknown) => (typeof one === 'string' ? { boot: one, epoch } : one));
  return { leftWritten: false, writers: [], ...said, ended };
}

function tableOf(text: string): MemberTable | null {
  try {
    const said = asOfNow(JSON.parse(text));
    return isTable(said) ? said : null;
  } catch {
    return null;
  }
}
