/**
 * How cost grows, and what a log takes of memory. Tables without aims; `flush_growth` (flush) and `disk_growth` (mirror)
 * have them.
 *
 * | table      | over                    | figure                                                               |
 * | ---------- | ----------------------- | -------------------------------------------------------------------- |
 * | marks      | 2^10 .. 2^24 regions    | ns a region, 256 a call, through the addon                           |
 * | search     | 2^10 .. 2^24 regions    | us to find nothing to do                                             |
 * | requests   | 2^10 .. 2^24 regions    | us: IN_SYNC, re-mark (core log), fresh mark (disk log)               |
 * | logs       | 1 .. 64 logs            | us: IN_SYNC, re-mark, used by turns                                  |
 * | dirty      | 1 .. 4096 fresh marks   | us until they are durable, all in one FLUSH                          |
 * | memory     | 2^12 .. 2^32 regions    | MiB resident beyond a daemon without logs; fresh, and sparsely marked; room on the tmpfs |
 */
import { execFileSync } from 'node:child_process';
import { NativeRegionMap } from '../../dist/native/region-map.js';
import { startDaemon } from '../daemons.mjs';
import { load } from '../load.mjs';
import { LogFiles } from '../log-files.mjs';
import { median } from '../measure.mjs';
import { oneCore } from '../programs.mjs';

export const title = 'how cost grows with regions, logs and dirty regions; memory';

const batchRegions = 256;
const mebi = 2 ** 20;

const powers = (from, to, step) => Array.from({ length: (to - from) / step + 1 }, (_, i) => 2 ** (from + i * step));

/** A row of a table: `x` along it, `series` the line it belongs to. */
const cell = (table, axis, series, x, unit, rounds, samples) => ({
  key: `${table}: ${series}, ${x} ${axis}`,
  table,
  axis,
  series,
  x,
  value: median(rounds),
  unit,
  samples,
  rounds,
});

/** Nanoseconds that `work` takes: the median of pieces of 16 calls, so that being interrupted does not count. */
function timed(times, work) {
  const pieces = [];
  for (let done = 0; done < times; done += 16) {
    const started = process.hrtime.bigint();
    for (let i = 0; i < 16; i++) work();
    pieces.push(Number(process.hrtime.bigint() - started) / 16);
  }
  return median(pieces);
}

/**
 * Batches that walk over the whole map: multiples of an odd number, which meet every region of a power of two before one comes
 * twice. A single batch would stay in the first cache however large the map is.
 */
function spreadBatches(regions) {
  const count = Math.min(2048, regions / batchRegions);
  return Array.from({ length: count }, (_, batch) =>
    Float64Array.from({ length: batchRegions }, (_, i) => ((batch * batchRegions + i) * 2654435761) % regions),
  );
}

function inProcess({ quick, rounds }) {
  const results = [];
  // The first size twice: what has not been compiled yet is no cost of a size.
  for (const regions of [2 ** 10, ...powers(10, 24, 2)]) {
    const map = NativeRegionMap.anonymous(regions);
    // All pages in use, and all clean.
    map.fillClean(0, regions - 1, true);
    map.markClean(Float64Array.of(regions - 1), 1);
    const batches = spreadBatches(regions);
    const calls = quick ? 2000 : 6000;
    const marks = [];
    const searches = [];
    let next = 0;
    for (let round = 0; round < rounds; round++) {
      const both = timed(calls, () => {
        const batch = batches[next++ % batches.length];
        map.markDirty(batch, batchRegions);
        map.markClean(batch, batchRegions);
      });
      marks.push(both / 2 / batchRegions);
      searches.push(timed(Math.max(80, calls / (regions / 1024)), () => map.nextDirty(0)) / 1000);
    }
    if (regions === 2 ** 10) results.length = 0;
    results.push(cell('marks', 'regions', 'mark or clear', regions, 'ns a region', marks, rounds * calls * 2));
    results.push(cell('search', 'regions', 'search', regions, 'us', searches, rounds));
    map.close();
  }
  return results;
}

/** Median latency of each round, in microseconds. */
async function latencies(daemon, rounds, options, before = () => {}) {
  const taken = [];
  for (let round = 0; round < rounds; round++) {
    before();
    taken.push((await load(oneCore, daemon, options)).p50 / 1000);
  }
  return taken;
}

