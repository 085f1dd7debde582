/** The simulated log disk and legs lose, tear and keep what they must. */
import { describe, expect, it } from 'vitest';
import { LogDisk, sectorBytes } from '../../ts/sim/daemon/log-disk.js';
import { LegPort } from '../../ts/sim/leg-port.js';
import { Prng } from '../../ts/sim/prng.js';
import { Timeline } from '../../ts/sim/timeline.js';
import { VersionLegs } from '../../ts/sim/version-legs.js';

function disk(): LogDisk {
  return new LogDisk({ name: 'log', minor: 1, bytes: 8 * sectorBytes, logicalBlockBytes: 512 });
}

const filled = (sectors: number, value: number) => new Uint8Array(sectors * sectorBytes).fill(value);

describe('the log disk', () => {
  it('keeps what was flushed through every power cut', () => {
    for (let seed = 0; seed < 50; seed++) {
      const log = disk();
      log.put(0, filled(4, 1));
      log.flush();
      log.cut(new Prng(seed));
      expect(log.seen.subarray(0, 4 * sectorBytes)).toEqual(filled(4, 1));
    }
  });

  it('keeps, loses, tears and reorders what was not flushed', () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const log = disk();
      log.put(0, filled(2, 1));
      log.put(0, filled(2, 2));
      log.cut(new Prng(seed));
      outcomes.add(`${log.durable[0]} ${log.durable[sectorBytes]}`);
    }
    expect(outcomes.size).toBe(9);
  });

  it('says that a bit may be clean while any write that holds it set may survive', () => {
    const log = disk();
    expect(log.mayBeClean(9)).toBe(false);
    log.put(1024, filled(1, 0xff));
    expect(log.mayBeClean(9)).toBe(true);
    log.put(1024, filled(1, 0));
    expect(log.mayBeClean(9)).toBe(true);
    log.flush();
    expect(log.mayBeClean(9)).toBe(false);
  });
});

describe('legs', () => {
  it('differ after a power cut in the middle of a write, and count where', () => {
    let differed = 0;
    for (let seed = 0; seed < 50; seed++) {
      const legs = new VersionLegs(64, 8);
      const port = new LegPort(new Timeline(), new Prng(seed), legs);
      const write = { sector: 16, sectors: 4, stamp: 5, region: 2, done: () => {} };
      port.write(0, write, () => {});
      port.write(1, write, () => {});
      port.cut();
      const sectors = [16, 17, 18, 19].filter((sector) => legs.stamp(0, sector) !== legs.stamp(1, sector));
      expect(legs.differing[2]).toBe(sectors.length);
      expect(legs.differingSectors).toBe(sectors.length);
      if (sectors.length > 0) differed += 1;
    }
    expect(differed).toBeGreaterThan(10);
  });

  it('are equal again after a copy', () => {
    const timeline = new Timeline();
    const legs = new VersionLegs(64, 8);
    const port = new LegPort(timeline, new Prng(3), legs);
    port.write(0, { sector: 16, sectors: 4, stamp: 5, region: 2, done: () => {} }, () => {});
    while (timeline.step());
    expect(legs.differingSectors).toBe(4);
    let failed: readonly number[] | null = null;
    port.copy(0, 16, 8, (legsFailed) => {
      failed = legsFailed;
    });
    while (timeline.step());
    expect(failed).toEqual([]);
    expect(legs.differingSectors).toBe(0);
  });
});
