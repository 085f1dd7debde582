/**
 * One mirror table of the simulated kernel: the worker that takes writes through the region hash to the legs, and
 * recovery.
 *
 * A round of the worker: region states (clears, ends of recoveries, a flush), recovery (one region at a time), reads,
 * writes, failures. Writes of a round are sorted first: those to regions that may be under recovery elsewhere come
 * again 200 ms later; those to regions in sync are marked, flushed and then written to all legs; those to
 * regions out of sync go to the default leg; those to the region under recovery wait.
 *
 * Errors are handled (`handle_errors`): after a failed flush no write is issued any more, and after a failed leg the
 * write is held, both until the table is suspended without flushing, when held writes go back to the device.
 * The default leg never fails here, so it never moves.
 */
import { type RegionEntry, RegionHash } from './region-hash.js';
import { type Blocking, type Threads, Wait } from './threads.js';
import type { UserspaceLog } from './userspace-log.js';
import type { KernelObserver, KernelWorld, Legs, Write } from './world.js';

const requeueMs = 200;
const defaultLeg = 0;

export interface Read {
  readonly sector: number;
  readonly region: number;
  readonly done: () => void;
}

export interface TargetParts {
  readonly threads: Threads;
  readonly world: KernelWorld;
  readonly observer: KernelObserver;
  readonly legs: Legs;
  /** A write that the target gives back at a suspend without flushing. */
  readonly requeue: (write: Write) => void;
  /** A write that left the target, done or given back. */
  readonly left: () => void;
}

export class MirrorTarget {
  readonly log: UserspaceLog;
  readonly hash: RegionHash;
  readonly sectors: number;
  /** Set for good by a failed flush: nothing is written until the table is replaced. */
  logFailed = false;
  legFailed = false;
  inSync = false;
  /** The last answer of GET_SYNC_COUNT. */
  syncCount = 0;
  recoveries = 0;
  readonly #parts: TargetParts;
  #reads: Read[] = [];
  #writes: Write[] = [];
  #failures: Write[] = [];
  #holds: Write[] = [];
  #suspended = true;
  #kicked = false;
  #working = false;
  #requeueTimer = false;
  #destroyed = false;
  #idle: Wait | null = null;

  constructor(parts: TargetParts, log: UserspaceLog, sectors: number) {
    this.#parts = parts;
    this.log = log;
    this.sectors = sectors;
    this.hash = new RegionHash(parts.threads, log, {
      dispatch: (writes) => {
        this.#writes.push(...writes);
        this.wake();
      },
      wake: () => this.wake(),
    });
  }

  /** True while writes wait for a new table. */
  get holding(): boolean {
    return this.#holds.length > 0;
  }

  write(write: Write): void {
    write.region = Math.floor(write.sector / this.log.regionSectors);
    this.#writes.push(write);
    this.wake();
  }

  read(sector: number, done: () => void): void {
    this.#reads.push({ sector, region: Math.floor(sector / this.log.regionSectors), done });
    this.wake();
  }

