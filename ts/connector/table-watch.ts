/**
 * Looks at device-mapper's tables now and then, for logs whose kernel left while no daemon heard it (R2). It only asks and
 * keeps time; what an answer means is decided in ts/mirror/orphans.ts.
 *
 * A question that is not answered (device-mapper's locks are held, by a suspend that waits for instance) is not repeated
 * before it is; nothing is decided meanwhile.
 */
import { errnoName } from '../base/errno.js';
import { readMirrorLogs } from '../native/dm-tables.js';

/** While all is well, and while a log is missing. */
const calmMs = 60_000;
const suspectMs = 6_000;

export interface TableWatchEvents {
  /** The tables, as they were between `askedMs` and now; returns true when they should be looked at again soon. */
  tables(uuids: ReadonlySet<string>, askedMs: number): boolean;
  /** They could not be read; told when that begins. */
  failed(text: string): void;
}

export class TableWatch {
  readonly #events: TableWatchEvents;
  readonly #nowMs: () => number;
  #timer: NodeJS.Timeout | null = null;
  #lastErrno = 0;
  #closed = false;

  constructor(events: TableWatchEvents, nowMs: () => number) {
    this.#events = events;
    this.#nowMs = nowMs;
  }

  /** Looks now, and from then on. */
  start(): void {
    const askedMs = this.#nowMs();
    const asked = readMirrorLogs((errno, uuids) => this.#answered(errno, uuids, askedMs));
    if (!asked) this.#again(calmMs);
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #answered(errno: number, uuids: readonly string[], askedMs: number): void {
    if (this.#closed) return;
    if (errno !== 0 && errno !== this.#lastErrno) {
      this.#events.failed(`device-mapper's tables cannot be read: ${errnoName(errno)}`);
    }
    this.#lastErrno = errno;
    const soon = errno === 0 && this.#events.tables(new Set(uuids), askedMs);
    this.#again(soon ? suspectMs : calmMs);
  }

  #again(delayMs: number): void {
    this.#timer = setTimeout(() => this.start(), delayMs);
    this.#timer.unref();
  }
}
