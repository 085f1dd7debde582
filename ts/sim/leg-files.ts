/**
 * Legs of a mirror as files, each behind a disk with a volatile write cache: the cache is memory of this process, so a
 * SIGKILL loses what was not written through, as a power cut does.
 *
 * A write is done when its sectors are in the file. Until then each of its sectors may reach the file on its own, early
 * and in any order, on one leg and not on the other: that is what makes legs differ after a kill. Every sector of a write
 * carries its stamp, its own number and a pattern made of both, so that a torn sector or one in the wrong place shows.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { Legs, Write } from './kernel/world.js';
import type { Prng } from './prng.js';

const sectorBytes = 512;
/** Sectors that go to the file before the loop has its turn again: a kill may come in between. */
const stepSectors = 64;
const copyBytesMax = 1024 * 1024;

interface Waiting {
  /** Sectors of this write that are not in the file. */
  open: number;
  readonly done: (ok: boolean) => void;
}

/** The contents of one sector of a write. */
export function fillSector(into: Buffer, offset: number, stamp: number, sector: number): void {
  into.fill((stamp + sector) % 251, offset, offset + sectorBytes);
  into.writeDoubleLE(stamp, offset);
  into.writeDoubleLE(sector, offset + 8);
}

/** One leg: a file, and the cache in front of it. */
class CachedFile {
  readonly #fd: number;
  readonly #prng: Prng;
  /** Sector -> contents and the writes that wait for it. */
  readonly #cache = new Map<number, { bytes: Buffer; waiting: Waiting[] }>();
  #stepping = false;

  constructor(path: string, bytes: number, prng: Prng) {
    this.#fd = openSync(path, 'a+');
    closeSync(this.#fd);
    this.#fd = openSync(path, 'r+');
    if (fstatSync(this.#fd).size < bytes) ftruncateSync(this.#fd, bytes);
    this.#prng = prng;
  }

  get cachedSectors(): number {
    return this.#cache.size;
  }

  put(sector: number, bytes: Buffer, waiting: Waiting): void {
    const entry = this.#cache.get(sector);
    if (entry === undefined) this.#cache.set(sector, { bytes, waiting: [waiting] });
    else {
      entry.bytes = bytes;
      entry.waiting.push(waiting);
    }
    this.#step();
  }

  /** Reads what a user would see: the cache before the file. */
  read(sector: number, into: Buffer): void {
    readSync(this.#fd, into, 0, into.length, sector * sectorBytes);
    if (this.#cache.size === 0) return;
    for (let at = 0; at < into.length; at += sectorBytes) {
      this.#cache.get(sector + at / sectorBytes)?.bytes.copy(into, at);
    }
  }

  stampAt(sector: number): number {
    const bytes = Buffer.alloc(sectorBytes);
    this.read(sector, bytes);
    return bytes.readDoubleLE(0);
  }

  writeThrough(sector: number, bytes: Buffer): void {
    writeSync(this.#fd, bytes, 0, bytes.length, sector * sectorBytes);
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Some of the cache, picked by chance, goes to the file; then the loop has its turn. */
  #step(): void {
    if (this.#stepping || this.#cache.size === 0) return;
    this.#stepping = true;
    setTimeout(
      () => {
        this.#stepping = false;
        this.#writeSome();
        this.#step();
      },
      this.#prng.real(0, 3),
    );
  }

  #writeSome(): void {
    const share = this.#prng.real(0.2, 1);
    let left = stepSectors;
    for (const [sector, entry] of this.#cache) {
      if (left === 0) break;
      if (!this.#prng.chance(share)) continue;
      left -= 1;
      this.writeThrough(sector, entry.bytes);
      this.#cache.delete(sector);
      for (const waiting of entry.waiting) {
        waiting.open -= 1;
        if (waiting.open === 0) waiting.done(true);
      }
    }
  }
}

export class FileLegs implements Legs {
  readonly legCount: number;
  readonly #files: readonly CachedFile[];

  constructor(paths: readonly string[], bytes: number, prng: Prng) {
    this.legCount = paths.length;
    this.#files = paths.map((path) => new CachedFile(path, bytes, prng.fork()));
  }

  /** Sectors that a kill now may lose. */
  get cachedSectors(): number {
    return this.#files.reduce((sum, file) => sum + file.cachedSectors, 0);
  }

  write(leg: number, write: Write, done: (ok: boolean) => void): void {
    const file = this.#file(leg);
    const waiting = { open: write.sectors, done };
    for (let i = 0; i < write.sectors; i++) {
      const bytes = Buffer.allocUnsafe(sectorBytes);
      fillSector(bytes, 0, write.stamp, write.sector + i);
      file.put(write.sector + i, bytes, waiting);
    }
  }

  copy(from: number, sector: number, sectors: number, done: (failedLegs: readonly number[]) => void): void {
    const bytes = Buffer.allocUnsafe(Math.min(sectors * sectorBytes, copyBytesMax));
    let at = 0;
    const next = () => {
      const part = bytes.subarray(0, Math.min(bytes.length, (sectors - at) * sectorBytes));
      this.#file(from).read(sector + at, part);
      this.#files.forEach((file, leg) => {
        if (leg !== from) file.writeThrough(sector + at, part);
      });
      at += part.length / sectorBytes;
      if (at < sectors) setImmediate(next);
      else done([]);
    };
    setImmediate(next);
  }

  /** Which write a sector of a leg holds. */
  stampAt(leg: number, sector: number): number {
    return this.#file(leg).stampAt(sector);
  }

  close(): void {
    for (const file of this.#files) file.close();
  }

  #file(leg: number): CachedFile {
    const file = this.#files[leg];
    if (file === undefined) throw new RangeError(`no leg ${leg}`);
    return file;
  }
}
