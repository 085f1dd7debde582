/**
 * What several hosts pay for sharing a log: three nodes with a corosync and a lockstepd each, one log active on all of them, simulated
 * kernels that write to regions of their own. Against corosync's process groups by themselves, used from C (peers/cpg.c) on the same
 * nodes in the same run.
 *
 * | key                         | subject                                              | against                                   |
 * | --------------------------- | ---------------------------------------------------- | ----------------------------------------- |
 * | marks_vs_cpg_rate           | fresh regions, 64 writes under way on each node      | multicasts as large as the daemons' own, as many under way on each node as of theirs |
 * | ordered_mark_p50_vs_cpg_p50 | MARK + FLUSH of a fresh region, one at a time, one node | a multicast as large, answered by every other member with one |
 * | remark_messages             | multicasts and log writes of all daemons while hot regions are written again | none |
 *
 * 64 writes are what the kernel makes of them: the marks of all that wait go in requests of up to 32, then comes one FLUSH, and the
 * next marks when it is answered. A mark is committed when its FLUSH is, every member having acknowledged it; a raw multicast counts when
 * it has come back to its sender, which promises less. Size and number of the raw ones are what the daemons' counters said of this very
 * load just before. The number is a mean, of every moment at which one was sent, which is more than that of all moments; raw ones are
 * measured with the whole numbers on both sides of it and taken in proportion. So the first key says how many marks hosts get for what
 * one multicast costs.
 *
 * Printed beside: the same over raw multicasts of one mark each, 64 of them under way on each node (`marks_vs_cpg_64`); 64 MARKs with a FLUSH
 * each, as no kernel sends them for one log; and with a log device. The other figures are of core logs, since nothing is written for a raw multicast either.
 */
import { emptyMessage, encodeMessage } from '../../dist/cluster/message-codec.js';
import { wireHeaderBytes } from '../../dist/cluster/wire.js';
import {
  allSay,
  countsOf,
  newLog,
  nodes,
  reasonAgainst,
  resultsOf,
  risen,
  startDaemons,
  startIdleKernel,
  startKernel,
  startOn,
  takeDown,
  takeDownIdle,
} from '../cluster.mjs';
import { inMicroseconds, p50 } from '../load.mjs';
import { LogFiles } from '../log-files.mjs';
import { compare, median, row } from '../measure.mjs';
import { allCores } from '../programs.mjs';
import { figure } from '../text-report.mjs';

export const title = 'a log that three hosts share, on real corosync';

const depth = 64;
const regions = 2 ** 22;
/** More than a node can mark in a second. */
const marksASecondMax = 200_000;
const place = `three nodes in network namespaces of one machine, cores ${allCores}`;

/** Bytes of a multicast of the daemon's that carries one mark, and of one that only acknowledges. */
function multicastBytes() {
  const { prefix } = newLog();
  const mark = { ...emptyMessage(), uuid: `${prefix}-0`, count: 1 };
  mark.regions[0] = regions / 2;
  const buffer = Buffer.alloc(4096);
  return { mark: encodeMessage(mark, buffer, wireHeaderBytes, null), acknowledgement: wireHeaderBytes };
}

let groups = 0;
const newGroup = () => {
  groups += 1;
  return `lockstep.bench.${groups}`;
};

/** Kernels on all nodes, each with regions of its own; all at the same time. */
async function fromAllNodes(daemons, options, { batch = 1 } = {}) {
  const log = newLog();
  const share = (node) => ({ first: node - 1, stride: nodes.length, batch });
  const kernels = await Promise.all(
    nodes.map((node) => startKernel(node, log, { work: 'fresh', regions, ...share(node), ...options })),
  );
  await allSay('made', kernels);
  for (const kernel of kernels) await kernel.says('warm');
  const [before, cpuBefore] = [await countsOf(daemons), cpuOf(daemons)];
  for (const kernel of kernels) kernel.goOn();
  const results = await resultsOf(kernels);
  const [cpu, counts] = [cpuOf(daemons) - cpuBefore, risen(before, await countsOf(daemons))];
  await takeDown(kernels);
  const marks = results.reduce((sum, { samples }) => sum + samples, 0) * batch;
  const rate = results.reduce((sum, each) => sum + each.rate, 0) * batch;
  return { ...shares(results), samples: marks, rate, counts, cpu: cpu / marks };
}

/** Percentiles of all nodes: the median of the nodes'. */
const shares = (results) =>
  Object.fromEntries(['p50', 'p90', 'p99', 'p999'].map((name) => [name, median(results.map((each) => each[name]))]));

const cpuOf = (daemons) => daemons.reduce((sum, { cpuNs }) => sum + cpuNs, 0);

