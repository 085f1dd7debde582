/**
 * The `LogDevice` of a simulated daemon over a simulated disk. Every operation takes time; the runs of one write land in
 * any order; a write of one run with a barrier is forced, one of several is followed by a flush.
 *
 * What was under way when its daemon was killed lands later, whole, torn or not at all, and keeps the claim until then: it
 * belongs to the kernel, which knows nothing of processes.
 */
import type { LogDevice, LogDeviceEvents } from '../../mirror/log-device.js';
import type { LogImage } from '../../mirror/log-image.js';
import type { Prng } from '../prng.js';
import type { Timeline } from '../timeline.js';
import { type LogDisk, sectorBytes, slowReadMs } from './log-disk.js';

const errnoEnoent = 2;
const errnoEio = 5;
const errnoEbadf = 9;
const errnoEbusy = 16;
/** As long as the native device tries. */
const claimRetryMs = 50;
const claimTries = 400;

export interface DeviceWorld {
  readonly timeline: Timeline;
  readonly prng: Prng;
  /** The host's number. */
  readonly node: number;
  /** The disk that a name means now, as a path or as `major:minor`. */
  readonly find: (name: string) => LogDisk | undefined;
  /** Calls into the daemon: a kill inside ends it there. */
  readonly enter: (call: () => void) => void;
  /** A durable write was confirmed: the disk holds what the image was when it was planned. */
  readonly confirmed: (disk: LogDisk, image: LogImage, ok: boolean) => void;
  /** A write of a daemon that is gone has landed. */
  readonly landedLate: (disk: LogDisk) => void;
  /** The host begins to write the disk. */
  readonly writes: (disk: LogDisk) => void;
}

interface Run {
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** A forced write of its own. */
  forced: boolean;
  landsAtMs: number;
  landed: boolean;
  /** Not counted as under way any more. */
  settled: boolean;
}

export class SimulatedLogDevice implements LogDevice {
  readonly #world: DeviceWorld;
  readonly #events: LogDeviceEvents;
  #disk: LogDisk | null = null;
  #claimed: LogDisk | null = null;
  /** Rises with every close and open: completions of before are not delivered. */
  #era = 0;
  #underWay: Run[] = [];

  constructor(world: DeviceWorld, events: LogDeviceEvents) {
    this.#world = world;
    this.#events = events;
  }

