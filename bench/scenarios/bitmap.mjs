/**
 * The region map on its own. `scan_vs_memory`: the search for work over an all-clean map of 512 MiB against the fastest
 * plain read of the same memory, in a program that holds both (peers/scan_limit.cc). `mark_ns_batched`: setting marks through
 * the addon, 256 random regions a call, the native call included.
 */
import { Bench } from 'tinybench';
import { NativeRegionMap } from '../../dist/native/region-map.js';
import { median, noiseOf, row, seed } from '../measure.mjs';
import { answerOf, oneCore, program } from '../programs.mjs';

export const title = 'marks in batches, and the search over an all-clean map';

const batchRegions = 256;
const mapRegions = 2 ** 24;

/** Batches of random regions, no region in two of them, the same for every run. */
function randomBatches(count) {
  let state = seed;
  const chosen = new Set();
  while (chosen.size < count * batchRegions) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    chosen.add(Math.floor((state / 2 ** 32) * mapRegions));
  }
  const all = Float64Array.from(chosen);
  return Array.from({ length: count }, (_, i) => all.slice(i * batchRegions, (i + 1) * batchRegions));
}

/**
 * One round: every batch marked once, then every batch cleared once, so that every call changes every bit and finds its words
 * where the others have left them: in all 2 MiB of the map. The same batch again and again would be a figure of the first cache.
 */
async function markRound(map, batches) {
  const bench = new Bench({ time: 0, iterations: batches.length, warmup: false });
  let next = 0;
  const first = { beforeAll: () => (next = 0) };
  bench.add('mark', () => map.markDirty(batches[next++], batchRegions), first);
  bench.add('clear', () => map.markClean(batches[next++], batchRegions), first);
  await bench.run();
  const of = (name) => {
    const { latency } = bench.tasks.find((task) => task.name === name).result;
    const ns = (ms) => (ms * 1e6) / batchRegions;
    return { samples: latency.samplesCount, p50: ns(latency.p50), p99: ns(latency.p99), p999: ns(latency.p999) };
  };
  if (map.cleanCount !== mapRegions) throw new Error('a round left marks behind');
  return { mark: of('mark'), clear: of('clear') };
}

async function marks({ quick, rounds }) {
  const map = NativeRegionMap.anonymous(mapRegions);
  map.fillClean(0, mapRegions, true);
  const batches = randomBatches(quick ? 512 : 4096);
  await markRound(map, batches);
  const taken = [];
  for (let round = 0; round < rounds * 2; round++) taken.push(await markRound(map, batches));
  map.close();
  const unit = { unit: 'ns a region', figure: (one) => one.p50 };
  const note = `${batches.length} calls a round of ${batchRegions} random regions of 2^24 each, no region twice; the native call included`;
  const mark = row(
    'mark_batched',
    taken.map((one) => one.mark),
    { ...unit, note, of: 'mark_ns_batched' },
  );
  const clear = row(
    'clear_batched',
    taken.map((one) => one.clear),
    { ...unit, note },
  );
  const noise = noiseOf(mark.rounds.slice(1).map((value, i) => value / mark.rounds[i]));
  return { results: [mark, clear], ratios: { mark_ns_batched: { value: mark.value, noise } } };
}

async function scan({ quick, rounds }) {
  if (process.arch !== 'x64')
    return { results: [{ key: 'scan_vs_memory', skipped: `no read kernels for ${process.arch}` }] };
  const args = ['--mebibytes', quick ? '128' : '512', '--rounds', String(quick ? rounds : rounds * 3)];
  const taken = await answerOf(oneCore, program('scan_limit'), args);
  // The best kernel is the one with the best median: the best of three draws a round would be luck as well.
  const reads = taken.reads.reduce((best, each) => (median(each) < median(best) ? each : best));
  const speed = (seconds) => seconds.map((each) => ({ speed: taken.bytes / each / 1e9 }));
  const unit = { unit: 'GB/s', figure: (one) => one.speed, of: 'scan_vs_memory' };
  const size = `${taken.bytes / 2 ** 20} MiB of clean bits`;
  return {
    results: [
      row('scan', speed(taken.search), {
        ...unit,
        note: `${size}, ${taken.search_unit}, on core ${oneCore}, by processor time`,
      }),
      row('read', speed(reads), { ...unit, note: `the best of three ${taken.unit} kernels, same buffer and thread` }),
    ],
    ratios: {
      scan_vs_memory: {
        value: median(taken.search.map((seconds, i) => reads[i] / seconds)),
        noise: noiseOf(taken.first.map((seconds, i) => seconds / taken.second[i])),
      },
    },
  };
}

export async function run(context) {
  const parts = [await scan(context), await marks(context)];
  return {
    results: parts.flatMap(({ results }) => results),
    ratios: Object.assign({}, ...parts.map(({ ratios }) => ratios ?? {})),
  };
}