async function rawFlood(size, milliseconds) {
  const group = newGroup();
  const options = { role: 'flood', group, ...size, warmup: 200, milliseconds, members: nodes.length };
  const programs = await Promise.all(nodes.map((node) => startOn(node, 'cpg', options)));
  await allSay('ready', programs);
  await allSay('warm', programs);
  const results = await resultsOf(programs);
  for (const each of programs) each.goOn();
  for (const each of programs) await each.gone;
  const sum = (name) => results.reduce((all, each) => all + each[name], 0);
  return { samples: sum('samples'), rate: sum('rate') };
}

/** A round of a cluster takes a second before it begins. */
const fewer = (quick, usual) => (quick ? { rounds: 3, selves: 1 } : usual);

/** 64 writes of each kernel. */
const atOnce = (milliseconds, quick) => ({
  depth: 1,
  warmup: quick ? 100 : 400,
  milliseconds,
  count: Math.ceil((marksASecondMax * milliseconds) / 1000 / depth),
});

/** Raw multicasts of which so many are under way on each node, which need not be a whole number. */
async function rawInProportion(bytes, underWay, milliseconds) {
  const whole = Math.floor(underWay);
  const fewer = await rawFlood({ bytes, depth: whole }, milliseconds);
  const more = await rawFlood({ bytes, depth: whole + 1 }, milliseconds);
  const rate = fewer.rate + (underWay - whole) * (more.rate - fewer.rate);
  return { samples: fewer.samples + more.samples, rate, fewer: fewer.rate, more: more.rate };
}

async function atDepth64({ quick, rounds, selves }, daemons) {
  const key = 'marks_vs_cpg_rate';
  const milliseconds = quick ? 400 : 1500;
  const together = atOnce(milliseconds, quick);
  const subject = () => fromAllNodes(daemons, together, { batch: depth });
  const { counts } = await subject();
  const bytes = Math.round(counts.bytes / counts.multicasts);
  const underWay = counts.onTheWay / counts.multicasts;
  const figureOf = (one) => one.rate;
  const one = multicastBytes().mark;
  const limit = async () => {
    const many = await rawFlood({ bytes: one, depth }, milliseconds);
    return { ...(await rawInProportion(bytes, underWay, milliseconds)), many };
  };
  const compared = await compare({ ...fewer(quick, { rounds, selves }), subject, limit, figure: figureOf });
  const many = compared.limit.map((each) => each.many);
  const shown = { unit: 'marks/s', scale: 1e-3, figure: figureOf, of: key };
  const raw = { unit: 'multicasts/s', figure: figureOf, of: key };
  const note = `${place}; core log, two requests of 32 marks and a FLUSH at a time; ${madeOf(compared.subject)}`;
  const rawNote = (size, number) => `${size} bytes each, ${number} under way on each node, all nodes together`;
  const rates = ['fewer', 'more'].map((name) => figure(median(compared.limit.map((each) => each[name]))));
  const inProportion = `${figure(underWay)} (${rates.join(' and ')} with the whole numbers below and above that)`;
  const times = many.map((each, i) => figureOf(compared.subject[i]) / figureOf(each));
  return {
    results: [
      row('marks_64', compared.subject, { ...shown, note }),
      row('cpg', compared.limit, { ...raw, note: rawNote(bytes, inProportion) }),
      row('cpg_64', many, { ...raw, note: rawNote(one, depth) }),
      { key: 'marks_vs_cpg_64', value: median(times), unit: 'times faster', samples: times.length, rounds: times },
    ],
    ratios: { [key]: { value: compared.value, noise: compared.noise } },
  };
}

/** Forms of the same that have no aim. */
async function otherForms({ quick, rounds }, daemons, files) {
  if (quick) return { results: [] };
  const milliseconds = 1000;
  const results = [];
  const add = async (key, note, run) => {
    const taken = [];
    for (let round = 0; round < rounds; round++) taken.push(await run());
    const how = { unit: 'marks/s', scale: 1e-3, figure: (one) => one.rate, of: 'marks_vs_cpg_rate: other forms' };
    results.push(row(key, taken, { ...how, note: `${note}; ${madeOf(taken)}` }));
  };
  const apart = { depth, warmup: 10_000, milliseconds, count: (marksASecondMax * milliseconds) / 1000 };
  await add('marks_64_apart', 'core log, 64 marks with a FLUSH each', () => fromAllNodes(daemons, apart));
  if (files.reasonAgainst) return { results: [...results, { key: 'marks_64_disk', skipped: files.reasonAgainst }] };
  const file = files.file(regions);
  await add('marks_64_disk', `log on ${files.place}, written durably by one of the nodes; 64 writes at a time`, () => {
    files.wipe(file, regions);
    return fromAllNodes(daemons, { ...atOnce(milliseconds, quick), 'log-file': file }, { batch: depth });
  });
  return { results };
}

