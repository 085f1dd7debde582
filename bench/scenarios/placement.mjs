/**
 * Why marks are set where the request is received: the same marks inline, as one piscina task a request, and as one
 * task for a batch. The pool's task sets the same bits through the same addon. Printed, without an aim.
 */
import { Piscina } from 'piscina';
import { NativeRegionMap } from '../../dist/native/region-map.js';
import { median, percentiles, row } from '../measure.mjs';

export const title = 'marking inline against handing the mark to a worker';

const batch = 64;
const mapRegions = 2 ** 20;

/** Nanoseconds a mark, one sample a batch of `batch`. */
async function sample(times, work) {
  const samples = [];
  for (let i = 0; i < times; i++) {
    const started = process.hrtime.bigint();
    await work();
    samples.push(Number(process.hrtime.bigint() - started) / batch);
  }
  return percentiles(samples);
}

export async function run({ quick, rounds }) {
  const times = quick ? 10 : 100;
  const map = NativeRegionMap.anonymous(mapRegions);
  const one = new Float64Array(1);
  const worker = new URL('../mark-worker.mjs', import.meta.url).href;
  const pool = new Piscina({ filename: worker, minThreads: 1, maxThreads: 1, atomics: 'sync' });
  let region = 0;
  const next = () => {
    region = (region + 4099) % mapRegions;
    return region;
  };
  const ways = {
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
  const taken = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  for (const work of Object.values(ways)) await sample(3, work);
  for (let round = 0; round < rounds; round++) {
    for (const [name, work] of Object.entries(ways)) taken[name].push(await sample(times, work));
  }
  await pool.destroy();
  map.close();
  const faster = (key, quickly, slowly) => {
    const each = taken[slowly].map((sampled, i) => sampled.p50 / taken[quickly][i].p50);
    return { key, value: median(each), unit: 'times faster', samples: rounds, rounds: each };
  };
  const figure = (sampled) => sampled.p50;
  return {
    results: [
      ...Object.keys(ways).map((name) => row(name, taken[name], { unit: 'ns a mark', figure })),
      faster('inline_vs_task', 'inline', 'one_task_a_mark'),
      faster('inline_vs_task_64', 'inline', 'one_task_a_mark_64'),
      faster('inline_vs_batch', 'inline', 'one_task_a_batch'),
      faster('batch_vs_task', 'one_task_a_batch', 'one_task_a_mark'),
    ],
    ratios: {},
  };
}
