/**
 * Why marks are set where the request is received: the same marks inline, as one piscina task a request, and as one
 * task for a batch. The pool's task sets the same bits through the same addon. Printed, without an aim.
 */
import { Piscina } from 'piscina';
import { Bench } from 'tinybench';
import { NativeRegionMap } from '../../dist/native/region-map.js';
import { median, row } from '../measure.mjs';

export const title = 'marking inline against handing the mark to a worker';

const batch = 64;
const mapRegions = 2 ** 20;
/** Calls of each way before it counts, in both forms: what V8 has not compiled yet is no cost of a place. */
const warmupCalls = 2000;

/** Every way by turns, `count` times: a sample is `batch` marks, a figure nanoseconds a mark. No region comes twice. */
async function rounds(ways, { times, count, each }) {
  for (let done = 0; done < count; done++) {
    const bench = new Bench({ time: 0, iterations: times, warmup: false });
    for (const [name, work] of Object.entries(ways)) bench.add(name, work);
    await bench.run();
    for (const { name, result } of bench.tasks) {
      const { latency } = result;
      const ns = (ms) => (ms * 1e6) / batch;
      each(name, { samples: latency.samplesCount, p50: ns(latency.p50), p99: ns(latency.p99) });
    }
  }
}

/** The ways of setting `batch` marks in a map of `mapRegions`. */
function waysOf(map, pool) {
  const one = new Float64Array(1);
  let region = 0;
  const next = () => {
    region = (region + 4099) % mapRegions;
    return region;
  };
  return {
    inline: () => {
      for (let i = 0; i < batch; i++) {
        one[0] = next();
        map.markDirty(one, 1);
      }
    },
    one_task_a_mark: async () => {
      for (let i = 0; i < batch; i++) await pool.run([next()]);
    },
    // As many tasks under way as the batch has marks: what a kernel that waited for none of them would see.
    one_task_a_mark_64: () => Promise.all(Array.from({ length: batch }, () => pool.run([next()]))),
    one_task_a_batch: () => pool.run(Array.from({ length: batch }, next)),
  };
}

export async function run({ quick, rounds: count }) {
  const map = NativeRegionMap.anonymous(mapRegions);
  map.fillClean(0, mapRegions, true);
  const worker = new URL('../mark-worker.mjs', import.meta.url).href;
  const pool = new Piscina({ filename: worker, minThreads: 1, maxThreads: 1, atomics: 'sync' });
  const ways = waysOf(map, pool);
  const taken = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  const { one_task_a_mark: slow, one_task_a_mark_64: slow64, ...fast } = ways;
  await rounds(fast, { times: warmupCalls, count: 1, each: () => {} });
  await rounds({ slow, slow64 }, { times: Math.ceil(warmupCalls / batch), count: 1, each: () => {} });
  await rounds(ways, { times: quick ? 20 : 200, count, each: (name, one) => taken[name].push(one) });
  await pool.destroy();
  map.close();
  const faster = (key, quickly, slowly) => {
    const each = taken[slowly].map((sampled, i) => sampled.p50 / taken[quickly][i].p50);
    return { key, value: median(each), unit: 'times faster', samples: count, rounds: each };
  };
  const of = 'a mark, by where it is set';
  return {
    results: [
      ...Object.keys(ways).map((name) => row(name, taken[name], { unit: 'ns a mark', figure: (one) => one.p50, of })),
      faster('inline_vs_task', 'inline', 'one_task_a_mark'),
      faster('inline_vs_task_64', 'inline', 'one_task_a_mark_64'),
      faster('inline_vs_batch', 'inline', 'one_task_a_batch'),
      faster('batch_vs_task', 'one_task_a_batch', 'one_task_a_mark'),
    ],
    ratios: {},
  };
}
