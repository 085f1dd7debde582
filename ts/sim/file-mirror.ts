/**
 * A mirror of the process `simulated-kernel`: its device, its users, and the figures it prints.
 *
 * Users write to a hot set of regions and now and then anywhere, never two at once to the same sectors. With a rate
 * they keep to it by the clock; without one each writes again as soon as its write is done. Where several hosts share the legs
 * each has sectors of its own, in every region, and knows in the end whether what it wrote last is still there.
 */

import type { Kernel } from './kernel/kernel.js';
import type { MappedDevice } from './kernel/mapped-device.js';
import type { Blocking } from './kernel/threads.js';
import type { LogTable } from './kernel/userspace-log.js';
import type { FileLegs } from './leg-files.js';
import type { Prng } from './prng.js';

export interface Load {
  /** Writes a second, 0: as fast as the writers can. */
  readonly rate: number;
  /** Writers: most writes under way. */
  readonly depth: number;
  readonly sectorsMax: number;
  readonly hotRegions: number;
  /** Share of writes that go anywhere. */
  readonly wideShare: number;
  /** This host's number among those that share the legs, from 0, and how many they are. */
  readonly host: number;
  readonly hosts: number;
}

export interface Progress {
  readonly writes: number;
  readonly underWay: number;
  readonly errors: number;
  readonly dirtyRegions: number;
  readonly inSync: number;
  readonly regions: number;
  readonly percent: number;
  readonly recovered: number;
  readonly logFailed: boolean;
}

export class FileMirror {
  readonly device: MappedDevice;
  writes = 0;
  errors = 0;
  /** Most writes waited this long, at worst. */
  slowestMs = 0;
  readonly #table: LogTable;
  readonly #prng: Prng;
  readonly #load: Load;
  readonly #legs: FileLegs;
  readonly #busySectors = new Set<number>();
  /** Of sectors that were written: the stamp that was written last. */
  readonly #written = new Map<number, number>();
  readonly #hot: number[] = [];
  #stamp: number;
  #underWay = 0;
  #stopped = false;
  #idle: (() => void) | null = null;

  constructor(kernel: Kernel, legs: FileLegs, table: LogTable, parts: { prng: Prng; load: Load; firstStamp: number }) {
    this.device = kernel.addDevice(legs);
    this.#legs = legs;
    this.#table = table;
    this.#prng = parts.prng;
    this.#load = parts.load;
    this.#stamp = parts.firstStamp;
  }

  *activate(): Blocking<number> {
    const error = yield* this.device.load(this.#table);
    return error !== 0 ? error : yield* this.device.resume();
  }

  *retire(): Blocking {
    yield* this.device.suspend();
    yield* this.device.remove();
  }

  /** Suspends and resumes, as an administrator does so that the kernel asks for resync work again. */
  *restart(): Blocking<number> {
    yield* this.device.suspend();
    return yield* this.device.resume();
  }

  /** Sectors of the default leg that do not hold what was written last. Only when nobody writes. */
  staleSectors(): number[] {
    return [...this.#written].filter(([sector, stamp]) => this.#legs.stampAt(0, sector) !== stamp).map(([at]) => at);
  }

  startUsers(): void {
    const regions = this.device.live?.log.regionCount ?? 1;
    for (let i = 0; i < this.#load.hotRegions; i++) this.#hot.push(this.#prng.below(regions));
    if (this.#load.rate > 0) this.#keepRate(performance.now(), 0);
    else for (let i = 0; i < this.#load.depth; i++) this.#write();
  }

  /** Resolves when the last write is done. */
  stopUsers(): Promise<void> {
    this.#stopped = true;
    if (this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }

  progress(): Progress {
    const live = this.device.live;
    const regions = live?.log.regionCount ?? 0;
    const dirty = [...(live?.hash.entries.values() ?? [])].filter((entry) => entry.state === 'dirty').length;
    const inSync = live?.inSync === true ? regions : (live?.syncCount ?? 0);
    return {
      writes: this.writes,
      underWay: this.#underWay,
      errors: this.errors,
      dirtyRegions: dirty,
      inSync,
      regions,
      percent: regions === 0 ? 0 : (100 * inSync) / regions,
      recovered: live?.recoveries ?? 0,
      logFailed: live?.logFailed ?? false,
    };
  }

  #keepRate(startMs: number, issued: number): void {
    if (this.#stopped) return;
    const due = ((performance.now() - startMs) * this.#load.rate) / 1000;
    let count = issued;
    while (count < due) {
      count += 1;
      if (this.#underWay < this.#load.depth) this.#write();
    }
    setTimeout(() => this.#keepRate(startMs, count), 2);
  }

  #write(): void {
    const { sector, sectors } = this.#place();
    for (let at = sector; at < sector + sectors; at++) this.#busySectors.add(at);
    this.#stamp += 1;
    const stamp = this.#stamp;
    this.#underWay += 1;
    const startMs = performance.now();
    const done = (ok: boolean) => {
      for (let at = sector; at < sector + sectors; at++) this.#busySectors.delete(at);
      this.#underWay -= 1;
      this.writes += 1;
      if (!ok) this.errors += 1;
      for (let at = sector; at < sector + sectors; at++) {
        if (ok) this.#written.set(at, stamp);
        // It may be there, in part.
        else this.#written.delete(at);
      }
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startMs);
      if (this.#stopped && this.#underWay === 0) this.#idle?.();
      if (!this.#stopped && this.#load.rate === 0) this.#write();
    };
    this.device.submit({ sector, sectors, stamp, region: 0, done });
  }

  /** A place inside one region where no write is under way. */
  #place(): { sector: number; sectors: number } {
    const log = this.device.live?.log;
    if (log === undefined) throw new Error('a write to a mirror that is not active');
    for (;;) {
      const wide = this.#hot.length === 0 || this.#prng.chance(this.#load.wideShare);
      const region = wide ? this.#prng.below(log.regionCount) : this.#prng.pick(this.#hot);
      const start = region * log.regionSectors;
      const end = Math.min(start + log.regionSectors, this.#table.sectors);
      const { sectorsMax, host, hosts } = this.#load;
      let sector = this.#prng.between(start, end - 1);
      // Where the legs are shared: the first of the pieces behind it that is this host's.
      if (hosts > 1) {
        const piece = Math.ceil(sector / sectorsMax);
        sector = (piece + ((host - (piece % hosts) + hosts) % hosts)) * sectorsMax;
        if (sector >= end) continue;
      }
      const sectors = Math.min(this.#prng.between(1, sectorsMax), end - sector);
      let free = true;
      for (let at = sector; at < sector + sectors; at++) free &&= !this.#busySectors.has(at);
      if (free) return { sector, sectors };
    }
  }
}
