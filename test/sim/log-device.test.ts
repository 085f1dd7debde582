/** What a simulated daemon that is killed leaves in flight: it lands later or not, and holds the claim until then. */
import { describe, expect, it } from 'vitest';
import type { LogDeviceEvents } from '../../ts/mirror/log-device.js';
import type { LogImage } from '../../ts/mirror/log-image.js';
import { SimulatedLogDevice } from '../../ts/sim/daemon/log-device.js';
import { LogDisk, sectorBytes } from '../../ts/sim/daemon/log-disk.js';
import { Prng } from '../../ts/sim/prng.js';
import { Timeline } from '../../ts/sim/timeline.js';

const sectors = 8;
const stallMs = 500;

/** Eight sectors of ones, in one run. */
const ones = {
  runCount: 1,
  runOffset: () => 0,
  runBytes: () => sectors * sectorBytes,
  encodeRun: (_run: number, into: Uint8Array) => into.fill(1),
} as unknown as LogImage;

class Host {
  readonly timeline = new Timeline();
  readonly disk = new LogDisk({ name: 'log', minor: 1, bytes: sectors * sectorBytes, logicalBlockBytes: 512 });
  readonly #prng: Prng;
  landedLate = 0;
  written = 0;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
  }

  /** A daemon's device, open and claimed once the promise of `opened` is kept. */
  device(opened: () => void): SimulatedLogDevice {
    const events: LogDeviceEvents = {
      opened: (errno) => {
        expect(errno).toBe(0);
        opened();
      },
      read: () => {},
      written: () => {
        this.written += 1;
      },
    };
    const world = {
      timeline: this.timeline,
      prng: this.#prng,
      find: () => this.disk,
      enter: (call: () => void) => call(),
      confirmed: () => {},
      landedLate: () => {
        this.landedLate += 1;
      },
      node: 1,
      writes: () => {},
    };
    const device = new SimulatedLogDevice(world, events);
    device.open('log', true);
    return device;
  }

  /** A daemon dies over a write to a stalled disk, and the next one opens it; returns how the sectors were then. */
  killedWriting(cut: 'nothing' | 'disk' | 'host'): { openedMs: number; atOpen: string; atEnd: string } {
    let openedMs = -1;
    let atOpen = '';
    const next = () => {
      openedMs = this.timeline.nowMs;
      atOpen = this.contents();
    };
    const first = this.device(() => {
      this.disk.stalledUntilMs = this.timeline.nowMs + stallMs;
      first.write(ones, true);
      this.timeline.after(0.01, () => {
        first.abandon(false);
        if (cut === 'disk') this.disk.cut(this.#prng);
        if (cut === 'host') this.disk.forgetHost(1);
        this.device(next);
      });
    });
    while (this.timeline.step());
    return { openedMs, atOpen, atEnd: this.contents() };
  }

  contents(): string {
    return Array.from({ length: sectors }, (_, sector) => this.disk.seen[sector * sectorBytes]).join('');
  }
}

describe('the log device of a daemon that was killed', () => {
  it('lands its write whole, torn or not at all, and never after the next daemon has the claim', () => {
    const kinds = new Set<string>();
    let waited = 0;
    for (let seed = 0; seed < 200; seed++) {
      const host = new Host(seed);
      const { openedMs, atOpen, atEnd } = host.killedWriting('nothing');
      expect(openedMs).toBeGreaterThan(0);
      expect(atEnd).toBe(atOpen);
      expect(host.written).toBe(0);
      if (openedMs > 100) waited += 1;
      kinds.add(/^0+$/.test(atEnd) ? 'none' : /^1+$/.test(atEnd) ? 'whole' : 'torn');
      expect(host.landedLate > 0 || /^0+$/.test(atEnd)).toBe(true);
    }
    expect([...kinds].sort()).toEqual(['none', 'torn', 'whole']);
    expect(waited).toBeGreaterThan(100);
  });

  it.each(['disk', 'host'] as const)('lands nothing after a power cut of the %s, which also ends the claim', (cut) => {
    for (let seed = 0; seed < 50; seed++) {
      const { openedMs, atEnd } = new Host(seed).killedWriting(cut);
      expect(openedMs).toBeLessThan(10);
      expect(atEnd).toMatch(/^0+$/);
    }
  });
});
