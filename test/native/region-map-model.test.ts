/** The native region map against a plain one: any sequence of operations gives the same answers and the same bits. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NativeRegionMap } from '../../ts/native/region-map.js';

/** As simple as can be. */
class PlainMap {
  readonly clean: Set<number> = new Set();
  readonly sync: Set<number> = new Set();
  readonly held: Set<number> = new Set();
  readonly regionCount: number;
  constructor(regionCount: number) {
    this.regionCount = regionCount;
  }
  static put(set: Set<number>, regions: readonly number[], value: boolean): number {
    let changed = 0;
    for (const region of regions) {
      if (set.has(region) === value) continue;
      changed++;
      if (value) set.add(region);
      else set.delete(region);
    }
    return changed;
  }
  static fill(set: Set<number>, from: number, to: number, value: boolean): void {
    for (let region = from; region < to; region++) PlainMap.put(set, [region], value);
  }
  next(set: Set<number>, from: number, value: boolean): number {
    for (let region = from; region < this.regionCount; region++) if (set.has(region) === value) return region;
    return -1;
  }
}

type Step = (real: NativeRegionMap, plain: PlainMap) => void;

function batch(regions: readonly number[]): [Float64Array, number] {
  // Longer than the count, so that the count matters.
  const array = new Float64Array(regions.length + 2).fill(Number.NaN);
  array.set(regions);
  return [array, regions.length];
}

function steps(regionCount: number): fc.Arbitrary<Step> {
  const region = fc.integer({ min: 0, max: regionCount - 1 });
  const regions = fc.array(region, { maxLength: 40 });
  const position = fc.integer({ min: 0, max: regionCount + 70 });
  const range = fc
    .tuple(fc.integer({ min: 0, max: regionCount }), fc.integer({ min: 0, max: regionCount }))
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  const bit = fc.boolean();
  return fc.oneof(
    regions.map<Step>((r) => (real, plain) => expect(real.hold(...batch(r))).toBe(PlainMap.put(plain.held, r, true))),
    regions.map<Step>(
      (r) => (real, plain) => expect(real.unhold(...batch(r))).toBe(PlainMap.put(plain.held, r, false)),
    ),
    regions.map<Step>(
      (r) => (real, plain) => expect(real.markDirty(...batch(r))).toBe(PlainMap.put(plain.clean, r, false)),
    ),
    regions.map<Step>(
      (r) => (real, plain) => expect(real.markClean(...batch(r))).toBe(PlainMap.put(plain.clean, r, true)),
    ),
    regions.map<Step>(
      (r) => (real, plain) => expect(real.allHeld(...batch(r))).toBe(r.every((one) => plain.held.has(one))),
    ),
    fc.tuple(region, bit).map<Step>(
      ([r, value]) =>
        (real, plain) =>
          expect(real.setInSync(r, value)).toBe(PlainMap.put(plain.sync, [r], value) === 1),
    ),
    fc.tuple(range, bit).map<Step>(([[from, to], value]) => (real, plain) => {
      real.fillClean(from, to, value);
      PlainMap.fill(plain.clean, from, to, value);
    }),
    fc.tuple(range, bit).map<Step>(([[from, to], value]) => (real, plain) => {
      real.fillInSync(from, to, value);
      PlainMap.fill(plain.sync, from, to, value);
    }),
    bit.map<Step>((value) => (real, plain) => {
      real.fillClean(0, regionCount, value);
      PlainMap.fill(plain.clean, 0, regionCount, value);
    }),
    fc.constant<Step>((real, plain) => {
      real.copyCleanToInSync();
      plain.sync.clear();
      for (const one of plain.clean) plain.sync.add(one);
    }),
    fc.constant<Step>((real, plain) => {
      real.unholdAll();
      plain.held.clear();
    }),
    position.map<Step>((from) => (real, plain) => {
      expect(real.nextOutOfSync(from)).toBe(plain.next(plain.sync, from, false));
      expect(real.nextDirty(from)).toBe(plain.next(plain.clean, from, false));
      expect(real.nextHeld(from)).toBe(plain.next(plain.held, from, true));
      const ahead = plain.next(plain.sync, from, false);
      expect(real.nextOutOfSyncWrapped(from)).toBe(ahead >= 0 ? ahead : plain.next(plain.sync, 0, false));
    }),
  );
}