async function requests({ quick, rounds }, daemon, files) {
  const results = [];
  const count = quick ? 1000 : 3000;
  const fresh = quick ? 40 : 60;
  for (const regions of powers(10, 24, 2)) {
    for (const work of ['in_sync', 'remark']) {
      const taken = await latencies(daemon, rounds, { work, regions, count, warmup: quick ? 1000 : 3000 });
      const name = work === 'remark' ? 're-mark, core log' : 'IN_SYNC';
      results.push(cell('requests', 'regions', name, regions, 'us', taken, count * rounds));
    }
    if (files === null) continue;
    const file = files.file(regions);
    const options = { work: 'fresh', regions, count: fresh, warmup: 20, 'log-file': file };
    const taken = await latencies(daemon, rounds, options, () => files.wipe(file, regions));
    results.push(cell('requests', 'regions', 'fresh mark, disk log', regions, 'us', taken, fresh * rounds));
  }
  return results;
}

async function manyLogs({ quick, rounds }, daemon) {
  const results = [];
  const count = quick ? 2000 : 4000;
  for (const logs of powers(0, 6, 1)) {
    for (const work of ['in_sync', 'remark']) {
      const options = { work, logs, count, warmup: 4000 };
      const name = work === 'remark' ? 're-mark' : 'IN_SYNC';
      results.push(cell('logs', 'logs', name, logs, 'us', await latencies(daemon, rounds, options), count * rounds));
    }
  }
  return results;
}

async function manyDirty({ quick, rounds }, daemon, files) {
  const regions = 2 ** 20;
  const file = files.file(regions);
  const results = [];
  const count = quick ? 10 : 60;
  for (const batch of powers(0, 12, 2)) {
    const options = { work: 'fresh', regions, batch, count, warmup: 5, 'log-file': file };
    const taken = await latencies(daemon, rounds, options, () => files.wipe(file, regions));
    results.push(cell('dirty', 'dirty regions', 'until durable', batch, 'us', taken, count * rounds));
  }
  return results;
}

/** Room that the files in a folder take of their tmpfs, whether they are mapped or not. */
function roomBytes(folder) {
  const text = execFileSync('du', ['--block-size=1', '--summarize', folder], { encoding: 'utf8' });
  return Number(text.split(/\s/)[0]);
}

/**
 * A daemon of its own for every figure, and several of them: the heap of a process that has just started differs by a megabyte
 * or two. `tmpfs` is what the state records take of it: reserved room counts, which no process has resident.
 */
async function memory({ quick, rounds }) {
  const results = [];
  const once = async (options) => {
    const daemon = await startDaemon(oneCore);
    const roomBefore = roomBytes(daemon.folder);
    if (options) await load(oneCore, daemon, { work: 'fresh', keep: 1, warmup: 0, ...options });
    const { memory: found } = await daemon.status();
    const room = roomBytes(daemon.folder) - roomBefore;
    await daemon.end();
    return { resident: found.residentBytes / mebi, mapped: found.stateBytes / mebi, room: room / mebi };
  };
  const times = quick ? 1 : rounds;
  const several = async (options) => {
    const all = [];
    for (let round = 0; round < times; round++) all.push(await once(options));
    return (name) => all.map((one) => one[name]);
  };
  const bare = (await several(null))('resident');
  const bareMiB = median(bare);
  results.push({ key: 'resident without logs', value: bareMiB, unit: 'MiB', samples: times, rounds: bare });
  for (const regions of powers(12, 32, quick ? 10 : 5)) {
    const add = (series, found) => results.push(cell('memory', 'regions', series, regions, 'MiB', found, times));
    const one = await several({ regions, count: 1 });
    add(
      'resident, one mark',
      one('resident').map((each) => each - bareMiB),
    );
    add('mapped', one('mapped'));
    const thousand = await several({ regions, count: 1000 });
    add(
      'resident, 1000 marks far apart',
      thousand('resident').map((each) => each - bareMiB),
    );
    add('tmpfs, 1000 marks far apart', thousand('room'));
  }
  return results;
}

export async function run(context) {
  const files = new LogFiles();
  const reason = files.reasonAgainst;
  const daemon = await startDaemon(oneCore);
  try {
    const results = [
      ...inProcess(context),
      ...(await requests(context, daemon, reason ? null : files)),
      ...(await manyLogs(context, daemon)),
      ...(reason ? [{ key: 'dirty', skipped: reason }] : await manyDirty(context, daemon, files)),
    ];
    await daemon.end();
    return { results: [...results, ...(await memory(context))], ratios: {} };
  } finally {
    await daemon.end();
    files.remove();
  }
}
