/**
 * The kernel's `userspace` dirty log of one table: queues of marks and clears, the flush that sends them, the hint
 * that saves questions, and the life cycle. What blocks is a generator (see threads.ts).
 *
 * Marks and clears are only queued; a flush sends clears, then marks, in groups of at most 32, newest first, then
 * FLUSH. With the integrated flush the marks ride in FLUSH, and a flush of clears alone waits up to three seconds.
 */
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_CTR,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_REGION_SIZE,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_CLEAN,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_STATUS_INFO,
  DM_ULOG_STATUS_TABLE,
} from '../../base/ulog-frames.js';
import type { LogClient } from './log-client.js';
import { type Blocking, Wait } from './threads.js';
import { type KernelObserver, type KernelWorld, type LifeCycleStep, logKey, type ObservedTarget } from './world.js';

const groupRegionsMax = 32;
const integratedFlushDelayMs = 3000;
const remoteRecoveringPauseMs = 250;

/** One timestamp for all logs of the host: the kernel asks IS_REMOTE_RECOVERING at most once in this pause. */
export interface RemoteRecoveringLimiter {
  nextMs: number;
}

export interface LogTable {
  readonly uuid: string;
  /** Text after the uuid: `[integrated_flush] <type> <arguments>`. */
  readonly arguments: string;
  readonly integratedFlush: boolean;
  readonly sectors: number;
}

export class UserspaceLog implements ObservedTarget {
  readonly key: string;
  readonly uuid: string;
  readonly uuidBytes: Uint8Array;
  readonly luidHigh: number;
  readonly luidLow: number;
  /** Length and arguments, as CTR carries them. */
  readonly constructorText: string;
  /** When its table was begun. */
  readonly begunMs: number;
  regionCount = 0;
  regionSectors = 0;
  hint = 0;
  /** Device name that CTR returned. */
  deviceName = '';
  /** Requests that failed, for `status`. */
  failures = 0;
  readonly #integrated: boolean;
  readonly #sectors: number;
  readonly #client: LogClient;
  readonly #world: KernelWorld;
  readonly #limiter: RemoteRecoveringLimiter;
  readonly #observer: KernelObserver;
  #marks: number[] = [];
  #clears: number[] = [];
  /** Counts delayed flushes; one whose number is not the current one was cancelled. */
  #delayedFlush = 0;
  #delayedFlushWaits = false;
  /** A delayed flush under way; the log is not destroyed before it has ended. */
  #flushing: Wait | null = null;

  constructor(
    parts: {
      client: LogClient;
      world: KernelWorld;
      limiter: RemoteRecoveringLimiter;
      observer: KernelObserver;
    },
    table: LogTable,
    luid: { high: number; low: number },
  ) {
    this.uuid = table.uuid;
    this.key = logKey(table.uuid, luid.high, luid.low);
    this.uuidBytes = Buffer.from(table.uuid);
    this.luidHigh = luid.high;
    this.luidLow = luid.low;
    this.constructorText = `${table.sectors} ${table.arguments}`;
    this.#sectors = table.sectors;
    this.#integrated = table.integratedFlush;
    this.#client = parts.client;
    this.#world = parts.world;
    this.begunMs = parts.world.nowMs();
    this.#limiter = parts.limiter;
    this.#observer = parts.observer;
  }