function compare(real: NativeRegionMap, plain: PlainMap): void {
  expect([real.cleanCount, real.syncCount, real.heldCount]).toEqual([
    plain.clean.size,
    plain.sync.size,
    plain.held.size,
  ]);
  for (let region = 0; region < plain.regionCount; region++) {
    if (
      real.isClean(region) !== plain.clean.has(region) ||
      real.isInSync(region) !== plain.sync.has(region) ||
      real.isHeld(region) !== plain.held.has(region)
    ) {
      throw new Error(`region ${region} differs`);
    }
  }
}

describe('a native region map', () => {
  // Sizes around a word, and more than one page of 32768 regions.
  it.each([1, 63, 64, 65, 130, 70_000])('of %i regions does what a plain one does', (regionCount) => {
    const property = fc.property(fc.array(steps(regionCount), { maxLength: 30 }), (sequence) => {
      const real = NativeRegionMap.anonymous(regionCount);
      const plain = new PlainMap(regionCount);
      for (const step of sequence) step(real, plain);
      compare(real, plain);
      real.close();
    });
    fc.assert(property, { numRuns: regionCount > 1000 ? 15 : 150 });
  });

  it('refuses what would lie outside, and changes nothing then', () => {
    const map = NativeRegionMap.anonymous(100);
    const mixed = new Float64Array([1, 2, 100]);
    expect(() => map.hold(mixed, 3)).toThrow(RangeError);
    expect(() => map.hold(mixed, 4)).toThrow(RangeError);
    expect(() => map.markDirty(new Float64Array([0.5]), 1)).toThrow(RangeError);
    expect(() => map.isHeld(100)).toThrow(RangeError);
    expect(() => map.isHeld(-1)).toThrow(RangeError);
    expect(() => map.isHeld(Number.NaN)).toThrow(RangeError);
    expect(() => map.nextHeld(-1)).toThrow(RangeError);
    expect(() => map.fillClean(5, 4, true)).toThrow(RangeError);
    expect(() => map.fillClean(0, 101, true)).toThrow(RangeError);
    expect(() => map.hold([1] as unknown as Float64Array, 1)).toThrow(TypeError);
    expect(() => map.hold(new Float32Array(1) as unknown as Float64Array, 1)).toThrow(TypeError);
    expect(() => map.setInSync(1, 1 as unknown as boolean)).toThrow(TypeError);
    expect(map.heldCount).toBe(0);
  });

  it('can have 2^32 regions, and none or more cannot be', () => {
    const map = NativeRegionMap.anonymous(2 ** 32);
    const last = new Float64Array([2 ** 32 - 1]);
    const before = process.memoryUsage().rss;
    map.fillClean(0, 2 ** 32, true);
    map.copyCleanToInSync();
    expect(map.markDirty(last, 1)).toBe(1);
    expect(map.nextDirty(0)).toBe(2 ** 32 - 1);
    expect(map.cleanCount).toBe(2 ** 32 - 1);
    expect(map.nextOutOfSync(0)).toBe(-1);
    expect(process.memoryUsage().rss - before).toBeLessThan(32 * 2 ** 20);
    for (const count of [0, 2 ** 32 + 1, 1.5, -1, Number.NaN]) {
      expect(() => NativeRegionMap.anonymous(count)).toThrow(RangeError);
    }
  });

  it('throws once it is closed; closing twice is fine', () => {
    const map = NativeRegionMap.anonymous(10);
    map.close();
    map.close();
    expect(map.closed).toBe(true);
    expect(() => map.isClean(0)).toThrow(expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }));
    expect(() => map.unholdAll()).toThrow(expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }));
  });

  it('refuses to work on another object', () => {
    const map = NativeRegionMap.anonymous(10);
    expect(() => map.unholdAll.call({} as NativeRegionMap)).toThrow(TypeError);
  });
});
