/**
 * The legs of a simulated mirror: for every sector of every leg the stamp of the write that it holds, 0 at first. Hosts
 * that share the mirror reach them through a port each (leg-port.ts).
 *
 * The number of sectors in which the legs differ is kept for every region, so that a checker can ask after every step.
 */
import { ChangeCount } from './change-count.js';

export class VersionLegs {
  readonly sectors: number;
  readonly regionSectors: number;
  /** Sectors of each region in which the two legs differ. */
  readonly differing: Int32Array;
  differingSectors = 0;
  /** Sectors set so far. */
  changes = 0;
  readonly differingRegions = new Set<number>();
  /** The stamp of the last write of each sector that was reported done. */
  readonly acknowledged: Int32Array;
  readonly #first: Int32Array;
  readonly #second: Int32Array;
  readonly #all: ChangeCount;

  /** `all` counts the changes of everything that hosts share. */
  constructor(sectors: number, regionSectors: number, all = new ChangeCount()) {
    this.#all = all;
    this.sectors = sectors;
    this.regionSectors = regionSectors;
    this.#first = new Int32Array(sectors);
    this.#second = new Int32Array(sectors);
    this.acknowledged = new Int32Array(sectors);
    this.differing = new Int32Array(Math.ceil(sectors / regionSectors));
  }

  /** The table ends here now: what lies behind is nobody's, and equal when a table reaches there again. */
  endAt(sectors: number): void {
    for (let sector = sectors; sector < this.sectors; sector++) {
      this.set(1, sector, this.#first[sector] as number);
      this.acknowledged[sector] = 0;
    }
  }

  stamp(leg: number, sector: number): number {
    return (leg === 0 ? this.#first : this.#second)[sector] ?? 0;
  }

  /** What one leg holds in some sectors now. */
  slice(leg: number, sector: number, sectors: number): Int32Array {
    return (leg === 0 ? this.#first : this.#second).slice(sector, sector + sectors);
  }

  set(leg: number, sector: number, stamp: number): void {
    this.changes += 1;
    this.#all.value += 1;
    const before = this.#first[sector] !== this.#second[sector];
    (leg === 0 ? this.#first : this.#second)[sector] = stamp;
    const after = this.#first[sector] !== this.#second[sector];
    if (before === after) return;
    const change = after ? 1 : -1;
    const region = Math.floor(sector / this.regionSectors);
    const count = (this.differing[region] as number) + change;
    this.differing[region] = count;
    if (count === 0) this.differingRegions.delete(region);
    else this.differingRegions.add(region);
    this.differingSectors += change;
  }
}
