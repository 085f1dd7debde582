/**
 * The region hash: the kernel's short memory of the regions that are being written or recovered.
 *
 * | state      | a write to the region                                   | leaves the hash                        |
 * | ---------- | ------------------------------------------------------- | -------------------------------------- |
 * | clean      | makes it dirty: a mark is queued                        | at the next round; a clear is queued   |
 * | dirty      | goes to all legs                                        | becomes clean with the last write      |
 * | nosync     | goes to the default leg only, and is never marked       | when recovered, or with the table      |
 * | recovering | waits until the copy is over                            | at the round after the copy            |
 *
 * A region that is not in the hash is asked of the daemon (IN_SYNC). Entries of out-of-sync regions stay (R10): that
 * is why a daemon must never answer "not in sync" for a region that it does not keep out of sync.
 */
import { type Blocking, Semaphore, type Threads, Wait } from './threads.js';
import type { UserspaceLog } from './userspace-log.js';
import type { Write } from './world.js';

export type RegionState = 'clean' | 'dirty' | 'nosync' | 'recovering';
type ListName = 'none' | 'clean' | 'quiesced' | 'recovered' | 'failed';

export interface RegionEntry {
  readonly region: number;
  state: RegionState;
  pending: number;
  list: ListName;
  delayed: Write[];
}

export class RegionHash {
  readonly entries = new Map<number, RegionEntry>();
  readonly #log: UserspaceLog;
  readonly #threads: Threads;
  /** Gives delayed writes back to the mirror, and wakes its worker. */
  readonly #dispatch: (writes: readonly Write[]) => void;
  readonly #wake: () => void;
  /** One region at a time; nought while recovery is stopped. */
  readonly #recoverySlots: Semaphore;
  #recoveriesInFlight = 0;
  #drained: Wait | null = null;
  #clean: RegionEntry[] = [];
  #quiesced: RegionEntry[] = [];
  #recovered: RegionEntry[] = [];
  #failed: RegionEntry[] = [];

  constructor(
    threads: Threads,
    log: UserspaceLog,
    edges: { dispatch: (writes: readonly Write[]) => void; wake: () => void },
  ) {
    this.#threads = threads;
    this.#log = log;
    this.#dispatch = edges.dispatch;
    this.#wake = edges.wake;
    this.#recoverySlots = new Semaphore(threads, 0);
  }

