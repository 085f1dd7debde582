/** The sticky marks as the core uses them: the time that is held is that of the native set, after every change. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StickySet } from '../../ts/mirror/sticky-set.js';
import { NativeStickyMarks } from '../../ts/native/sticky-marks.js';

const regionCount = 24;
const capacity = 8;

const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), region: fc.nat(regionCount - 1), afterMs: fc.nat(50) }),
  fc.record({ kind: fc.constant('remove' as const), region: fc.nat(regionCount - 1), afterMs: fc.nat(50) }),
  fc.record({ kind: fc.constant('expire' as const), region: fc.nat(40), afterMs: fc.nat(50) }),
);

test('whatever is done to it, it knows its oldest mark', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const native = NativeStickyMarks.create(capacity, regionCount);
      const set = new StickySet(native);
      let nowMs = 0;
      for (const { kind, region, afterMs } of steps) {
        nowMs += afterMs;
        // Asked before, so that there is something that could be out of date.
        expect(set.empty).toBe(native.size === 0);
        const had = native.has(region % regionCount);
        if (kind === 'add') set.add(region, nowMs);
        else if (kind === 'remove') expect(set.remove(region)).toBe(had);
        else set.expire(nowMs - region, new Float64Array(capacity));
        expect(set.oldestMs).toBe(native.oldestMs());
        expect(set.empty).toBe(native.size === 0);
        for (let each = 0; each < regionCount; each++) expect(set.has(each)).toBe(native.has(each));
      }
      native.close();
    }),
  );
});
