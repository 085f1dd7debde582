/**
 * What a mark that must be durable costs, on a file of a real disk. All of it on one core, one operation at a time.
 *
 * | key                        | subject                                | against                                     |
 * | -------------------------- | -------------------------------------- | ------------------------------------------- |
 * | flush_vs_c                 | lockstepd: MARK + FLUSH of a fresh region | peers/responder.c with the same write inline |
 * | submit_to_callback_vs_raw  | the addon: one changed block           | peers/raw_write.c: pwritev2(RWF_DSYNC)      |
 * | flush_growth               | lockstepd, 2^24 regions                | lockstepd, 2^12 regions                     |
 * | bytes_per_changed_block    | what the kernel counts as written      | blocks changed, one a FLUSH                 |
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDaemon, startResponder } from '../daemons.mjs';
import { inMicroseconds, load, p50 } from '../load.mjs';
import { LogFiles, leastBytes, logBlocks } from '../log-files.mjs';
import { compare, row, unrestOf } from '../measure.mjs';
import { answerOf, oneCore, program, root } from '../programs.mjs';
import { figure } from '../text-report.mjs';

export const title = 'durable marks, on a file of a real disk';

const regions = 2 ** 20;
const small = 2 ** 12;
const large = 2 ** 24;
const shown = { ...inMicroseconds, figure: (one) => one.p50 / 1e3 };

/** Where other work has the processors a write ends when the scheduler says so, the bare one, too (`unrestOf`). */
function sides(key, [subject, limit], compared, note) {
  const unrest = unrestOf(compared.limit);
  const busy = unrest > 0 ? `the machine was busy: the median is ${figure(unrest + 1)} times the fastest` : undefined;
  return {
    results: [
      row(subject, compared.subject, { ...shown, note, of: key }),
      row(limit, compared.limit, { ...shown, note: busy, of: key }),
    ],
    ratios: { [key]: { value: compared.value, noise: Math.max(compared.noise, unrest) } },
  };
}

/** Bytes that the process handed to the block layer, as the kernel counts them. */
function writtenBytes(pid) {
  return Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))[1]);
}

/**
 * One round of fresh marks on a log that is empty before. A mark that finds its region marked needs no write and would
 * look fast: the kernel's count of written bytes must show one block a FLUSH.
 */
async function freshMarks(answerer, files, file, options) {
  files.wipe(file, options.regions);
  const before = writtenBytes(answerer.pid);
  const taken = await load(oneCore, answerer, { ...options, work: 'fresh', 'log-file': file });
  const bytes = writtenBytes(answerer.pid) - before;
  const expected = (options.count + options.warmup) * leastBytes(options.regions);
  if (bytes < expected) throw new Error(`${bytes} bytes were written where fresh marks need ${expected}`);
  return { ...taken, bytes };
}

/** V8 has compiled what a request takes, on the subject; the other side has the same requests. */
async function warmUp(...answerers) {
  for (const answerer of answerers) await load(oneCore, answerer, { work: 'remark', count: 1, warmup: 8000 });
}

async function againstResponder({ quick, rounds, selves }, files) {
  const [ours, theirs] = [files.file(regions), files.file(regions)];
  const subject = await startDaemon(oneCore);
  const floor = await startResponder(oneCore, { log: theirs, blocks: logBlocks(regions) });
  await warmUp(subject, floor);
  const options = { regions, count: quick ? 300 : 2000, warmup: 100 };
  const compared = await compare({
    rounds,
    selves,
    subject: () => freshMarks(subject, files, ours, options),
    limit: () => freshMarks(floor, files, theirs, options),
    figure: p50,
  });
  await subject.end();
  await floor.end();
  const note = `MARK + FLUSH of one fresh region, core ${oneCore}, logs on ${files.place}`;
  return sides('flush_vs_c', ['flush_lockstepd', 'flush_responder'], compared, note);
}

async function againstRawWrite({ quick, rounds, selves }, files) {
  const file = files.file(regions);
  const blocks = regions / 8 / 4096;
  // A process of its own every round: what it runs has to be compiled each time.
  const [count, warmup] = quick ? [300, 300] : [2000, 2000];
  const submit = [join(root, 'bench', 'submit-block.mjs'), file, ...[regions, count, warmup].map(String)];
  const raw = ['--file', file, '--blocks', blocks, '--count', count, '--warmup', warmup].map(String);
  const compared = await compare({
    rounds,
    selves,
    subject: () => answerOf(oneCore, process.execPath, submit),
    limit: () => answerOf(oneCore, program('raw_write'), raw),
    figure: p50,
  });
  const note = `4 KiB, core ${oneCore}, writer ${compared.subject[0].writer}`;
  return sides('submit_to_callback_vs_raw', ['submit_to_callback', 'pwritev2_dsync'], compared, note);
}

async function growth({ quick, rounds, selves }, files) {
  const [many, few] = [files.file(large), files.file(small)];
  const subject = await startDaemon(oneCore);
  await warmUp(subject);
  const options = { count: quick ? 300 : 2000, warmup: 100 };
  const compared = await compare({
    rounds,
    selves,
    subject: () => freshMarks(subject, files, many, { ...options, regions: large }),
    limit: () => freshMarks(subject, files, few, { ...options, regions: small }),
    figure: p50,
  });
  await subject.end();
  return sides('flush_growth', ['flush_2e24_regions', 'flush_2e12_regions'], compared, 'the same fresh marks');
}

/** Two loads that differ in their number of marks only: making and closing the log cancel out. */
async function bytesPerBlock({ quick, rounds }, files) {
  const file = files.file(regions);
  const subject = await startDaemon(oneCore);
  const marks = quick ? 200 : 500;
  const written = async (count) => (await freshMarks(subject, files, file, { regions, count, warmup: 10 })).bytes;
  const taken = [];
  for (let round = 0; round < rounds; round++) {
    const once = await written(marks);
    taken.push({ bytes: ((await written(marks * 2)) - once) / marks, samples: marks });
  }
  await subject.end();
  const note = 'write_bytes of the process over fresh marks, one changed block each';
  const key = 'bytes_per_changed_block';
  const result = row('written_a_block', taken, { unit: 'bytes', figure: (one) => one.bytes, note, of: key });
  const spread = Math.max(...result.rounds) / Math.min(...result.rounds) - 1;
  return { results: [result], ratios: { [key]: { value: result.value, noise: spread } } };
}

export async function run(context) {
  const files = new LogFiles();
  try {
    if (files.reasonAgainst) return { skipped: files.reasonAgainst, results: [], ratios: {} };
    const parts = [];
    for (const part of [againstResponder, againstRawWrite, growth, bytesPerBlock])
      parts.push(await part(context, files));
    return {
      results: parts.flatMap(({ results }) => results),
      ratios: Object.assign({}, ...parts.map(({ ratios }) => ratios)),
    };
  } finally {
    files.remove();
  }
}
