/**
 * Why marks are set where the request is received: the same marks inline, as one piscina task a request, and as one
 * task for a batch. The pool's task sets the same bits through the same addon.
 */
import { Piscina } from 'piscina';
import { NativeRegionMap } from '../../dist/native/region-map.js';

export const title = 'marking inline against handing the mark to a worker';

const BATCH = 64;

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

async function measure(rounds, perRound, work) {
  const samples = [];
  for (let round = 0; round < rounds; round++) {
    const started = process.hrtime.bigint();
    await work();
    samples.push(Number(process.hrtime.bigint() - started) / perRound);
  }
  return samples;
}

export async function run({ quick }) {
  const rounds = quick ? 200 : 2000;
  const map = NativeRegionMap.anonymous(2 ** 20);
  const one = new Float64Array(1);
  const worker = new URL('../mark-worker.mjs', import.meta.url).href;
  const pool = new Piscina({ filename: worker, minThreads: 1, maxThreads: 1, atomics: 'sync' });
  let region = 0;
  const next = () => {
    region = (region + 4099) % 2 ** 20;
    return region;
  };
  const inline = await measure(rounds, BATCH, () => {
    for (let i = 0; i < BATCH; i++) {
      one[0] = next();
      map.markDirty(one, 1);
    }
  });
  await pool.run([0]);
  const task = await measure(Math.max(20, rounds / 20), BATCH, async () => {
    for (let i = 0; i < BATCH; i++) await pool.run([next()]);
  });
  const batch = await measure(Math.max(20, rounds / 20), BATCH, () => pool.run(Array.from({ length: BATCH }, next)));
  await pool.destroy();
  map.close();
  const row = (key, numbers) => ({ key, value: median(numbers), unit: 'ns a mark', samples: numbers.length });
  return [
    row('inline', inline),
    row('one_task_a_mark', task),
    row('one_task_a_batch', batch),
    { key: 'inline_vs_task', value: median(task) / median(inline), unit: 'times', samples: rounds },
    { key: 'batch_vs_task', value: median(task) / median(batch), unit: 'times', samples: rounds },
  ];
}
