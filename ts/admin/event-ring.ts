/**
 * The last events of the daemon, numbered. Bounded in number and in size: what falls out is counted, and who asks for it is
 * told how many he missed.
 *
 * It lives in the daemon's main thread, so the history outlives an admin worker. It knows neither clocks nor sockets.
 */
export interface AdminEvent {
  /** Grows by one with every event of this daemon, from 1. */
  readonly seq: number;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly level: string;
  /** Stable name, e.g. `log-failed`. */
  readonly event: string;
  /** `uuid` and `text` where they make sense, and what else the event carries. */
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

export interface EventBatch {
  /** Names this daemon's numbering: another one begins with every daemon. */
  readonly stream: string;
  readonly events: readonly AdminEvent[];
  /** Events behind the one asked for that had fallen out of the history. */
  readonly lost: number;
  /** Ask for events behind this one next. */
  readonly next: number;
  /** More wait. */
  readonly more: boolean;
}

export const eventsMax = 1024;
/** Characters of one field; a stack trace is the longest there is. */
const fieldCharactersMax = 2048;
const fieldsMax = 16;

export class EventRing {
  readonly #stream: string;
  readonly #capacity: number;
  readonly #ring: AdminEvent[] = [];
  #last = 0;

  constructor(stream: string, capacity: number = eventsMax) {
    this.#stream = stream;
    this.#capacity = capacity;
  }

  /** Number of the newest event, 0 when there was none. */
  get last(): number {
    return this.#last;
  }

  push(event: Omit<AdminEvent, 'seq'>): void {
    this.#last += 1;
    const at = (this.#last - 1) % this.#capacity;
    this.#ring[at] = { ...event, seq: this.#last, fields: clipped(event.fields) };
  }

  /** At most `max` events behind `since` of `stream` ('': of this one), oldest first. Of another stream all are new. */
  behind(since: number, max: number, stream = ''): EventBatch {
    const foreign = stream !== '' && stream !== this.#stream;
    const asked = foreign || since > this.#last ? 0 : since;
    const oldest = Math.max(1, this.#last - this.#capacity + 1);
    const first = Math.max(asked + 1, oldest);
    const end = Math.min(this.#last, first + max - 1);
    const events: AdminEvent[] = [];
    for (let seq = first; seq <= end; seq++) events.push(this.#ring[(seq - 1) % this.#capacity] as AdminEvent);
    return {
      stream: this.#stream,
      events,
      lost: first - asked - 1,
      next: Math.max(end, asked),
      more: end < this.#last,
    };
  }
}

function clipped(fields: AdminEvent['fields']): AdminEvent['fields'] {
  const entries = Object.entries(fields).slice(0, fieldsMax);
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      typeof value === 'string' && value.length > fieldCharactersMax
        ? `${value.slice(0, fieldCharactersMax)}...`
        : value,
    ]),
  );
}
