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
 * | dirty      | 1 .. 4096 fresh marks   | us until they are durable, all in one FLUSH; far apart: up to 33 blocks of the log |
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

/**
 * Every case once a round: a bad minute of the machine is a bad round of all of them then, and not the cost of one size.
 * Resolves to the rounds of each case.
 */
async function byRounds(rounds, cases, measureOne) {
  const taken = cases.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, each] of cases.entries()) taken[i].push(await measureOne(each));
  }
  return taken;
}

/** A row of a table: `x` along it, `series` the line it belongs to. */
const cell = (table, axis, series, x, unit, rounds, samples, note) => ({
  key: `${table}: ${series}, ${x} ${axis}`,
  table,
  axis,
  series,
  x,
  value: median(rounds),
  unit,
  samples,
  rounds,
  note,
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

/** A map with all pages in use, and all clean. */
function cleanMap(regions) {
  const map = NativeRegionMap.anonymous(regions);
  map.fillClean(0, regions - 1, true);
  map.markClean(Float64Array.of(regions - 1), 1);
  return map;
}

async function inProcess({ quick, rounds }) {
  const calls = quick ? 2000 : 6000;
  const cases = powers(10, 24, 2).map((regions) => ({
    regions,
    map: cleanMap(regions),
    batches: spreadBatches(regions),
  }));
  const searchCalls = (regions) => Math.max(80, calls / (regions / 1024));
  let next = 0;
  const measureOne = ({ regions, map, batches }) => {
    const both = timed(calls, () => {
      const batch = batches[next++ % batches.length];
      map.markDirty(batch, batchRegions);
      map.markClean(batch, batchRegions);
    });
    return {
      mark: both / 2 / batchRegions,
      search: timed(searchCalls(regions), () => map.nextDirty(0)) / 1000,
    };
  };
  // What has not been compiled yet is no cost of a size.
  measureOne(cases[0]);
  const taken = await byRounds(rounds, cases, measureOne);
  for (const { map } of cases) map.close();
  return cases.flatMap(({ regions }, i) => {
    const [marks, searches] = [taken[i].map(({ mark }) => mark), taken[i].map(({ search }) => search)];
    const searched = Math.ceil(rounds * searchCalls(regions));
    return [
      cell('marks', 'regions', 'mark or clear', regions, 'ns a region', marks, rounds * calls * 2),
      cell('search', 'regions', 'search', regions, 'us', searches, searched),
    ];
  });
}

/** Median latency in microseconds. */
async function latency(daemon, { file, ...options }, files) {
  if (file) files.wipe(file, options.regions);
  return (await load(oneCore, daemon, file ? { ...options, 'log-file': file } : options)).p50 / 1000;
}

async function requests({ quick, rounds }, daemon, files) {
  const count = quick ? 1000 : 3000;
  const core = { count, warmup: quick ? 1000 : 3000 };
  const fresh = { work: 'fresh', count: quick ? 40 : 60, warmup: 20 };
  const cases = powers(10, 24, 2).flatMap((regions) => [
    { name: 'IN_SYNC', options: { ...core, work: 'in_sync', regions } },
    { name: 're-mark, core log', options: { ...core, work: 'remark', regions } },
    ...(files ? [{ name: 'fresh mark, disk log', options: { ...fresh, regions, file: files.file(regions) } }] : []),
  ]);
  await latency(daemon, cases[1].options);
  const taken = await byRounds(rounds, cases, ({ options }) => latency(daemon, options, files));
  return cases.map(({ name, options }, i) =>
    cell('requests', 'regions', name, options.regions, 'us', taken[i], options.count * rounds),
  );
}

async function manyLogs({ quick, rounds }, daemon) {
  const count = quick ? 2000 : 4000;
  const cases = powers(0, 6, 1).flatMap((logs) => [
    { name: 'IN_SYNC', logs, options: { work: 'in_sync', logs, count, warmup: 4000 } },
    { name: 're-mark', logs, options: { work: 'remark', logs, count, warmup: 4000 } },
  ]);
  const taken = await byRounds(rounds, cases, ({ options }) => latency(daemon, options));
  return cases.map(({ name, logs }, i) => cell('logs', 'logs', name, logs, 'us', taken[i], count * rounds));
}

/** What a FLUSH of so many fresh marks writes: blocks of the log, and how many of them have no changed neighbour before. */
function writesOf(batch, regions) {
  // The walk of peers/load.c; a block holds 2^15 regions, the first one 2^13 fewer.
  const blocks = new Set(Array.from({ length: batch }, (_, i) => (8192 + ((i * 163855) % regions)) >> 15));
  const runs = [...blocks].filter((block) => !blocks.has(block - 1)).length;
  return `${blocks.size} ${blocks.size === 1 ? 'block' : 'blocks'}, ${runs} ${runs === 1 ? 'write' : 'writes'}`;
}

async function manyDirty({ quick, rounds }, daemon, files) {
  const regions = 2 ** 20;
  const file = files.file(regions);
  const count = quick ? 10 : 60;
  const cases = powers(0, 12, 2).map((batch) => ({ work: 'fresh', regions, batch, count, warmup: 5, file }));
  const taken = await byRounds(rounds, cases, (options) => latency(daemon, options, files));
  return cases.map(({ batch }, i) => {
    const note = writesOf(batch, regions);
    return cell('dirty', 'dirty regions', 'until durable', batch, 'us', taken[i], count * rounds, note);
  });
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
      ...(await inProcess(context)),
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
