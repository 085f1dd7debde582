/**
 * A round trip of the kernel's requests, against the least a C program can take for the same frames over the same socket.
 * The simulated kernel is a C program (peers/load.c) in a process of its own; subject is lockstepd as installed; floor is
 * peers/responder.c.
 *
 * | key                      | placement                          | operation                                        |
 * | ------------------------ | ---------------------------------- | ------------------------------------------------ |
 * | in_sync_vs_floor_p50     | all on one core                    | IN_SYNC, one at a time                           |
 * | remark_vs_floor_p50      | all on one core                    | MARK + FLUSH of a region already held            |
 * | in_sync_vs_floor_rate_64 | load on one, subject on the other  | IN_SYNC, 64 under way                            |
 * | in_sync_vs_floor_p999    | no pinning, two threads busy       | IN_SYNC, one at a time                           |
 *
 * The busy threads compute 20 ms of every 50: the daemon's main and admin thread. They are the load beside the floor as well,
 * while the daemon's engine rests: one load, and never two.
 */
import { startCountedDaemon, startDaemon, startResponder } from '../daemons.mjs';
import { guestRatio, guestRow } from '../guest-figures.mjs';
import { inMicroseconds, load, p50 } from '../load.mjs';
import { compare, median, row } from '../measure.mjs';
import { allCores, oneCore, otherCore } from '../programs.mjs';
import { figure } from '../text-report.mjs';

export const title = 'round trips of requests, over a local socket with the real frames';

/** Both sides of one key as rows, and its ratio. */
function sides(key, name, compared, { note, limitNote, ...shown }) {
  const rows = [
    row(`${name}_lockstepd`, compared.subject, { ...shown, note, of: key }),
    row(`${name}_floor`, compared.limit, { ...shown, note: limitNote, of: key }),
  ];
  return { results: rows, ratios: { [key]: { value: compared.value, noise: compared.noise } } };
}

async function onOneCore({ quick, rounds, selves }) {
  const subject = await startDaemon(oneCore);
  const floor = await startResponder(oneCore);
  const parts = [];
  for (const [key, work] of [
    ['in_sync', 'in_sync'],
    ['remark', 'remark'],
  ]) {
    const options = { work, count: quick ? 4000 : 20_000, warmup: 8000 };
    const compared = await compare({
      rounds,
      selves,
      subject: () => load(oneCore, subject, options),
      limit: () => load(oneCore, floor, options),
      figure: p50,
    });
    const note = `load and subject on core ${oneCore}, depth 1`;
    const how = { ...inMicroseconds, figure: (one) => one.p50 / 1e3, note };
    parts.push(sides(`${key}_vs_floor_p50`, key, compared, how));
  }
  await subject.end();
  await floor.end();
  return parts;
}

/**
 * Here whoever answers must be the one who is waited for: the load takes and sends several frames a call, and what share of the
 * time the answerer had its core is printed, with the processor time it took for each request.
 */
async function atDepth64({ quick, rounds, selves }) {
  const key = 'in_sync_vs_floor_rate_64';
  if (otherCore === null) return { results: [{ key, skipped: 'needs two cores' }] };
  const subject = await startDaemon(oneCore);
  const floor = await startResponder(oneCore);
  const options = { work: 'in_sync', depth: 64, count: quick ? 50_000 : 300_000, warmup: 8000 };
  const taken = async (answerer) => {
    const before = answerer.cpuNs;
    const one = await load(otherCore, answerer, options);
    return { ...one, cpu: (answerer.cpuNs - before) / (options.count + options.warmup) };
  };
  const compared = await compare({
    rounds,
    selves,
    subject: () => taken(subject),
    limit: () => taken(floor),
    figure: (one) => one.rate,
  });
  await subject.end();
  await floor.end();
  const busy = (ones) => `busy ${figure(median(ones.map((one) => (one.cpu * one.rate) / 1e9)))} of the time`;
  const note = `load on core ${otherCore}, subject on core ${oneCore}, which is ${busy(compared.subject)}`;
  const limitNote = busy(compared.limit);
  const how = { unit: 'requests/s', scale: 1e-3, figure: (one) => one.rate, note, limitNote };
  const { results, ratios } = sides(key, 'in_sync_64', compared, how);
  const processor = (name, ones) => {
    const of = 'processor time a request, depth 64';
    const taken = ones.map(({ samples, cpu: ns }) => ({ samples, ns }));
    return row(name, taken, { unit: 'ns', figure: (one) => one.ns, of });
  };
  results.push(processor('in_sync_64_cpu_lockstepd', compared.subject));
  results.push(processor('in_sync_64_cpu_floor', compared.limit));
  return { results, ratios };
}

/**
 * The tail beside the daemon's own busy threads. By turns they leave a core free at any time, and what the tail is longer by
 * is the engine's own. Both at once they take both cores, and whoever is to run waits for the scheduler, in C as well: that,
 * and a load by a timetable, which a stall cannot slow down, are printed beside.
 */