  /** CTR and GET_REGION_SIZE. Returns 0 or a negative errno; after a failure the daemon is told nothing more. */
  *create(): Blocking<number> {
    const made = yield* this.#client.consult(this, DM_ULOG_CTR, { text: this.constructorText, nul: false, room: 128 });
    this.#observer.lifeCycle(this, 'create', made.error);
    if (made.error < 0) return made.error;
    this.deviceName = made.text;
    const size = yield* this.#client.consult(this, DM_ULOG_GET_REGION_SIZE, { room: 8 });
    if (size.error !== 0) return size.error;
    this.regionSectors = size.first;
    this.regionCount = Math.ceil(this.#sectors / size.first);
    return 0;
  }

  *resume(): Blocking<number> {
    this.hint = 0;
    return yield* this.#step('resume', DM_ULOG_RESUME);
  }

  *presuspend(): Blocking<number> {
    return yield* this.#step('presuspend', DM_ULOG_PRESUSPEND);
  }

  *postsuspend(): Blocking<number> {
    yield* this.#runDelayedFlush();
    return yield* this.#step('postsuspend', DM_ULOG_POSTSUSPEND);
  }

  *destroy(): Blocking<number> {
    yield* this.#runDelayedFlush();
    while (this.#flushing !== null) yield this.#flushing;
    return yield* this.#step('destroy', DM_ULOG_DTR);
  }

  *inSync(region: number): Blocking<number> {
    const reply = yield* this.#client.request(this, DM_ULOG_IN_SYNC, { regions: [region], room: 8 });
    if (reply.error === 0) return reply.first;
    this.#observer.questionFailed(this, region, reply);
    return 0;
  }

  *isClean(region: number): Blocking<number> {
    const reply = yield* this.#client.request(this, DM_ULOG_IS_CLEAN, { regions: [region], room: 8 });
    return reply.error !== 0 ? 0 : reply.first;
  }

  /** Never blocks: the region is named to the daemon by the next flush. */
  markRegion(region: number): void {
    this.#marks.push(region);
  }

  clearRegion(region: number): void {
    this.#clears.push(region);
  }

  /** Region to recover, or -1. */
  *resyncWork(): Blocking<number> {
    if (this.hint >= this.regionCount) return -1;
    const reply = yield* this.#client.request(this, DM_ULOG_GET_RESYNC_WORK, { room: 16 });
    return reply.error === 0 && reply.first > 0 ? reply.second : -1;
  }

  *setRegionSync(region: number, inSync: boolean): Blocking {
    yield* this.#client.request(this, DM_ULOG_SET_REGION_SYNC, { regions: [region, inSync ? 1 : 0], room: 0 });
  }

  *syncCount(): Blocking<number> {
    const reply = yield* this.#client.request(this, DM_ULOG_GET_SYNC_COUNT, { room: 8 });
    if (reply.error !== 0) return 0;
    if (reply.first >= this.regionCount) this.hint = this.regionCount;
    return reply.first;
  }

  *isRemoteRecovering(region: number): Blocking<boolean> {
    if (region < this.hint) return false;
    const nowMs = this.#world.nowMs();
    if (nowMs < this.#limiter.nextMs) return true;
    this.#limiter.nextMs = nowMs + remoteRecoveringPauseMs;
    const reply = yield* this.#client.request(this, DM_ULOG_IS_REMOTE_RECOVERING, { regions: [region], room: 16 });
    if (reply.error !== 0) return true;
    this.hint = reply.second;
    return reply.first !== 0;
  }

  *statusInfo(): Blocking<string> {
    const reply = yield* this.#client.request(this, DM_ULOG_STATUS_INFO, { room: 400 });
    return reply.error === 0 ? reply.text : '1 COM_FAILURE';
  }

  *statusTable(): Blocking<string> {
    const reply = yield* this.#client.consult(this, DM_ULOG_STATUS_TABLE, { room: 400 });
    return reply.error === 0 ? reply.text : '';
  }

  /** Sends what is queued. Returns 0 or a negative errno; what was queued is forgotten either way. */
  *flush(): Blocking<number> {
    const marks = this.#marks.reverse();
    const clears = this.#clears.reverse();
    this.#marks = [];
    this.#clears = [];
    if (marks.length === 0 && clears.length === 0) return 0;
    const error = yield* this.#flushLists(marks, clears);
    if (error !== 0) this.#flushFailed();
    return error;
  }

  *#flushLists(marks: readonly number[], clears: readonly number[]): Blocking<number> {
    const cleared = yield* this.#sendGroups(DM_ULOG_CLEAR_REGION, clears);
    if (cleared !== 0) return cleared;
    if (this.#integrated) return yield* this.#integratedFlush(marks);
    const marked = yield* this.#sendGroups(DM_ULOG_MARK_REGION, marks);
    if (marked !== 0) return marked;
    return (yield* this.#client.request(this, DM_ULOG_FLUSH, { room: 0 })).error;
  }

  *#integratedFlush(marks: readonly number[]): Blocking<number> {
    for (let from = 0; from < marks.length; from += groupRegionsMax) {
      const regions = marks.slice(from, from + groupRegionsMax);
      const reply = yield* this.#client.request(this, DM_ULOG_FLUSH, { regions, room: 0 });
      if (reply.error !== 0) return reply.error;
    }
    if (marks.length === 0 && !this.#delayedFlushWaits) {
      this.#delayedFlush += 1;
      this.#delayedFlushWaits = true;
      const number = this.#delayedFlush;
      this.#world.after(integratedFlushDelayMs, () => {
        if (number === this.#delayedFlush) this.#client.threads.spawn(this.#runDelayedFlush());
      });
    } else {
      this.#delayedFlush += 1;
      this.#delayedFlushWaits = false;
    }
    return 0;
  }

  *#runDelayedFlush(): Blocking {
    if (!this.#delayedFlushWaits) return;
    this.#delayedFlush += 1;
    this.#delayedFlushWaits = false;
    // One work item: it never runs twice at a time.
    while (this.#flushing !== null) yield this.#flushing;
    const flushing = new Wait(this.#client.threads);
    this.#flushing = flushing;
    const reply = yield* this.#client.request(this, DM_ULOG_FLUSH, { room: 0 });
    if (reply.error !== 0) this.#flushFailed();
    this.#flushing = null;
    flushing.finish();
  }

  #flushFailed(): void {
    this.failures += 1;
    this.#observer.flushFailed(this);
  }

  /** When one group fails, the whole list is sent again region by region. */
  *#sendGroups(type: number, list: readonly number[]): Blocking<number> {
    for (let from = 0; from < list.length; from += groupRegionsMax) {
      const regions = list.slice(from, from + groupRegionsMax);
      const reply = yield* this.#client.request(this, type, { regions, room: 0 });
      if (reply.error !== 0) return yield* this.#sendOneByOne(type, list);
    }
    return 0;
  }

  *#sendOneByOne(type: number, list: readonly number[]): Blocking<number> {
    for (const region of list) {
      const reply = yield* this.#client.request(this, type, { regions: [region], room: 0 });
      if (reply.error !== 0) return reply.error;
    }
    return 0;
  }

  *#step(step: LifeCycleStep, type: number): Blocking<number> {
    const reply = yield* this.#client.consult(this, type, { room: 0 });
    this.#observer.lifeCycle(this, step, reply.error);
    return reply.error;
  }
}
