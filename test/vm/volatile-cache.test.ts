/** The model behind the disks of power-cut tests: a cut loses what no flush covered, and nothing else. */
import { describe, expect, test } from 'vitest';
import { Prng } from '../../ts/sim/prng.js';

interface Cache {
  readonly medium: Buffer;
  read(offset: number, length: number): Buffer;
  write(offset: number, data: Buffer, durable: boolean, nowMs: number): void;
  flush(): void;
  cut(prng: Prng, nowMs: number): { unflushedWrites: number; lostSectors: number };
}

// The runner is plain JavaScript: it runs where nothing is built.
const path = './volatile-cache.mjs';
const { VolatileCache } = (await import(path)) as {
  VolatileCache: new (medium: Buffer, destageMs?: number) => Cache;
};

const sectors = 256;
const disk = (destageMs?: number): Cache => new VolatileCache(Buffer.alloc(sectors * 512), destageMs);
const filled = (byte: number, count = 1): Buffer => Buffer.alloc(count * 512, byte);

/** First byte of each sector. */
function bytes(cache: Cache): number[] {
  return Array.from({ length: sectors }, (_, sector) => cache.medium[sector * 512] as number);
}

function writeAll(cache: Cache, byte: number, durable: boolean, nowMs = 0): void {
  for (let sector = 0; sector < sectors; sector += 4) cache.write(sector * 512, filled(byte, 4), durable, nowMs);
}

describe('a volatile cache', () => {
  test('is read through, and keeps nothing on the medium before a flush', () => {
    const cache = disk();
    writeAll(cache, 1, false);
    expect(cache.read(512, 512).equals(filled(1))).toBe(true);
    expect(new Set(bytes(cache))).toEqual(new Set([0]));
    cache.flush();
    expect(new Set(bytes(cache))).toEqual(new Set([1]));
  });

  test('loses, keeps and tears what was not flushed; what is lost is counted', () => {
    const cache = disk();
    writeAll(cache, 1, false);
    const { unflushedWrites, lostSectors } = cache.cut(new Prng(1), 0);
    expect(unflushedWrites).toBe(sectors / 4);
    expect(bytes(cache).filter((byte) => byte === 0)).toHaveLength(lostSectors);
    const ofWrites = Array.from({ length: sectors / 4 }, (_, i) =>
      bytes(cache)
        .slice(i * 4, i * 4 + 4)
        .reduce((sum, byte) => sum + byte),
    );
    expect(ofWrites).toContain(0);
    expect(ofWrites).toContain(4);
    expect(ofWrites.some((sum) => sum > 0 && sum < 4)).toBe(true);
    expect(cache.read(0, sectors * 512).equals(cache.medium)).toBe(true);
  });

  test('never loses what was flushed or written with FUA, not even to an older write', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const cache = disk();
      writeAll(cache, 1, false);
      writeAll(cache, 2, true);
      cache.cut(new Prng(seed), 0);
      expect(new Set(bytes(cache))).toEqual(new Set([2]));
      writeAll(cache, 3, false);
      cache.flush();
      cache.cut(new Prng(seed), 0);
      expect(new Set(bytes(cache))).toEqual(new Set([3]));
    }
  });

  test('a later write may arrive without an earlier one, and an earlier without a later one', () => {
    const cache = disk();
    writeAll(cache, 1, false);
    writeAll(cache, 2, false);
    cache.cut(new Prng(3), 0);
    expect(new Set(bytes(cache))).toEqual(new Set([0, 1, 2]));
  });

  test('the same seed is the same cut', () => {
    const cuts = [7, 7, 8].map((seed) => {
      const cache = disk();
      writeAll(cache, 1, false);
      cache.cut(new Prng(seed), 0);
      return bytes(cache).join('');
    });
    expect(cuts[0]).toBe(cuts[1]);
    expect(cuts[0]).not.toBe(cuts[2]);
  });

  test('one that is written back by itself loses only what is younger', () => {
    const cache = disk(1000);
    writeAll(cache, 1, false, 0);
    for (let version = 2; version < 20; version++) cache.write(0, filled(version), false, version);
    writeAll(cache, 20, false, 500);
    cache.cut(new Prng(1), 1100);
    expect(new Set(bytes(cache).slice(1))).toEqual(new Set([1, 20]));
    expect(bytes(cache)[0]).toBeGreaterThanOrEqual(19);
  });
});
