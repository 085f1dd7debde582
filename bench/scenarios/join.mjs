/**
 * What a host costs that comes to a log which others have in use: the bytes that all daemons multicast until it has its copy, headers,
 * questions and acknowledgements included, as their own counters have them, over the bytes of the log's bitmap, a bit a region.
 *
 * | key                            | the log                                                                             |
 * | ------------------------------ | ----------------------------------------------------------------------------------- |
 * | transfer_bytes_vs_bitmap       | every region clean or out of sync by chance, as no coding makes it any shorter      |
 * | transfer_bytes_vs_bitmap_empty | nothing marked                                                                      |
 *
 * Printed beside: what each region costs that a kernel holds at that moment, whose owner is told too, and how long it all takes.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import {
  newLog,
  quiet,
  reasonAgainst,
  resultsOf,
  risen,
  startDaemons,
  startIdleKernel,
  startKernel,
  takeDown,
  takeDownIdle,
} from '../cluster.mjs';
import { LogFiles } from '../log-files.mjs';
import { row, seed } from '../measure.mjs';

export const title = 'a host that comes to a log in use';

/** What is said once weighs more on a small map; but every region out of sync takes a daemon's time at a RESUME. */
const regions = { dense: 2 ** 22, empty: 2 ** 24 };
const keys = { dense: 'transfer_bytes_vs_bitmap', empty: 'transfer_bytes_vs_bitmap_empty' };
const bytesOf = (count) => count / 8;
/** Where the bits begin on a log device. */
const bitsOffset = 1024;
const heldRegions = 4096;
/** Longer than bits wait that nobody waits for (a second). The quick form counts what is said of them as the copy's. */
const quietMsOf = (quick) => (quick ? 200 : 1300);

/** Bits by chance, the same in every run (xorshift). */
function chanceBytes(count) {
  const words = new Uint32Array(bytesOf(count) / 4);
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer);
}

/** A log as a daemon closes it, all clean; then with these bits in it. */
async function makeLog(file, regions, bits) {
  const kernel = await startIdleKernel(1, newLog(), { regions, 'log-file': file });
  await takeDownIdle([kernel]);
  if (bits === null) return;
  const fd = openSync(file, 'r+');
  writeSync(fd, bits, 0, bits.length, bitsOffset);
  fsyncSync(fd);
  closeSync(fd);
}

/** Node 1 has the log, and `held` regions of it; node 2 comes. */
async function joinOnce(daemons, file, { regions, held, quietMs }) {
  const log = newLog();
  const marks = { work: 'fresh', count: 0, warmup: held, depth: 64 };
  const first = await startKernel(1, log, { regions, 'log-file': file, ...marks });
  await first.says('made');
  first.goOn();
  await first.says('warm');
  const before = await quiet(daemons, quietMs);
  const startedMs = performance.now();
  const second = await startIdleKernel(2, log, { regions, 'log-file': file });
  const tookMs = performance.now() - startedMs;
  const status = await daemons[1].stands('has its copy', ({ logs }) =>
    logs.some(
      ({ uuid, cluster }) =>
        uuid.startsWith(log.prefix) && cluster.members.every(({ valid, settled }) => valid && settled),
    ),
  );
  const counts = risen(before, await quiet(daemons, quietMs));
  const { dirtyCount } = status.logs.find(({ uuid }) => uuid.startsWith(log.prefix));
  await takeDownIdle([second]);
  first.goOn();
  await resultsOf([first]);
  await takeDown([first]);
  return { bytes: counts.bytes, tookMs, dirtyCount };
}

async function rounds({ count, quietMs }, daemons, file, { regions, bits, held = 0, wanted }) {
  const taken = [];
  for (let round = 0; round < count; round++) {
    // Anew: what was recovered or cleaned by the last round is not what this one is about.
    await makeLog(file, regions, bits);
    const one = await joinOnce(daemons, file, { regions, held, quietMs });
    if (!wanted(one.dirtyCount)) throw new Error(`${one.dirtyCount} of ${regions} regions are dirty`);
    taken.push(one);
  }
  return taken;
}

export async function run({ quick, rounds: full }) {
  const files = new LogFiles();
  const reason = reasonAgainst() || files.reasonAgainst;
  if (reason) {
    files.remove();
    return { skipped: reason, results: [], ratios: {} };
  }
  const daemons = await startDaemons();
  try {
    const how = { count: quick ? 1 : full, quietMs: quietMsOf(quick) };
    const chance = {
      regions: regions.dense,
      bits: chanceBytes(regions.dense),
      wanted: (dirty) => Math.abs(dirty / regions.dense - 0.5) < 0.01,
    };
    const dense = await rounds(how, daemons, files.file(regions.dense), chance);
    const file = files.file(regions.empty);
    const clean = { regions: regions.empty, bits: null };
    const empty = await rounds(how, daemons, file, { ...clean, wanted: (dirty) => dirty === 0 });
    const marked = { ...clean, held: heldRegions, wanted: (dirty) => dirty === heldRegions };
    const held = quick ? [] : await rounds(how, daemons, file, marked);
    return report({ dense, empty, held });
  } finally {
    for (const daemon of daemons) await daemon.kill();
    files.remove();
  }
}

function report({ dense, empty, held }) {
  const results = [];
  const ratios = {};
  for (const [name, ones] of Object.entries({ dense, empty })) {
    const key = keys[name];
    const bitmapBytes = bytesOf(regions[name]);
    const note = `2^${Math.log2(regions[name])} regions, ${bitmapBytes} bytes of bitmap; two of three hosts have the log in the end`;
    const bytes = row(`join_${name}`, ones, { unit: 'bytes', figure: (one) => one.bytes, note });
    results.push(bytes, row(`join_${name}_ms`, ones, { unit: 'ms', figure: (one) => one.tookMs }));
    const spread = Math.max(...bytes.rounds) / Math.min(...bytes.rounds) - 1;
    ratios[key] = { value: bytes.value / bitmapBytes, noise: spread };
  }
  if (held.length === 0) return { results, ratios };
  const base = results.find(({ key }) => key === 'join_empty').value;
  const each = (one) => (one.bytes - base) / heldRegions;
  const heldNote = `${heldRegions} regions held at that moment, far apart: bytes beyond those of an empty log, for each`;
  results.push(row('join_a_held_region', held, { unit: 'bytes', figure: each, note: heldNote }));
  return { results, ratios };
}
