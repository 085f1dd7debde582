/**
 * The legs of a simulated mirror: for every sector of every leg the stamp of the write that it holds, 0 at first.
 *
 * A write lands on each leg at a time of its own and counts as done when it is there. A power cut lets each sector of
 * a write that is still on its way land or not. The number of sectors in which the legs differ is kept for every region, so
 * that a checker can ask after every step.
 */
import type { Legs, Write } from './kernel/world.js';
import type { Prng } from './prng.js';
import type { Timeline } from './timeline.js';

interface OnTheWay {
  readonly leg: number;
  readonly sector: number;
  /** One stamp a sector. */
  readonly stamps: Int32Array;
}

export class VersionLegs implements Legs {
  readonly legCount = 2;
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
  /** The second leg fails every write while this is set. */
  broken = false;
  readonly #timeline: Timeline;
  readonly #prng: Prng;
  readonly #first: Int32Array;
  readonly #second: Int32Array;
  readonly #onTheWay = new Set<OnTheWay>();
  #era = 0;

  constructor(timeline: Timeline, prng: Prng, sectors: number, regionSectors: number) {
    this.#timeline = timeline;
    this.#prng = prng;
    this.sectors = sectors;
    this.regionSectors = regionSectors;
    this.#first = new Int32Array(sectors);
    this.#second = new Int32Array(sectors);
    this.acknowledged = new Int32Array(sectors);
    this.differing = new Int32Array(Math.ceil(sectors / regionSectors));
  }

  write(leg: number, write: Write, done: (ok: boolean) => void): void {
    const stamps = new Int32Array(write.sectors).fill(write.stamp);
    this.#send(leg, write.sector, stamps, done);
  }

  copy(from: number, sector: number, sectors: number, done: (failedLegs: readonly number[]) => void): void {
    const era = this.#era;
    this.#timeline.after(this.#prng.real(0.5, 5), () => {
      if (era !== this.#era) return;
      const source = from === 0 ? this.#first : this.#second;
      const to = 1 - from;
      this.#send(to, sector, source.slice(sector, sector + sectors), (ok) => done(ok ? [] : [to]));
    });
  }

  /** The table ends here now: what lies behind is nobody's, and equal when a table reaches there again. */
  endAt(sectors: number): void {
    for (let sector = sectors; sector < this.sectors; sector++) {
      this.#set(1, sector, this.#first[sector] as number);
      this.acknowledged[sector] = 0;
    }
  }

  /** Power cut: what is on its way lands in part, and nothing is reported. */
  cut(): void {
    this.#era += 1;
    for (const item of this.#onTheWay) {
      if (!this.#broken(item.leg)) this.#land(item, this.#prng.pick([0, 0.5, 1]));
    }
    this.#onTheWay.clear();
  }

  get inFlight(): number {
    return this.#onTheWay.size;
  }

  stamp(leg: number, sector: number): number {
    return (leg === 0 ? this.#first : this.#second)[sector] ?? 0;
  }

  #send(leg: number, sector: number, stamps: Int32Array, done: (ok: boolean) => void): void {
    const item = { leg, sector, stamps };
    this.#onTheWay.add(item);
    const era = this.#era;
    this.#timeline.after(this.#prng.real(0.1, 4), () => {
      if (era !== this.#era) return;
      this.#onTheWay.delete(item);
      const broken = this.#broken(leg);
      this.#land(item, broken ? 0.3 : 1);
      done(!broken);
    });
  }

  #broken(leg: number): boolean {
    return this.broken && leg === 1;
  }

  #land(item: OnTheWay, share: number): void {
    for (let i = 0; i < item.stamps.length; i++) {
      if (share === 1 || this.#prng.chance(share)) this.#set(item.leg, item.sector + i, item.stamps[i] as number);
    }
  }

  #set(leg: number, sector: number, stamp: number): void {
    this.changes += 1;
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