  open(name: string, claim: boolean): void {
    this.close();
    this.#later(0.1, 2, () => {
      const disk = this.#world.find(name);
      const errno = disk === undefined ? errnoEnoent : disk.trip('opens', this.#world.node);
      if (disk === undefined || errno !== 0) return this.#events.opened(errno, null, '');
      if (claim) this.#claim(disk, claimTries);
      else this.#open(disk);
    });
  }

  #open(disk: LogDisk): void {
    this.#disk = disk;
    const { identity, major, minor, bytes, logicalBlockBytes } = disk;
    this.#events.opened(0, { identity, major, minor, bytes, logicalBlockBytes }, '');
  }

  #claim(disk: LogDisk, tries: number): void {
    if (disk.claim(this, this.#world.node)) {
      this.#claimed = disk;
      this.#open(disk);
    } else if (tries === 0) {
      this.#events.opened(errnoEbusy, null, 'is in use');
    } else {
      this.#later(claimRetryMs, claimRetryMs, () => this.#claim(disk, tries - 1));
    }
  }

  read(offset: number, length: number): void {
    const disk = this.#disk;
    const slowMs = (disk?.slowReadsUntilMs ?? 0) > this.#world.timeline.nowMs ? slowReadMs : 0;
    this.#later(0.05, 2 + slowMs, () => {
      const block = disk?.logicalBlockBytes ?? 512;
      if (offset % block !== 0 || length % block !== 0) throw new Error(`unaligned read of ${length} at ${offset}`);
      const errno = disk === null ? errnoEbadf : disk.trip('reads', this.#world.node);
      if (disk === null || errno !== 0) return this.#events.read(errno, offset, new Uint8Array(0));
      if (offset + length > disk.bytes) return this.#events.read(errnoEio, offset, new Uint8Array(0));
      this.#events.read(0, offset, disk.seen.slice(offset, offset + length));
    });
  }

  write(image: LogImage, durable: boolean): void {
    const disk = this.#disk;
    const runs = takeRuns(image);
    if (disk === null) {
      this.#later(0.01, 0.1, () => this.#events.written(errnoEbadf));
      return;
    }
    for (const run of runs) {
      if (run.offset % disk.logicalBlockBytes !== 0 || run.bytes.length % disk.logicalBlockBytes !== 0)
        throw new Error(`unaligned write of ${run.bytes.length} at ${run.offset}`);
      if (run.offset + run.bytes.length > disk.bytes) throw new Error('a write past the end of the log device');
    }
    this.#underWay = runs;
    const { timeline, node } = this.#world;
    this.#world.writes(disk);
    disk.underWay.set(node, (disk.underWay.get(node) ?? 0) + runs.length);
    const era = this.#era;
    const forced = durable && runs.length === 1;
    let open = runs.length;
    let errno = 0;
    const finish = () => {
      if (durable && !forced && errno === 0) this.#flush(disk, image);
      else this.#done(disk, image, errno, durable);
    };
    if (open === 0) this.#later(0.01, 0.1, finish);
    for (const run of runs) {
      run.forced = forced;
      run.landsAtMs = timeline.nowMs + this.#world.prng.real(0.05, 3 + this.#stallMs(disk));
      // The disk works on while the process is stopped; only its completion waits.
      timeline.at(run.landsAtMs, () => {
        settle(disk, node, run);
        if (era !== this.#era) return;
        errno = Math.max(errno, this.#land(disk, run));
        open -= 1;
        if (open > 0) return;
        this.#world.enter(() => {
          if (era === this.#era) finish();
        });
      });
    }
  }

  close(): void {
    this.#era += 1;
    this.#disk = null;
    this.#claimed?.unclaim(this);
    this.#claimed = null;
  }

  /**
   * The daemon is gone. What it had under way lands when it would have, and the claim ends with the last of it, which is when
   * the process has ended. When the host is off it lands now or never.
   */
  abandon(dark: boolean): number {
    const disk = this.#disk;
    const left = disk === null ? [] : this.#underWay.filter((run) => !run.landed);
    this.#underWay = [];
    const { timeline, node } = this.#world;
    if (disk === null || left.length === 0) {
      this.close();
      return timeline.nowMs;
    }
    this.#era += 1;
    this.#disk = null;
    if (dark) {
      for (const run of left) this.#landLate(disk, run);
      return timeline.nowMs;
    }
    const cuts = disk.cutsOf(node);
    let open = left.length;
    for (const run of left) {
      timeline.at(run.landsAtMs, () => {
        if (disk.cutsOf(node) !== cuts) return;
        settle(disk, node, run);
        this.#landLate(disk, run);
        open -= 1;
        if (open === 0) this.close();
      });
    }
    return Math.max(...left.map(({ landsAtMs }) => landsAtMs));
  }

  #landLate(disk: LogDisk, run: Run): void {
    const { prng, landedLate } = this.#world;
    // Whole; or its process was killed between two pieces of it; or before it was given to the disk.
    const outcome = prng.pick(['whole', 'whole', 'whole', 'torn', 'none'] as const);
    if (outcome === 'none') return;
    if (outcome === 'whole') this.#land(disk, run);
    else if (disk.trip('writes', this.#world.node) === 0) {
      for (let at = 0; at < run.bytes.length; at += sectorBytes) {
        if (prng.chance(0.5)) disk.put(run.offset + at, run.bytes.subarray(at, at + sectorBytes));
      }
    }
    landedLate(disk);
  }

  #stallMs(disk: LogDisk): number {
    return Math.max(0, disk.stalledUntilMs - this.#world.timeline.nowMs);
  }

  #land(disk: LogDisk, run: Run): number {
    run.landed = true;
    const errno = disk.trip('writes', this.#world.node);
    if (errno !== 0) {
      // Some of a failed write may be on the disk all the same.
      const bytes = disk.logicalBlockBytes * this.#world.prng.below(run.bytes.length / disk.logicalBlockBytes + 1);
      if (bytes > 0) disk.put(run.offset, run.bytes.subarray(0, bytes));
      return errno;
    }
    disk.put(run.offset, run.bytes);
    if (run.forced) disk.flushRange(run.offset, run.bytes.length);
    else if (this.#world.prng.chance(0.2)) disk.writeBack(this.#world.prng);
    return 0;
  }

  #flush(disk: LogDisk, image: LogImage): void {
    this.#later(0.05, 3 + this.#stallMs(disk), () => {
      const errno = disk.trip('writes', this.#world.node);
      if (errno === 0) disk.flush();
      else disk.forget(this.#world.prng);
      this.#done(disk, image, errno, true);
    });
  }

  #done(disk: LogDisk, image: LogImage, errno: number, durable: boolean): void {
    this.#underWay = [];
    if (durable) this.#world.confirmed(disk, image, errno === 0);
    this.#events.written(errno);
  }

  /** A completion, after a while, unless the device was closed or the daemon died in between. */
  #later(lowMs: number, highMs: number, complete: () => void): void {
    const era = this.#era;
    this.#world.timeline.after(this.#world.prng.real(lowMs, highMs), () => {
      if (era === this.#era) this.#world.enter(complete);
    });
  }
}

/** A run is not under way any more. */
function settle(disk: LogDisk, node: number, run: Run): void {
  if (run.settled) return;
  run.settled = true;
  disk.underWay.set(node, Math.max(0, (disk.underWay.get(node) ?? 0) - 1));
}

function takeRuns(image: LogImage): Run[] {
  const runs: Run[] = [];
  for (let run = 0; run < image.runCount; run++) {
    const bytes = new Uint8Array(image.runBytes(run));
    image.encodeRun(run, bytes);
    runs.push({ offset: image.runOffset(run), bytes, forced: false, landsAtMs: 0, landed: false, settled: false });
  }
  return runs;
}