  /** Runs the worker soon. */
  wake(): void {
    if (this.#kicked) return;
    this.#kicked = true;
    this.#parts.world.after(this.#parts.world.wakeDelayMs(), () => {
      if (!this.#working && !this.#parts.threads.halted) {
        this.#working = true;
        this.#parts.threads.spawn(this.#work());
      }
    });
  }

  *resume(): Blocking<number> {
    this.#suspended = false;
    const error = yield* this.log.resume();
    if (error !== 0) this.#parts.observer.say(`resume of ${this.log.uuid} failed: ${error}`);
    this.hash.startRecovery();
    return error;
  }

  /** Held writes go back, recovery ends, the daemon is told, the worker comes to rest. */
  *presuspend(): Blocking {
    this.#suspended = true;
    const holds = this.#holds;
    this.#holds = [];
    for (const write of holds) this.#giveBack(write);
    yield* this.hash.stopRecovery();
    yield* this.log.presuspend();
    yield* this.#settle();
  }

  *postsuspend(): Blocking<number> {
    return yield* this.log.postsuspend();
  }

  *destroy(): Blocking<number> {
    this.#destroyed = true;
    yield* this.#settle();
    return yield* this.log.destroy();
  }

  /** Waits until the worker has nothing to do. */
  *#settle(): Blocking {
    while (this.#working || this.#kicked) {
      this.#idle ??= new Wait(this.#parts.threads);
      const idle = this.#idle;
      yield idle;
    }
  }

  *#work(): Blocking {
    while (this.#kicked) {
      this.#kicked = false;
      yield* this.#round();
    }
    this.#working = false;
    const idle = this.#idle;
    this.#idle = null;
    idle?.finish();
  }

  *#round(): Blocking {
    const reads = this.#reads;
    const writes = this.#writes;
    const failures = this.#failures;
    this.#reads = [];
    this.#writes = [];
    this.#failures = [];
    yield* this.hash.updateStates(true);
    yield* this.#recover();
    for (const read of reads) {
      yield* this.hash.state(read.region);
      read.done();
    }
    yield* this.#doWrites(writes);
    yield* this.#doFailures(failures);
  }

  *#recover(): Blocking {
    yield* this.hash.prepareRecovery();
    for (let entry = this.hash.nextQuiesced(); entry !== undefined; entry = this.hash.nextQuiesced()) this.#copy(entry);
    if (this.inSync) return;
    this.syncCount = yield* this.log.syncCount();
    this.inSync = this.syncCount === this.log.regionCount;
  }

  #copy(entry: RegionEntry): void {
    const { observer, legs } = this.#parts;
    const sector = entry.region * this.log.regionSectors;
    const sectors = Math.min(this.log.regionSectors, this.sectors - sector);
    observer.recoveryStarted(this.log, entry.region);
    legs.copy(defaultLeg, sector, sectors, (failedLegs) => {
      const ok = failedLegs.length === 0;
      if (!ok) this.legFailed = true;
      else this.recoveries += 1;
      observer.recoveryEnded(this.log, entry.region, ok);
      this.hash.copied(entry, ok);
    });
  }

  *#doWrites(writes: readonly Write[]): Blocking {
    if (writes.length === 0) return;
    const sorted = { all: [] as Write[], defaultOnly: [] as Write[], later: [] as Write[], wait: [] as Write[] };
    for (const write of writes) {
      if (yield* this.log.isRemoteRecovering(write.region)) {
        sorted.later.push(write);
        continue;
      }
      const state = yield* this.hash.state(write.region);
      if (state === 'recovering') sorted.wait.push(write);
      else if (state === 'nosync') sorted.defaultOnly.push(write);
      else sorted.all.push(write);
    }
    if (sorted.later.length > 0) this.#requeue(sorted.later);
    yield* this.hash.countPending(sorted.all);
    yield* this.hash.countPending(sorted.defaultOnly);
    if ((yield* this.log.flush()) !== 0) this.logFailed = true;
    if (this.logFailed) this.#fail(sorted.all);
    else for (const write of sorted.all) this.#issueToAll(write);
    for (const write of sorted.wait) if (!this.hash.delay(write)) throw new Error('a delayed write has no recovery');
    if (this.legFailed) this.#fail(sorted.defaultOnly);
    else for (const write of sorted.defaultOnly) this.#issueToDefault(write);
  }

  *#doFailures(failures: readonly Write[]): Blocking {
    for (const write of failures) {
      if (!this.logFailed) {
        this.inSync = false;
        yield* this.hash.markNosync(write.region);
      }
      if (this.#suspended) this.#giveBack(write);
      else this.#holds.push(write);
    }
  }

  #requeue(writes: readonly Write[]): void {
    this.#writes.push(...writes);
    if (this.#requeueTimer) return;
    this.#requeueTimer = true;
    this.#parts.world.after(requeueMs, () => {
      this.#requeueTimer = false;
      // Destroying a table stops its timer.
      if (!this.#destroyed) this.wake();
    });
  }

  #issueToAll(write: Write): void {
    const { legs, observer } = this.#parts;
    observer.writeIssued(this.log, write, true);
    let open = legs.legCount;
    let failed = 0;
    for (let leg = 0; leg < legs.legCount; leg++) {
      legs.write(leg, write, (ok) => {
        open -= 1;
        if (!ok) failed += 1;
        if (open > 0) return;
        observer.writeEnded(this.log, write, true);
        if (failed === 0) return this.#end(write, true);
        this.legFailed = true;
        this.#fail([write]);
      });
    }
  }

  #issueToDefault(write: Write): void {
    const { legs, observer } = this.#parts;
    observer.writeIssued(this.log, write, false);
    legs.write(defaultLeg, write, (ok) => {
      observer.writeEnded(this.log, write, false);
      this.#end(write, ok);
    });
  }

  #fail(writes: readonly Write[]): void {
    if (writes.length === 0) return;
    this.#failures.push(...writes);
    this.wake();
  }

  #end(write: Write, ok: boolean): void {
    this.hash.uncount(write.region);
    write.done(ok);
    this.#parts.left();
  }

  #giveBack(write: Write): void {
    this.hash.uncount(write.region);
    this.#parts.requeue(write);
    this.#parts.left();
  }
}
