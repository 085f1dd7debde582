/** Runs drawn by seeds: the same ones always, and some that nobody has seen. `LOCKSTEP_RANDOM=SEED[:COUNT]` runs others, with what happened. */
import { expect, test } from 'vitest';
import { RandomRun } from './random-run.js';

const { LOCKSTEP_RANDOM: given } = process.env;

function runAll(first: number, count: number): void {
  for (let seed = first; seed < first + count; seed++) {
    const run = new RandomRun(seed);
    try {
      run.run();
    } catch (error) {
      const happened = given === undefined ? '' : `${run.journal.join('\n')}\n`;
      const replay = `LOCKSTEP_RANDOM=${seed} npx vitest run test/mirror/cluster-random.test.ts`;
      expect.fail(`${happened}${(error as Error).stack}\nreplay: ${replay}`);
    }
  }
}

if (given !== undefined) {
  const [first = Number.NaN, count = 1] = given.split(':').map(Number);
  test(`seeds ${given}`, () => runAll(first, count), 0);
} else {
  // Each test has a hang limit of its own.
  test.each([1, 26, 51, 76, 101, 126])('hosts keep in step in a fixed set of seeds, from %i on', (first) =>
    runAll(first, 25),
  );
  test('hosts keep in step in fresh seeds', () => runAll(Math.floor(Date.now() / 1000) * 1000, 50));
}
