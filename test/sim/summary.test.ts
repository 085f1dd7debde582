/** What a run of many seeds must have met to count. */
import { expect, it } from 'vitest';
import type { RunResult } from '../../ts/sim/run.js';
import { Summary } from '../../ts/sim/summary.js';

function missingOf(hosts: number): string[] {
  const summary = new Summary();
  for (let seed = 1; seed <= 200; seed++) summary.add(emptyRun(seed, hosts));
  return summary.missing();
}

function emptyRun(seed: number, hosts: number): RunResult {
  return {
    seed,
    hosts,
    restarts: false,
    hash: 0,
    steps: 0,
    requests: 0,
    virtualMs: 0,
    counts: new Map(),
    evaluations: new Map(),
    failure: null,
  };
}

it('what takes three hosts need not have happened to two', () => {
  expect(missingOf(2)).toContain('fault partition');
  expect(missingOf(2)).not.toContain('fault third-changes-sides');
  expect(missingOf(3)).toContain('fault third-changes-sides');
});
