/**
 * A disk for logs with a volatile cache: what was written and not flushed may be on it after a power cut or not,
 * sector by sector and in any order, so a write of several sectors may be torn at each of them.
 *
 * `seen` is what a read gives; `durable` what stands for certain. Between the two, each sector has the list of
 * contents it was given since it was last made durable: after a cut any one of them, or the durable one, is there.
 * Faults are states of the disk, not of a call: see `Fault`.
 */
import { ChangeCount } from '../change-count.js';
import type { Prng } from '../prng.js';

export const sectorBytes = 512;
export const slowReadMs = 2000;

/** What is wrong with the disk now; `errno` is positive. */
export interface Fault {
  readonly errno: number;
  readonly reads: boolean;
  readonly writes: boolean;
  readonly opens: boolean;
  /** The one node that has it, by its own way to the disk; undefined: every one. */
  readonly node?: number;
  /** How many operations fail before the fault is over by itself. */
  operationsLeft: number;
}

export class LogDisk {
  readonly name: string;
  readonly identity: string;
  readonly major: number;
  readonly minor: number;
  readonly bytes: number;
  readonly logicalBlockBytes: number;
  readonly seen: Uint8Array;
  readonly durable: Uint8Array;
  #fault: Fault | null = null;
  #stalledUntilMs = 0;
  /** Power cuts so far: a write of before one never lands after it. */
  cuts = 0;
  /** Sector -> contents written since the durable one, oldest first. */
  readonly unflushed = new Map<number, Uint8Array[]>();
  /** Reads that begin before this time take up to `slowReadMs` longer. */
  slowReadsUntilMs = 0;
  bytesWritten = 0;
  /** Rises with every sector that may be read, or found after a power cut, otherwise than before, and with every fault. */
  changes = 0;
  flushes = 0;
  /** Node that wrote last; 0: none. */
  lastWriter = 0;
  /** The process that did. */
  lastProcess: object | null = null;
  /** Writes of each node that are under way. */
  readonly underWay = new Map<number, number>();
  /** Who has claimed the disk, by host: one opening at a time on each. */
  readonly #claimants = new Map<number, object>();
  /** Power cuts of hosts, the disk's own aside. */
  readonly #cutsOf = new Map<number, number>();
  readonly #all: ChangeCount;

  /** `all` counts the changes of everything that hosts share. */
  constructor(
    shape: { name: string; minor: number; bytes: number; logicalBlockBytes: number },
    all = new ChangeCount(),
  ) {
    this.#all = all;
    this.name = shape.name;
    this.major = 253;
    this.minor = shape.minor;
    this.identity = `253:${shape.minor}`;
    this.bytes = shape.bytes;
    this.logicalBlockBytes = shape.logicalBlockBytes;
    this.seen = new Uint8Array(shape.bytes);
    this.durable = new Uint8Array(shape.bytes);
  }

  /** False while somebody else on this host has it: a claim is no concern of other hosts. */
  claim(claimant: object, node: number): boolean {
    const taken = this.#claimants.get(node) ?? claimant;
    this.#claimants.set(node, taken);
    return taken === claimant;
  }

  unclaim(claimant: object): void {
    for (const [node, taken] of this.#claimants) if (taken === claimant) this.#claimants.delete(node);
  }

  /** A host is off: nothing of it claims the disk or writes to it any more. */
  forgetHost(node: number): void {
    this.#claimants.delete(node);
    this.underWay.delete(node);
    this.#cutsOf.set(node, (this.#cutsOf.get(node) ?? 0) + 1);
  }

  /** Rises with every power cut of the host, and of the disk. */
  cutsOf(node: number): number {
    return this.cuts + (this.#cutsOf.get(node) ?? 0);
  }

  /** The errno of the next operation of a kind, or 0. */
  trip(kind: 'reads' | 'writes' | 'opens', node: number): number {
    const fault = this.fault;
    if (fault === null || !fault[kind] || (fault.node ?? node) !== node) return 0;
    fault.operationsLeft -= 1;
    if (fault.operationsLeft <= 0) this.fault = null;
    return fault.errno;
  }

  get fault(): Fault | null {
    return this.#fault;
  }

  set fault(value: Fault | null) {
    this.#changed();
    this.#fault = value;
  }

  /** Writes that are given to the disk before this time land at any moment up to it. */
  get stalledUntilMs(): number {
    return this.#stalledUntilMs;
  }

  set stalledUntilMs(value: number) {
    this.#changed();
    this.#stalledUntilMs = value;
  }

  /** Takes sectors into the cache. */
  put(offset: number, bytes: Uint8Array): void {
    this.#changed();
    this.seen.set(bytes, offset);
    this.bytesWritten += bytes.length;
    for (let at = 0; at < bytes.length; at += sectorBytes) {
      const sector = (offset + at) / sectorBytes;
      const contents = bytes.slice(at, at + sectorBytes);
      const list = this.unflushed.get(sector);
      if (list === undefined) this.unflushed.set(sector, [contents]);
      else list.push(contents);
    }
  }

  /** Makes some sectors durable: those of a forced write, or all of them. */
  flushRange(offset: number, bytes: number): void {
    for (let sector = offset / sectorBytes; sector < (offset + bytes) / sectorBytes; sector++) this.#settle(sector);
  }

  flush(): void {
    this.flushes += 1;
    for (const sector of [...this.unflushed.keys()]) this.#settle(sector);
  }

  /** The cache writes something back on its own. */
  writeBack(prng: Prng): void {
    for (const sector of [...this.unflushed.keys()]) if (prng.chance(0.3)) this.#settle(sector);
  }

  /** A failed flush: the cache has forgotten some of what it held. */
  forget(prng: Prng): void {
    this.#changed();
    for (const sector of [...this.unflushed.keys()]) {
      if (!prng.chance(0.5)) continue;
      this.unflushed.delete(sector);
      this.seen.set(this.durable.subarray(sector * sectorBytes, (sector + 1) * sectorBytes), sector * sectorBytes);
    }
  }

  /** Power cut: every sector that was not flushed is as it was, or as any of its later writes left it. */
  cut(prng: Prng): void {
    this.#changed();
    for (const [sector, list] of this.unflushed) {
      const choice = prng.below(list.length + 1);
      const contents = list[choice];
      if (contents !== undefined) this.durable.set(contents, sector * sectorBytes);
    }
    this.unflushed.clear();
    this.seen.set(this.durable);
    this.fault = null;
    this.stalledUntilMs = 0;
    this.cuts += 1;
    this.#claimants.clear();
    this.underWay.clear();
  }

  /** True when the clean bit of a region may be found set after a power cut now. */
  mayBeClean(region: number): boolean {
    const byte = 1024 + Math.floor(region / 8);
    const bit = 1 << (region % 8);
    if (((this.durable[byte] ?? 0) & bit) !== 0) return true;
    const list = this.unflushed.get(Math.floor(byte / sectorBytes));
    if (list === undefined) return false;
    return list.some((contents) => ((contents[byte % sectorBytes] ?? 0) & bit) !== 0);
  }

  #changed(): void {
    this.changes += 1;
    this.#all.value += 1;
  }

  #settle(sector: number): void {
    const list = this.unflushed.get(sector);
    const last = list?.at(-1);
    if (last === undefined) return;
    this.#changed();
    this.durable.set(last, sector * sectorBytes);
    this.unflushed.delete(sector);
  }
}
