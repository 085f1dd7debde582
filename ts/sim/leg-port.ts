/**
 * One host's way to the legs of a mirror: what is under way from it, and what is wrong with its path.
 *
 * A write lands on each leg at a time of its own and counts as done when it is there. A power cut lets each sector of
 * a write that is still on its way land or not.
 */
import type { Legs, Write } from './kernel/world.js';
import type { Prng } from './prng.js';
import type { Timeline } from './timeline.js';
import type { VersionLegs } from './version-legs.js';

interface OnTheWay {
  readonly leg: number;
  readonly sector: number;
  /** One stamp a sector. */
  readonly stamps: Int32Array;
}

export class LegPort implements Legs {
  readonly legCount = 2;
  /** The second leg fails every write while this is set. */
  broken = false;
  /** Writes that are sent to the second leg before this time end then. */
  hungUntilMs = 0;
  readonly #timeline: Timeline;
  readonly #prng: Prng;
  readonly #legs: VersionLegs;
  readonly #onTheWay = new Set<OnTheWay>();
  #era = 0;

  constructor(timeline: Timeline, prng: Prng, legs: VersionLegs) {
    this.#timeline = timeline;
    this.#prng = prng;
    this.#legs = legs;
  }

  write(leg: number, write: Write, done: (ok: boolean) => void): void {
    const stamps = new Int32Array(write.sectors).fill(write.stamp);
    this.#send(leg, write.sector, stamps, done);
  }

  copy(from: number, sector: number, sectors: number, done: (failedLegs: readonly number[]) => void): void {
    const era = this.#era;
    this.#timeline.after(this.#prng.real(0.5, 5), () => {
      if (era !== this.#era) return;
      const to = 1 - from;
      this.#send(to, sector, this.#legs.slice(from, sector, sectors), (ok) => done(ok ? [] : [to]));
    });
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

  #send(leg: number, sector: number, stamps: Int32Array, done: (ok: boolean) => void): void {
    const item = { leg, sector, stamps };
    this.#onTheWay.add(item);
    const era = this.#era;
    const hungMs = leg === 1 ? Math.max(0, this.hungUntilMs - this.#timeline.nowMs) : 0;
    this.#timeline.after(hungMs + this.#prng.real(0.1, 4), () => {
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
      if (share === 1 || this.#prng.chance(share)) this.#legs.set(item.leg, item.sector + i, item.stamps[i] as number);
    }
  }
}
