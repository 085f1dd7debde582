/** The native owners table against a plain set of pairs. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NativeRegionOwners } from '../../ts/native/region-owners.js';

const regionCount = 50;
const capacity = 60;

interface Model {
  readonly pairs: Set<string>;
}

type Step = (real: NativeRegionOwners, model: Model) => void;

const key = (node: number, region: number) => `${node} ${region}`;
const array = (regions: readonly number[]) => new Float64Array(regions);

const node = fc.constantFrom(0, 1, 7, 2 ** 32 - 2);
const region = fc.integer({ min: 0, max: regionCount - 1 });
const regions = fc.array(region, { maxLength: 30 });

const step = fc.oneof(
  fc.tuple(node, regions).map<Step>(([n, r]) => (real, model) => {
    const missing = new Set(r.map((one) => key(n, one)).filter((pair) => !model.pairs.has(pair)));
    const fits = model.pairs.size + missing.size <= capacity;
    expect(real.add(n, array(r), r.length)).toBe(fits);
    if (fits) for (const pair of missing) model.pairs.add(pair);
  }),
  fc.tuple(node, regions).map<Step>(([n, r]) => (real, model) => {
    expect(real.remove(n, array(r), r.length)).toBe(r.filter((one) => model.pairs.delete(key(n, one))).length);
  }),
  node.map<Step>((n) => (real, model) => {
    const own = [...model.pairs].filter((pair) => pair.startsWith(`${n} `));
    expect(real.removeNode(n)).toBe(own.length);
    for (const pair of own) model.pairs.delete(pair);
  }),
  fc.tuple(node, region).map<Step>(([n, r]) => (real, model) => {
    const owners = [...model.pairs].filter((pair) => pair.endsWith(` ${r}`));
    expect(real.has(n, r)).toBe(model.pairs.has(key(n, r)));
    expect(real.ownerCount(r)).toBe(owners.length);
    expect(real.ownedByOther(n, r)).toBe(owners.some((pair) => pair !== key(n, r)));
  }),
);

function listAll(real: NativeRegionOwners, of: number): number[] {
  const found: number[] = [];
  const out = new Float64Array(3);
  let cursor = 0;
  while (cursor >= 0) {
    const [written, next] = real.list(of, cursor, out);
    found.push(...out.subarray(0, written));
    cursor = next;
  }
  return found.sort((a, b) => a - b);
}

describe('a native owners table', () => {
  it('does what a set of pairs does, and never holds more than its capacity', () => {
    const property = fc.property(fc.array(step, { maxLength: 60 }), (sequence) => {
      const real = NativeRegionOwners.create(capacity, regionCount);
      const model: Model = { pairs: new Set() };
      for (const one of sequence) one(real, model);
      expect(real.size).toBe(model.pairs.size);
      for (const n of [0, 1, 7, 2 ** 32 - 2]) {
        const own = [...model.pairs]
          .filter((pair) => pair.startsWith(`${n} `))
          .map((pair) => Number(pair.split(' ')[1]));
        expect(listAll(real, n)).toEqual(own.sort((a, b) => a - b));
      }
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('refuses nodes and regions that cannot be', () => {
    const owners = NativeRegionOwners.create(4, 10);
    expect(() => owners.add(0, array([10]), 1)).toThrow(RangeError);
    expect(() => owners.add(2 ** 32 - 1, array([1]), 1)).toThrow(RangeError);
    expect(() => owners.has(-1, 1)).toThrow(RangeError);
    expect(() => NativeRegionOwners.create(0)).toThrow(RangeError);
    owners.close();
    owners.close();
    expect(() => owners.size).toThrow(expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }));
  });
});
