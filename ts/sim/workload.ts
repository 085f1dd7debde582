/**
 * The users of the mirrors: bursts of writes to a few hot regions and now and then anywhere, pauses between them, some
 * reads and status questions. Two writes never overlap while under way, on whatever hosts, as no sane user lets them.
 */
import type { Write } from './kernel/world.js';
import type { SimMirror } from './mirror.js';
import type { Prng } from './prng.js';
import type { MirrorPlan } from './scenario.js';
import type { Timeline } from './timeline.js';

/** Writes of one mirror that may be under way: beyond it the users wait. */
const outstandingMax = 120;
/** Bursts in a row, and the rest after them. */
const burstsMax = 8;
const restMsMax = 4000;

/** Numbers the writes of all hosts. */
export class Stamps {
  #last = 0;

  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

export class Workload {
  /** Writes that were reported done. */
  done = 0;
  errors = 0;
  stopped = false;
  readonly #timeline: Timeline;
  readonly #prng: Prng;
  readonly #stirs: (() => void)[] = [];
  /** By uuid. */
  readonly #mirrors = new Map<string, SimMirror>();
  readonly #stamps: Stamps;

  constructor(timeline: Timeline, prng: Prng, stamps: Stamps) {
    this.#timeline = timeline;
    this.#prng = prng;
    this.#stamps = stamps;
  }

  /** The users of a mirror begin. They take it easier once the run has had its requests. */
  start(mirror: SimMirror, plan: MirrorPlan, enough: () => boolean): void {
    const hot = Array.from({ length: plan.hotRegions }, () => this.#prng.below(mirror.regionCount));
    let left = this.#prng.between(1, burstsMax);
    const next = () => {
      if (this.stopped) return;
      this.#burst(mirror, plan, hot);
      left -= 1;
      const rests = left <= 0;
      if (rests) left = enough() ? 1 : this.#prng.between(1, burstsMax);
      this.#timeline.after(rests ? this.#prng.real(200, restMsMax) : this.#prng.real(0.1, plan.pauseMsMax), next);
    };
    this.#timeline.after(this.#prng.real(0, 50), next);
    this.#stirs.push(() => this.#burst(mirror, plan, hot));
    this.#mirrors.set(mirror.shape.uuid, mirror);
  }

  /** One write to a region, now. */
  write(uuid: string, region: number): void {
    const mirror = this.#mirrors.get(uuid);
    if (!this.stopped && mirror?.device != null && !mirror.quiet) this.#write(mirror, region);
  }

  /** One burst everywhere, now: something is about to happen. */
  stir(): void {
    if (!this.stopped) for (const stir of this.#stirs) stir();
  }

  #burst(mirror: SimMirror, plan: MirrorPlan, hot: readonly number[]): void {
    const device = mirror.device;
    if (device === null || mirror.quiet || device.outstanding > outstandingMax) return;
    const writes = this.#prng.between(1, plan.burstMax);
    for (let i = 0; i < writes; i++) {
      const region = this.#prng.chance(0.8) ? this.#prng.pick(hot) : this.#prng.below(mirror.regionCount);
      this.#write(mirror, region);
    }
    if (this.#prng.chance(0.1)) device.read(this.#prng.below(mirror.sectors), () => {});
  }

  #write(mirror: SimMirror, region: number): void {
    const { regionSectors } = mirror.shape;
    const start = region * regionSectors;
    const end = Math.min(start + regionSectors, mirror.sectors);
    if (start >= end) return;
    const sector = this.#prng.between(start, end - 1);
    const sectors = this.#prng.between(1, Math.min(4, end - sector));
    for (let at = sector; at < sector + sectors; at++) if (mirror.locked.has(at)) return;
    for (let at = sector; at < sector + sectors; at++) {
      mirror.writing.add(at);
      mirror.locked.add(at);
    }
    const stamp = this.#stamps.next();
    const device = mirror.device;
    const write: Write = {
      sector,
      sectors,
      stamp,
      region,
      done: (ok) => {
        // A write of a kernel that lost its power is nobody's any more.
        if (mirror.device !== device) return;
        for (let at = sector; at < sector + sectors; at++) {
          mirror.writing.delete(at);
          mirror.locked.delete(at);
        }
        if (!ok) this.errors += 1;
        else for (let at = sector; at < sector + sectors; at++) mirror.legs.acknowledged[at] = stamp;
        this.done += 1;
      },
    };
    device?.submit(write);
  }
}