/** What the daemons needed for it, a mark. */
function madeOf(ones) {
  const mean = (name) => median(ones.map(({ counts, samples }) => samples / counts[name]));
  const cpu = median(ones.map((one) => one.cpu / 1000));
  const alone = median(ones.map(({ counts }) => counts.acknowledgements / counts.multicasts));
  return (
    `${figure(mean('multicasts'))} marks a multicast, ${figure(alone * 100)} % of these acknowledgements alone; ` +
    `${figure(cpu)} us of processor a mark in the three daemons`
  );
}

async function rawAnswers(bytes, answerBytes, { count, warmup }) {
  const group = newGroup();
  const common = { group, bytes, 'answer-bytes': answerBytes, members: nodes.length };
  const [asker, ...answerers] = await Promise.all(
    nodes.map((node) => startOn(node, 'cpg', { ...common, role: node === 1 ? 'ask' : 'answer', count, warmup })),
  );
  for (const answerer of answerers) await answerer.says('ready');
  await allSay('ready', [asker]);
  await allSay('warm', [asker]);
  const result = await asker.json();
  asker.goOn();
  await asker.gone;
  for (const answerer of answerers) await answerer.end();
  return result;
}

async function oneAtATime({ quick, rounds, selves }, daemons) {
  const key = 'ordered_mark_p50_vs_cpg_p50';
  const bytes = multicastBytes();
  const options = { count: quick ? 200 : 1500, warmup: quick ? 100 : 500 };
  const ofOne = async () => {
    const log = newLog();
    const idle = await Promise.all(nodes.slice(1).map((node) => startIdleKernel(node, log, { regions })));
    const kernel = await startKernel(1, log, { work: 'fresh', regions, ...options });
    await allSay('made', [kernel]);
    await kernel.says('warm');
    const [before, cpuBefore] = [await countsOf(daemons), cpuOf(daemons)];
    kernel.goOn();
    const result = await kernel.json();
    const [cpu, counts] = [cpuOf(daemons) - cpuBefore, risen(before, await countsOf(daemons))];
    await takeDown([kernel]);
    await takeDownIdle(idle);
    return { ...result, counts, cpu: cpu / options.count };
  };
  const compared = await compare({
    ...fewer(quick, { rounds, selves }),
    subject: ofOne,
    limit: () => rawAnswers(bytes.mark, bytes.acknowledgement, options),
    figure: p50,
  });
  const shown = { ...inMicroseconds, figure: (one) => one.p50 / 1e3, of: key };
  const note = `${place}; core log; ${madeOf(compared.subject)}`;
  const limitNote = `multicast of ${bytes.mark} bytes, answers of ${bytes.acknowledgement}`;
  return {
    results: [
      row('ordered_mark', compared.subject, { ...shown, note }),
      row('cpg_answered', compared.limit, { ...shown, note: limitNote }),
    ],
    ratios: { [key]: { value: compared.value, noise: compared.noise } },
  };
}

/**
 * Regions that are marked, flushed and cleared again and again, longer than marks stay of themselves. The log device is a real one: a
 * write would count as well.
 */
async function hotSet({ quick, rounds }, daemons, files) {
  const key = 'remark_messages';
  if (files.reasonAgainst) return { results: [{ key, skipped: files.reasonAgainst }] };
  const hot = 16;
  const milliseconds = quick ? 2500 : 4000;
  const small = 2 ** 16;
  const file = files.file(small);
  const taken = [];
  for (let round = 0; round < (quick ? 1 : rounds); round++) {
    files.wipe(file, small);
    const options = { work: 'rewrite', regions: small, depth: hot, warmup: 20_000, milliseconds };
    const count = (marksASecondMax * milliseconds) / 1000;
    taken.push(await fromAllNodes(daemons, { ...options, count, 'log-file': file }));
  }
  const made = taken.map(({ counts, samples }) => ({ samples, made: counts.multicasts + counts.writes }));
  const note =
    `${hot} regions a node, each marked, flushed and cleared ${figure(median(taken.map(({ samples }) => samples / hot / nodes.length)))} ` +
    `times in ${milliseconds / 1000} s; multicasts of any kind and writes of the log, all daemons together`;
  const result = row(key, made, { unit: 'messages and writes', figure: (one) => one.made, note });
  const rewritten = row('rewritten', taken, { unit: 'writes/s', scale: 1e-3, figure: (one) => one.rate });
  return {
    results: [result, rewritten],
    ratios: { [key]: { value: Math.max(...result.rounds), noise: 0 } },
  };
}

export async function run(context) {
  const reason = reasonAgainst();
  if (reason) return { skipped: reason, results: [], ratios: {} };
  const files = new LogFiles();
  const daemons = await startDaemons();
  try {
    const parts = [];
    for (const part of [atDepth64, oneAtATime, hotSet, otherForms]) parts.push(await part(context, daemons, files));
    return {
      results: parts.flatMap(({ results }) => results),
      ratios: Object.assign({}, ...parts.map(({ ratios }) => ratios ?? {})),
    };
  } finally {
    for (const daemon of daemons) await daemon.kill();
    files.remove();
  }
}
