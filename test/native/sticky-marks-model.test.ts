/** The native sticky marks against a plain list in order of last use. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NativeStickyMarks } from '../../ts/native/sticky-marks.js';

const capacity = 8;

interface Model {
  nowMs: number;
  marks: { region: number; usedMs: number }[];
}

type Step = (real: NativeStickyMarks, model: Model) => void;

const region = fc.integer({ min: 0, max: 19 });

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(region, fc.integer({ min: 0, max: 5 })).map<Step>(([r, passed]) => (real, model) => {
      model.nowMs += passed;
      const known = model.marks.some((mark) => mark.region === r);
      model.marks = model.marks.filter((mark) => mark.region !== r);
      const dropped = !known && model.marks.length === capacity ? model.marks.shift() : undefined;
      model.marks.push({ region: r, usedMs: model.nowMs });
      expect(real.add(r, model.nowMs)).toBe(dropped?.region ?? -1);
    }),
  },
  {
    weight: 1,
    arbitrary: region.map<Step>((r) => (real, model) => {
      expect(real.remove(r)).toBe(model.marks.some((mark) => mark.region === r));
      model.marks = model.marks.filter((mark) => mark.region !== r);
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 4 }))
      .map<Step>(([ago, room]) => (real, model) => {
        const due = model.marks.filter((mark) => mark.usedMs <= model.nowMs - ago).slice(0, room);
        const out = new Float64Array(room);
        expect(real.expire(model.nowMs - ago, out)).toBe(due.length);
        expect([...out.subarray(0, due.length)]).toEqual(due.map((mark) => mark.region));
        model.marks = model.marks.filter((mark) => !due.includes(mark));
      }),
  },
);

describe('native sticky marks', () => {
  it('do what a list in order of last use does', () => {
    const property = fc.property(fc.array(step, { maxLength: 80 }), (sequence) => {
      const real = NativeStickyMarks.create(capacity, 20);
      const model: Model = { nowMs: 1000, marks: [] };
      for (const one of sequence) one(real, model);
      expect(real.size).toBe(model.marks.length);
      expect(real.oldestMs()).toBe(model.marks[0]?.usedMs ?? -1);
      for (let r = 0; r < 20; r++) expect(real.has(r)).toBe(model.marks.some((mark) => mark.region === r));
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('hold nothing when their capacity is 0', () => {
    const marks = NativeStickyMarks.create(0, 10);
    expect(marks.add(3, 1)).toBe(3);
    expect(marks.size).toBe(0);
  });

  it('are all gone after clear, and throw after close', () => {
    const marks = NativeStickyMarks.create(4, 10);
    marks.add(1, 1);
    marks.add(2, 1);
    expect(marks.expire(Number.POSITIVE_INFINITY, new Float64Array(1))).toBe(1);
    marks.clear();
    expect(marks.size).toBe(0);
    expect(marks.add(1, 0)).toBe(-1);
    marks.close();
    expect(() => marks.has(1)).toThrow(expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }));
  });
});
