/** When a flush is ready: delivered, acknowledged, durable, in any order of arrival (R1). */
import { expect, test } from 'vitest';
import { flushSeqsMax, flushWaitersMax } from '../../ts/base/limits.js';
import { FlushWaiters, type Progress } from '../../ts/mirror/flush-waiters.js';

const flush = 9;

function at(marksDelivered: number, lastMarkOrder: number, generation: number): Progress {
  return { marksDelivered, lastMarkOrder, generation, fresh: 0 };
}

function ready(waiters: FlushWaiters, acknowledged: number, durable: number): number[] {
  const seqs: number[] = [];
  waiters.takeReady(acknowledged, durable, (seq) => seqs.push(seq));
  return seqs;
}

test('R1: not before its marks were delivered, acknowledged and written by a write that started after', () => {
  const waiters = new FlushWaiters();
  waiters.add(flush, 1, 2, at(1, 10, 5));
  expect(ready(waiters, 100, 100)).toEqual([]);
  waiters.delivered(at(2, 12, 6));
  expect(waiters.needsWrite(5)).toBe(true);
  expect(waiters.needsWrite(6)).toBe(false);
  expect(ready(waiters, 11, 6)).toEqual([]);
  expect(ready(waiters, 12, 5)).toEqual([]);
  expect(ready(waiters, 12, 6)).toEqual([1]);
  expect(waiters.size).toBe(0);
});

test('the same flush again waits with the first; a later one with more marks does not', () => {
  const waiters = new FlushWaiters();
  waiters.add(flush, 1, 2, at(1, 10, 5));
  waiters.add(flush, 2, 2, at(1, 10, 5));
  expect(waiters.size).toBe(1);
  waiters.add(flush, 3, 3, at(1, 10, 5));
  expect(waiters.size).toBe(2);
  waiters.delivered(at(2, 11, 6));
  expect(ready(waiters, 11, 6)).toEqual([1, 2]);
  waiters.delivered(at(3, 12, 7));
  expect(ready(waiters, 12, 7)).toEqual([3]);
});

test('what waits for all of an announcement waits until its end is known, then for its messages', () => {
  const waiters = new FlushWaiters();
  const all = Number.POSITIVE_INFINITY;
  waiters.add(flush, 1, all, at(0, 0, 0));
  waiters.add(flush, 2, all, at(1, 4, 1));
  waiters.delivered(at(2, 5, 2));
  expect(ready(waiters, 100, 100)).toEqual([]);
  waiters.announced(at(2, 5, 2), 3);
  expect(ready(waiters, 100, 100)).toEqual([]);
  waiters.delivered(at(3, 6, 3));
  expect(ready(waiters, 6, 2)).toEqual([]);
  expect(ready(waiters, 6, 3)).toEqual([1, 2]);
  // Its last messages may have been delivered before its end was known.
  waiters.add(flush, 3, all, at(3, 6, 3));
  waiters.announced(at(3, 6, 3), 3);
  expect(ready(waiters, 6, 3)).toEqual([3]);
});

test('a full list answers everybody, a thousand joined to the newest too', () => {
  const waiters = new FlushWaiters();
  const count = flushWaitersMax + flushSeqsMax - 1;
  for (let i = 0; i < count; i++) waiters.add(flush, i, i, at(0, 0, 0));
  waiters.delivered(at(count, 1, 1));
  expect(ready(waiters, 1, 1)).toEqual(Array.from({ length: count }, (_, seq) => seq));
});

test('a full list answers later, never sooner', () => {
  const waiters = new FlushWaiters();
  for (let i = 0; i <= flushWaitersMax; i++) waiters.add(flush, i, i, at(0, 0, 0));
  expect(waiters.size).toBe(flushWaitersMax);
  waiters.delivered(at(flushWaitersMax - 1, 50, 50));
  expect(ready(waiters, 50, 50)).toHaveLength(flushWaitersMax - 1);
  waiters.delivered(at(flushWaitersMax, 51, 51));
  expect(ready(waiters, 51, 51)).toEqual([flushWaitersMax - 1, flushWaitersMax]);
});
