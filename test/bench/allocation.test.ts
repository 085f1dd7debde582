/**
 * The engine allocates nothing that a request causes: a daemon with measuring points, many requests a wake, and less than half
 * of V8's smallest object for each. What a wake allocates, and the making of the log, is in that; the best of some rounds, since
 * what V8 allocates for itself while it compiles is in it, too.
 */
import { expect, test } from 'vitest';
import { startCountedDaemon } from '../../bench/daemons.mjs';
import { load } from '../../bench/load.mjs';
import { allCores } from '../../bench/programs.mjs';

/** A number that is no small integer; every other object is larger. */
const smallestObjectBytes = 16;
const hangMs = 300_000;

test.each([
  ['in_sync', 1],
  ['remark', 2],
])(
  '%s: less than half an object a request',
  async (work, requests) => {
    const daemon = await startCountedDaemon(allCores);
    try {
      const count = 20_000;
      const taken = [];
      for (let round = 0; round < 4; round++) {
        await daemon.startCounting();
        await load(allCores, daemon, { work, depth: 256, count, warmup: 0 });
        taken.push((await daemon.counted()).allocatedBytes / (count * requests));
      }
      expect(Math.min(...taken)).toBeLessThan(smallestObjectBytes / 2);
    } finally {
      await daemon.end();
    }
  },
  hangMs,
);
