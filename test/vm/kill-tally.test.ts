/** Kills that leave equal legs have tested nothing, and so many in a row fail the run. */
import { expect, it } from 'vitest';
import { equalMax, KillTally } from './kill-tally.mjs';

function after(...kills: number[]): KillTally {
  const tally = new KillTally();
  for (const differing of kills) tally.count({ differing, wrote: differing > 1 });
  return tally;
}
const equal = (count: number): number[] => Array.from({ length: count }, () => 0);

it('ten kills in a row without a region that differs are untested', () => {
  expect(equalMax).toBe(10);
  expect(after(...equal(9)).untested).toBe(false);
  expect(after(...equal(10)).untested).toBe(true);
  expect(after(3, ...equal(12)).untested).toBe(true);
});

it('one that differs begins the row anew', () => {
  expect(after(...equal(9), 1, ...equal(9)).untested).toBe(false);
});

it('counts what has tested something, and what hit the writer of the log', () => {
  expect(after(0, 2, 1, 0, 5)).toMatchObject({ kills: 5, tested: 3, takenOver: 2 });
});
