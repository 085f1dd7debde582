/**
 * The engine allocates nothing that a request causes: a daemon with measuring points, many requests a wake, and less than half
 * of V8's smallest object for each. What a wake allocates, and the making of the log, is in that.
 */
import { expect, test } from 'vitest';
import { startCountedDaemon } from '../../bench/daemons.mjs';
import { load } from '../../bench/load.mjs';
import { allCores } from '../../bench/programs.mjs';

/** A number that is no small integer; every other object is larger. */
const smallestObjectBytes = 16;
const hangMs = 120_000;

test.each([
  ['in_sync', 1],
  ['remark', 2],
])(
  '%s: less than half an object a request',
  async (work, requests) => {
    const daemon = await startCountedDaemon(allCores);
    try {
      await load(allCores, daemon, { work, depth: 64, count: 40_000, warmup: 20_000 });
      await daemon.startCounting();
      const count = 50_000;
      await load(allCores, daemon, { work, depth: 64, count, warmup: 0 });
      const { allocatedBytes } = await daemon.counted();
      expect(allocatedBytes / (count * requests)).toBeLessThan(smallestObjectBytes / 2);
    } finally {
      await daemon.end();
    }
  },
  hangMs,
);