  /** Asks the log about a region that is not in the hash, and does not put it there. */
  *state(region: number): Blocking<RegionState> {
    const entry = this.entries.get(region);
    if (entry !== undefined) return entry.state;
    return (yield* this.#log.inSync(region)) === 1 ? 'clean' : 'nosync';
  }

  /** The first write of a batch to a clean region queues its mark. */
  *countPending(writes: readonly Write[]): Blocking {
    for (const write of writes) {
      const entry = yield* this.#find(write.region);
      entry.pending += 1;
      if (entry.state !== 'clean') continue;
      entry.state = 'dirty';
      this.#unlist(entry);
      this.#log.markRegion(write.region);
    }
  }

  /** A write ended. */
  uncount(region: number): void {
    const entry = this.entries.get(region);
    if (entry === undefined || entry.pending === 0)
      throw new Error(`a write ended in region ${region}, which has none`);
    entry.pending -= 1;
    if (entry.pending > 0) return;
    if (entry.state === 'recovering') {
      entry.list = 'quiesced';
      this.#quiesced.push(entry);
    } else if (entry.state === 'dirty') {
      entry.state = 'clean';
      entry.list = 'clean';
      this.#clean.unshift(entry);
    }
    this.#wake();
  }

  /** A write reached some legs only. */
  *markNosync(region: number): Blocking {
    yield* this.#log.setRegionSync(region, false);
    const entry = yield* this.#find(region);
    const recovering = entry.state === 'recovering';
    entry.state = 'nosync';
    if (recovering) yield* this.#completeRecovery(entry, false);
  }

  delay(write: Write): boolean {
    const entry = this.entries.get(write.region);
    if (entry === undefined || entry.state !== 'recovering') return false;
    entry.delayed.push(write);
    return true;
  }

  /** One round: what was recovered or became clean leaves the hash, and the log is flushed. */
  *updateStates(errorsHandled: boolean): Blocking {
    const clean = this.#clean;
    const recovered = this.#recovered;
    const failed = this.#failed;
    this.#clean = [];
    this.#recovered = [];
    this.#failed = [];
    for (const list of [clean, recovered, failed]) for (const entry of list) this.entries.delete(entry.region);
    for (const entry of recovered) {
      this.#log.clearRegion(entry.region);
      yield* this.#completeRecovery(entry, true);
    }
    for (const entry of failed) yield* this.#completeRecovery(entry, !errorsHandled);
    for (const entry of clean) this.#log.clearRegion(entry.region);
    yield* this.#log.flush();
  }

  /** Asks for work while a slot is free, and starts quiescing the region. */
  *prepareRecovery(): Blocking {
    this.#recoveriesInFlight += 1;
    while (this.#recoverySlots.tryDown()) {
      this.#recoveriesInFlight += 1;
      const region = yield* this.#log.resyncWork();
      if (region < 0) {
        this.#recoveriesInFlight -= 1;
        this.#recoverySlots.up();
        break;
      }
      const entry = yield* this.#find(region);
      entry.state = 'recovering';
      this.#unlist(entry);
      if (entry.pending > 0) continue;
      entry.list = 'quiesced';
      this.#quiesced.unshift(entry);
    }
    this.#recoveryOver();
  }

  nextQuiesced(): RegionEntry | undefined {
    const entry = this.#quiesced.shift();
    if (entry !== undefined) entry.list = 'none';
    return entry;
  }

  copied(entry: RegionEntry, ok: boolean): void {
    entry.list = ok ? 'recovered' : 'failed';
    (ok ? this.#recovered : this.#failed).unshift(entry);
    this.#wake();
  }

  startRecovery(): void {
    this.#recoverySlots.up();
    this.#wake();
  }

  /** Waits until the region under recovery is done and keeps the slot. */
  *stopRecovery(): Blocking {
    yield* this.#recoverySlots.down();
    if (this.#recoveriesInFlight === 0) return;
    this.#drained = new Wait(this.#threads);
    yield this.#drained;
    this.#drained = null;
  }

  get recovering(): boolean {
    return this.#recoveriesInFlight > 0;
  }

  *#find(region: number): Blocking<RegionEntry> {
    const known = this.entries.get(region);
    if (known !== undefined) return known;
    const state: RegionState = (yield* this.#log.inSync(region)) !== 0 ? 'clean' : 'nosync';
    const raced = this.entries.get(region);
    if (raced !== undefined) return raced;
    const entry: RegionEntry = { region, state, pending: 0, list: 'none', delayed: [] };
    this.entries.set(region, entry);
    if (state === 'clean') {
      entry.list = 'clean';
      this.#clean.unshift(entry);
    }
    return entry;
  }

  *#completeRecovery(entry: RegionEntry, ok: boolean): Blocking {
    yield* this.#log.setRegionSync(entry.region, ok);
    const delayed = entry.delayed;
    entry.delayed = [];
    this.#dispatch(delayed);
    this.#recoveryOver();
    this.#recoverySlots.up();
  }

  #recoveryOver(): void {
    this.#recoveriesInFlight -= 1;
    if (this.#recoveriesInFlight === 0) this.#drained?.finish();
  }

  #unlist(entry: RegionEntry): void {
    if (entry.list === 'clean') this.#clean = this.#clean.filter((other) => other !== entry);
    if (entry.list === 'quiesced') this.#quiesced = this.#quiesced.filter((other) => other !== entry);
    entry.list = 'none';
  }
}