async function besideBusyThreads({ quick, rounds, selves }) {
  const key = 'in_sync_vs_floor_p999';
  // A percentile of thousandths over ten busy spells, or ninety.
  const closed = { count: quick ? 50_000 : 400_000 };
  const timetable = { rate: 10_000, count: quick ? 5000 : 30_000 };
  const byTurns = { adminAfterMs: 25, of: key, selves, quick, rounds };
  const first = await tail('in_sync_p999_busy', byTurns, closed);
  const others = [];
  if (!quick) {
    const together = { adminAfterMs: 0, of: `${key}: both busy at once`, selves: 1, rounds };
    others.push(await tail('in_sync_p999_both_busy', together, closed));
    const fixed = {
      adminAfterMs: 25,
      of: `${key}: ${timetable.rate} requests a second by a timetable`,
      selves: 1,
      rounds,
    };
    others.push(await tail('in_sync_p999_timetable', fixed, timetable));
  }
  return {
    results: [...first.results, ...others.flatMap(({ results }) => results)],
    ratios: { [key]: first.ratios[key] },
  };
}

async function tail(name, { adminAfterMs, of, rounds, selves }, operations) {
  const subject = await startCountedDaemon(allCores, { adminAfterMs });
  const floor = await startResponder(allCores);
  const options = { work: 'in_sync', warmup: 8000, ...operations };
  const collections = [];
  const compared = await compare({
    rounds,
    selves,
    subject: async () => {
      await subject.startCounting();
      const taken = await load(allCores, subject, options);
      collections.push((await subject.counted()).collections);
      return taken;
    },
    limit: () => load(allCores, floor, options),
    figure: (one) => one.p999,
  });
  await subject.end();
  await floor.end();
  const note =
    `cores ${allCores}, no pinning, main and admin thread of the daemon busy 20 ms of every 50, ` +
    `${adminAfterMs === 0 ? 'at the same time' : `${adminAfterMs} ms apart`}; ` +
    `collections in the engine, round by round (against itself first): ${collections.join(' ')}`;
  const how = { ...inMicroseconds, figure: (one) => one.p999 / 1e3, note };
  return sides(of, name, compared, how);
}

/**
 * What the engine's heap allocates over a long run. One at a time a wake brings few requests, 64 at a time many: what a wake
 * allocates is spread thinner then, and what a request allocated would not be.
 */
async function allocation({ quick }) {
  const subject = await startCountedDaemon(oneCore);
  const results = [];
  for (const [name, work, depth] of [
    ['in_sync', 'in_sync', 1],
    ['in_sync_64', 'in_sync', 64],
    ['remark', 'remark', 1],
    ['remark_64', 'remark', 64],
  ]) {
    const count = quick ? 50_000 : 1_000_000;
    await load(oneCore, subject, { work, depth, count: 40_000, warmup: 20_000 });
    await subject.startCounting();
    await load(oneCore, subject, { work, depth, count, warmup: 0 });
    const { allocatedBytes, collections, collectionMs } = await subject.counted();
    const requests = work === 'remark' ? count * 2 : count;
    const note =
      `${requests} requests, ${depth} at a time, logs made and removed among them; ` +
      `${collections} collections, ${collectionMs.toFixed(1)} ms in them`;
    const bytes = allocatedBytes / requests;
    results.push({ key: `allocated_a_request_${name}`, value: bytes, unit: 'bytes', samples: requests, note });
    results.push({ key: `collections_${name}`, value: collections, unit: 'collections', samples: requests });
  }
  await subject.end();
  return { results };
}

/** The same kernel, real: a hot set written again and again; a mark that is held or sticks needs no write. */
async function inGuest({ guest }) {
  const key = 'vm_remark_vs_floor_p50';
  const { skipped, figures, accelerator } = await guest();
  if (skipped) return { results: [{ key, skipped }] };
  const results = ['d1', 'd16'].flatMap((depth) => {
    const of = depth === 'd1' ? key : undefined;
    const note = `fio through dm-mirror in a guest, 4 KiB writes to eight regions; processor: ${accelerator}`;
    const subject = guestRow(figures, `lockstepd-remark-${depth}`, { of, note, by: 'p50' });
    return [subject, guestRow(figures, `responder-remark-${depth}`, { of, by: 'p50' })];
  });
  return { results, ratios: { [key]: guestRatio(figures, 'lockstepd-remark-d1', 'responder-remark-d1', 'p50') } };
}

export async function run(context) {
  const parts = [
    ...(await onOneCore(context)),
    await atDepth64(context),
    await besideBusyThreads(context),
    await allocation(context),
    await inGuest(context),
  ];
  return {
    results: parts.flatMap(({ results }) => results),
    ratios: Object.assign({}, ...parts.map(({ ratios }) => ratios ?? {})),
  };
}
