/**
 * A mapped device of the simulated kernel: a live table, perhaps a loaded one that waits, and the writes that wait
 * while it is suspended. Every method here is what one `dmsetup` command does. Suspends and resumes of one device wait for each
 * other, as the kernel's do; a table may be loaded meanwhile.
 *
 * A reload takes the order that a daemon must cope with: constructor of the new table while the old one serves,
 * PRESUSPEND and POSTSUSPEND of the old, RESUME of the new, DTR of the old. Suspends do not flush: writes that a failed
 * table holds come back here and go to the next one. The kernel goes on when a life-cycle request fails, and so does this.
 */
import type { LogClient } from './log-client.js';
import { MirrorTarget, type Read } from './mirror-target.js';
import { type Blocking, Semaphore, type Threads, Wait } from './threads.js';
import { type LogTable, type RemoteRecoveringLimiter, UserspaceLog } from './userspace-log.js';
import type { KernelObserver, KernelWorld, Legs, Write } from './world.js';

export interface DeviceParts {
  readonly threads: Threads;
  readonly client: LogClient;
  readonly world: KernelWorld;
  readonly limiter: RemoteRecoveringLimiter;
  readonly observer: KernelObserver;
  /** A fresh local unique id: the address of the new log context. */
  readonly luid: () => { high: number; low: number };
}

export class MappedDevice {
  readonly legs: Legs;
  live: MirrorTarget | null = null;
  loaded: MirrorTarget | null = null;
  /** The log of a table under construction: it is in neither place. */
  building: UserspaceLog | null = null;
  suspended = true;
  readonly #parts: DeviceParts;
  /** New writes wait here. */
  #blocked = true;
  #deferred: (Write | Read)[] = [];
  #inside = 0;
  #drained: Wait | null = null;
  /** Who suspends or resumes. */
  readonly #lock: Semaphore;

  constructor(parts: DeviceParts, legs: Legs) {
    this.#parts = parts;
    this.legs = legs;
    this.#lock = new Semaphore(parts.threads, 1);
  }

  /** Writes and reads that were submitted and are not done. */
  get outstanding(): number {
    return this.#inside + this.#deferred.length;
  }

  /** A suspend waits for writes to end. */
  get draining(): boolean {
    return this.#drained !== null;
  }

  submit(write: Write): void {
    const target = this.live;
    if (this.#blocked || target === null) {
      this.#deferred.push(write);
      return;
    }
    this.#inside += 1;
    target.write(write);
  }

  read(sector: number, done: () => void): void {
    const target = this.live;
    if (this.#blocked || target === null) {
      this.#deferred.push({ sector, region: 0, done });
      return;
    }
    this.#inside += 1;
    target.read(sector, () => {
      done();
      this.#left();
    });
  }

  /** Builds a table in the waiting place; its legs take `legsOpenMs` to open. Returns 0 or a negative errno. */
  *load(table: LogTable, legsOpenMs = 0): Blocking<number> {
    const { threads, client, world, limiter, observer } = this.#parts;
    const log = new UserspaceLog({ client, world, limiter, observer }, table, this.#parts.luid());
    this.building = log;
    const error = yield* log.create();
    // The kernel opens the legs of a mirror when it has its log.
    if (error === 0 && legsOpenMs > 0) yield* client.sleep(legsOpenMs);
    this.building = null;
    if (error !== 0) return error;
    if (this.loaded !== null) yield* this.loaded.destroy();
    const parts = {
      threads,
      world,
      observer,
      legs: this.legs,
      requeue: (write: Write) => void this.#deferred.push(write),
      left: () => this.#left(),
    };
    this.loaded = new MirrorTarget(parts, log, table.sectors);
    return 0;
  }

  *suspend(): Blocking {
    yield* this.#lock.down();
    yield* this.#suspend();
    this.#lock.up();
  }

  /** Takes the loaded table into use when there is one. Returns what RESUME gave. */
  *resume(): Blocking<number> {
    yield* this.#lock.down();
    const error = yield* this.#resume();
    this.#lock.up();
    return error;
  }

  *remove(): Blocking {
    yield* this.#lock.down();
    yield* this.#suspend();
    if (this.loaded !== null) yield* this.loaded.destroy();
    if (this.live !== null) yield* this.live.destroy();
    this.live = null;
    this.loaded = null;
    this.#lock.up();
  }

  *#suspend(): Blocking {
    const target = this.live;
    if (this.suspended || target === null) return;
    yield* target.presuspend();
    this.#blocked = true;
    while (this.#inside > 0) {
      this.#drained = new Wait(this.#parts.threads);
      yield this.#drained;
    }
    yield* target.postsuspend();
    this.suspended = true;
  }

  *#resume(): Blocking<number> {
    const next = this.loaded;
    const last = this.live;
    if (next !== null) {
      yield* this.#suspend();
      this.live = next;
      this.loaded = null;
    }
    const target = this.live;
    if (target === null || !this.suspended) return 0;
    const error = yield* target.resume();
    this.suspended = false;
    this.#release(target);
    if (next !== null && last !== null) yield* last.destroy();
    return error;
  }

  #release(target: MirrorTarget): void {
    this.#blocked = false;
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const item of deferred) {
      if ('stamp' in item) this.submit(item);
      else this.read(item.sector, item.done);
    }
    target.wake();
  }

  #left(): void {
    this.#inside -= 1;
    if (this.#inside > 0) return;
    this.#drained?.finish();
    this.#drained = null;
  }
}
