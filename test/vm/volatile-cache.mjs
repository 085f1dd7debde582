/**
 * A disk with a volatile write cache, as a model without IO: what a reader sees, what is on the medium, and in
 * between every write that no flush has covered yet.
 *
 * Killing a virtual machine is no power cut: what it wrote lives on in this machine's page cache, and a flush that was
 * forgotten is never noticed. Here a cut decides for each write since the last flush whether it reached the medium
 * whole, not at all, or in some of its sectors. A later write may have arrived where an earlier one did not; of
 * several that reached the same sector, the last stays. Chance comes from the caller, so that a seed is a cut.
 *
 * Sectors of 512 bytes arrive whole or not at all, as every disk promises. A cache may also be one that is written back
 * within some time by itself (`destageMs`), as those of real disks are; by default nothing but a flush helps.
 */
export const sectorBytes = 512;

/** Of one sector, at most so many unflushed versions are kept apart; beyond that the oldest is written back. */
const versionsMax = 8;

/** How often a write that was not flushed is lost, and how often it is torn; the rest is kept. */
const lostChance = 0.45;
const tornChance = 0.15;

export class VolatileCache {
  #seen;
  #medium;
  /** Sector -> versions that are not on the medium, oldest first: { write, data, timeMs }. */
  #pending = new Map();
  #writes = 0;
  #destageMs;

  /**
   * @param {Buffer} medium what the disk holds; kept and changed
   * @param {number} [destageMs] what was written that long before a cut is on the medium
   */
  constructor(medium, destageMs = Number.POSITIVE_INFINITY) {
    this.#destageMs = destageMs;
    if (medium.length % sectorBytes !== 0) throw new RangeError(`${medium.length} bytes are no whole sectors`);
    this.#medium = medium;
    this.#seen = Buffer.from(medium);
  }

  get bytes() {
    return this.#medium.length;
  }

  /** What would be there after the worst of cuts. */
  get medium() {
    return this.#medium;
  }

  /** A view, valid until the next write. */
  read(offset, length) {
    return this.#seen.subarray(offset, offset + length);
  }

  /** @param {boolean} durable it is on the medium when this returns (FUA) */
  write(offset, data, durable, nowMs) {
    data.copy(this.#seen, offset);
    this.#writes += 1;
    for (let at = 0; at < data.length; at += sectorBytes) {
      const sector = (offset + at) / sectorBytes;
      const part = data.subarray(at, at + sectorBytes);
      if (durable) {
        part.copy(this.#medium, offset + at);
        this.#pending.delete(sector);
        continue;
      }
      const versions = this.#pending.get(sector) ?? [];
      versions.push({ write: this.#writes, data: part, timeMs: nowMs });
      if (versions.length > versionsMax) versions.shift().data.copy(this.#medium, offset + at);
      this.#pending.set(sector, versions);
    }
  }

  flush() {
    for (const [sector, versions] of this.#pending) versions.at(-1).data.copy(this.#medium, sector * sectorBytes);
    this.#pending.clear();
  }

  /**
   * The power fails.
   * @param {{ next(): number }} prng 32-bit numbers
   * @param {number} nowMs when, by the clock of the writes
   * @returns {{ unflushedWrites: number, lostSectors: number }} sectors whose newest version is gone
   */
  cut(prng, nowMs) {
    const chance = () => prng.next() / 2 ** 32;
    const fates = new Map();
    const arrived = (write) => {
      let fate = fates.get(write);
      if (fate === undefined) {
        fate = chance();
        fates.set(write, fate);
      }
      if (fate < lostChance) return false;
      return fate >= lostChance + tornChance || chance() < 0.5;
    };
    let lostSectors = 0;
    for (const [sector, versions] of this.#pending) {
      const last = versions.findLast(({ write, timeMs }) => timeMs <= nowMs - this.#destageMs || arrived(write));
      last?.data.copy(this.#medium, sector * sectorBytes);
      if (last !== versions.at(-1)) lostSectors += 1;
    }
    this.#pending.clear();
    this.#medium.copy(this.#seen);
    return { unflushedWrites: fates.size, lostSectors };
  }
}
