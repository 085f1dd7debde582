/**
 * The region map on its own: what a batch of marks costs a region, and how fast the search for work runs over a map
 * in which there is none, against a plain read of the same amount of memory.
 */
import { Bench } from 'tinybench';
import { NativeRegionMap } from '../../dist/native/region-map.js';

export const title = 'marks in batches, and the search over an all-clean map';

const BATCH_REGIONS = 256;

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

/** Distinct random regions, the same for every run. */
function randomRegions(count, below) {
  let state = 0x2545f491;
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  });
}

async function markNs(quick) {
  const map = NativeRegionMap.anonymous(2 ** 24);
  const regions = randomRegions(BATCH_REGIONS, 2 ** 24);
  const bench = new Bench({ time: quick ? 100 : 1000, iterations: 1000 });
  bench.add('mark', () => map.markDirty(regions, BATCH_REGIONS));
  bench.add('clean', () => map.markClean(regions, BATCH_REGIONS));
  await bench.run();
  map.close();
  return bench.tasks.map((task) => ({
    key: `${task.name}_ns_batched`,
    value: (task.result.latency.p50 * 1e6) / BATCH_REGIONS,
    unit: 'ns a region',
    samples: task.result.latency.samplesCount,
    note: `${BATCH_REGIONS} random regions a call, the native call included`,
  }));
}

function scan(quick) {
  const regionCount = quick ? 2 ** 28 : 2 ** 32;
  const map = NativeRegionMap.anonymous(regionCount);
  // A fill of the whole map touches no words, and a search over it would be over at once: fill all but the last
  // region and set that one by itself, so that every word is really there.
  map.fillClean(0, regionCount - 1, true);
  map.markClean(Float64Array.of(regionCount - 1), 1);
  const bytes = regionCount / 8;
  const memory = new BigUint64Array(bytes / 8).fill(1n);
  const scans = [];
  const copies = [];
  const target = Buffer.alloc(1 << 20);
  const source = Buffer.from(memory.buffer);
  for (let round = 0; round < (quick ? 5 : 9); round++) {
    let started = process.hrtime.bigint();
    map.nextDirty(0);
    scans.push(bytes / Number(process.hrtime.bigint() - started));
    started = process.hrtime.bigint();
    for (let at = 0; at < bytes; at += target.length) source.copy(target, 0, at, at + target.length);
    copies.push(bytes / Number(process.hrtime.bigint() - started));
  }
  map.close();
  const row = (key, numbers, note) => ({ key, value: median(numbers), unit: 'GB/s', samples: numbers.length, note });
  return [
    row('scan', scans, `${bytes / 2 ** 20} MiB of clean bits, nothing to find`),
    row('copy_to_cache', copies, 'memcpy of the same amount into 1 MiB that stays in cache'),
  ];
}

export async function run({ quick }) {
  return [...(await markNs(quick)), ...scan(quick)];
}
