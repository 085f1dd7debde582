/**
 * What the simulator remembers of each request that reached the daemon, so that a checker can judge the answer.
 */
import { payloadRegionsMax, resendsMax } from '../../base/limits.js';
import { DM_ULOG_CTR, RequestView } from '../../base/ulog-frames.js';
import { logKey } from '../kernel/world.js';

export interface RequestRecord {
  readonly seq: number;
  readonly type: number;
  /** Names the log: uuid and luid. */
  readonly key: string;
  readonly uuid: string;
  readonly luidHigh: number;
  readonly luidLow: number;
  /** Payload as 64-bit values; empty when it is none. */
  readonly values: readonly number[];
  readonly text: string;
  readonly endsWithNul: boolean;
  /** The mark counter of the log when the request came: marks up to it are covered by a FLUSH. */
  markOrder: number;
  /** How often the frame reached the daemon without being answered yet. */
  open: number;
  /** The number of the frame among those of its log and type that this daemon took. */
  ordinal: number;
  /** Of a RESUME of a log that served already: the regions that were clean when it came. */
  cleanThen: ReadonlySet<number> | null;
  /** The message that says it to all members has come back to this daemon, whose copy was what all have. */
  delivered: boolean;
  /** The simulator sent it on purpose to be refused. */
  readonly hostile: boolean;
}

export interface ReplyRecord {
  readonly error: number;
  readonly first: number;
  readonly second: number;
  readonly text: string;
}

const view = new RequestView();
const regions = new Float64Array(payloadRegionsMax);

/** Null when the frame has no room for a header: nobody can be answered. */
export function recordRequest(frame: Buffer, length: number, hostile: boolean): RequestRecord | null {
  if (!view.bind(frame, 0, length)) return null;
  const isText = view.type === DM_ULOG_CTR;
  const count = isText ? 0 : Math.max(0, view.readRegions(regions));
  const { seq, type, luidHigh, luidLow } = view;
  const uuid = view.uuidText() ?? '';
  return {
    seq,
    type,
    key: logKey(uuid, luidHigh, luidLow),
    uuid,
    luidHigh,
    luidLow,
    values: count === 0 ? noValues : valuesOf(count),
    text: isText ? (view.text() ?? '') : '',
    endsWithNul: view.endsWithNul,
    markOrder: 0,
    open: 0,
    ordinal: 0,
    cleanThen: null,
    delivered: false,
    hostile,
  };
}

const noValues: readonly number[] = [];

function valuesOf(count: number): number[] {
  const values: number[] = [];
  for (let i = 0; i < count; i++) values.push(regions[i] as number);
  return values;
}

/** More than there are types of requests, and than a hostile one claims. */
const requestTypes = 256;

/** The requests that one daemon process has taken and not answered. */
export class OpenRequests {
  readonly #open = new Map<number, RequestRecord>();
  /** Answered since their last frame was taken, and open because an earlier frame waits. */
  readonly #answeredSince = new Set<number>();
  /** Frames taken, by log and type. */
  readonly #taken = new Map<string, Float64Array>();

  get size(): number {
    return this.#open.size;
  }

  take(request: RequestRecord): void {
    let counts = this.#taken.get(request.key);
    if (counts === undefined) {
      counts = new Float64Array(requestTypes);
      this.#taken.set(request.key, counts);
    }
    request.ordinal = (counts[request.type] ?? 0) + 1;
    counts[request.type] = request.ordinal;
    request.open += 1;
    this.#open.set(request.seq, request);
    this.#answeredSince.delete(request.seq);
  }

  find(seq: number): RequestRecord | undefined {
    return this.#open.get(seq);
  }

  awaits(type: number): boolean {
    for (const request of this.#open.values()) if (request.type === type) return true;
    return false;
  }

  answered(request: RequestRecord): void {
    request.open -= 1;
    if (request.open === 0) this.#open.delete(request.seq);
    if (request.open > 0) this.#answeredSince.add(request.seq);
    else this.#answeredSince.delete(request.seq);
  }

  /**
   * Requests that should have been answered when nothing is under way any more. Of one that was repeated many times while
   * it waited the oldest numbers may be forgotten; of a constructor, all but the last.
   */
  forgotten(): readonly RequestRecord[] {
    return [...this.#open.values()].filter(({ key, type, ordinal, seq }) => {
      const later = (this.#taken.get(key)?.[type] ?? 0) - ordinal;
      if (type === DM_ULOG_CTR) return later < 1 && !this.#answeredSince.has(seq);
      return later < resendsMax;
    });
  }
}
