#!/usr/bin/env node
/**
 * `npm run sim`: runs the simulator over many seeds.
 *
 *   --seeds N         how many (200; 1 when only --seed is given)
 *   --seed S          the first seed (1)
 *   --fresh           a first seed of chance, printed
 *   --hosts N|A..B    hosts that share the mirrors, N or from A to B by the seed (1)
 *   --jobs J          workers (as many as processors, at most 2); 0: none, all in this thread
 *   --restarts        daemons of a cluster restart recovery by suspending devices (R11)
 *   --until-failure   stop at the first seed that fails
 *   --quiet           no table at the end
 *   --events N        events that a failure prints (40)
 *
 * Exit code 0: all runs clean and, with 500 seeds of one host or 200 of several (of chance: 600, or 400 with restarts), all that
 * those must have met has happened.
 * 1: a seed failed. 2: wrong arguments. 3: something never happened.
 */
import { randomInt } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { type HostRange, hostsOf } from '../sim/hosts-of.js';
import { type RunResult, runSeed } from '../sim/run.js';
import type { Chunk } from '../sim/run-worker.js';
import { Summary } from '../sim/summary.js';

const failuresPrintedMax = 5;
const chunkSeeds = 20;
/** When the first failure ends it all: what is begun beside it is wasted. */
const huntedSeeds = 3;
/** A run makes much that is soon forgotten: with the usual room for it every seventh moment is spent clearing it. */
const resourceLimits = { maxYoungGenerationSizeMb: 96 };
const hostsMax = 32;

interface Options {
  readonly first: number;
  /** The first one was drawn. */
  readonly fresh: boolean;
  readonly seeds: number;
  readonly jobs: number;
  readonly untilFailure: boolean;
  readonly quiet: boolean;
  readonly events: number;
  readonly restarts: boolean;
  readonly hosts: HostRange | null;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      seed: { type: 'string' },
      fresh: { type: 'boolean', default: false },
      jobs: { type: 'string' },
      'until-failure': { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
      restarts: { type: 'boolean', default: false },
      events: { type: 'string', default: '40' },
      hosts: { type: 'string' },
    },
  });
  const seeds = readNumber('seeds', values.seeds ?? (values.seed === undefined ? '200' : '1'));
  const first = values.fresh ? randomInt(2 ** 40) : readNumber('seed', values.seed ?? '1');
  const jobs = readNumber('jobs', values.jobs ?? String(Math.min(2, availableParallelism())));
  return {
    first,
    fresh: values.fresh,
    seeds,
    jobs,
    untilFailure: values['until-failure'],
    quiet: values.quiet,
    restarts: values.restarts,
    events: readNumber('events', values.events),
    hosts: values.hosts === undefined ? null : readHosts(values.hosts),
  };
}

function readNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} ${text}: not a whole number`);
  return value;
}

function readHosts(text: string): HostRange {
  const [first = '', last = first] = text.split('..');
  const low = readNumber('hosts', first);
  const high = readNumber('hosts', last);
  if (low < 1 || high > hostsMax || low > high) throw new Error(`--hosts ${text}: 1 to ${hostsMax}, as N or A..B`);
  return { low, high };
}

function printFailure(result: RunResult): void {
  const failure = result.failure;
  if (failure === null) return;
  console.log(`\nseed ${result.seed} failed after ${result.requests} requests and ${result.virtualMs.toFixed(0)} ms`);
  console.log(`violation: ${failure.text}`);
  const more = result.restarts ? ' --restarts' : '';
  console.log(`replay: npm run sim -- --seed ${result.seed} --hosts ${result.hosts}${more}`);
  for (const line of failure.events) console.log(line);
}

async function runAll(options: Options, summary: Summary): Promise<void> {
  const { events, restarts } = options;
  const take = (result: RunResult) => {
    summary.add(result);
    if (result.failure !== null && summary.failures.length <= failuresPrintedMax) printFailure(result);
  };
  const over = () => options.untilFailure && summary.failures.length > 0;
  if (options.jobs === 0 || options.seeds <= chunkSeeds) {
    for (let i = 0; i < options.seeds && !over(); i++) {
      const seed = options.first + i;
      take(runSeed(seed, { events, restarts, hosts: hostsOf(seed, options.hosts) }));
    }
    return;
  }
  let next = 0;
  const size = options.untilFailure ? huntedSeeds : chunkSeeds;
  const chunk = (): Chunk | null => {
    if (next >= options.seeds || over()) return null;
    const first = next;
    next = Math.min(options.seeds, next + size);
    return { first: options.first + first, count: next - first, hosts: options.hosts, events, restarts };
  };
  await Promise.all(Array.from({ length: options.jobs }, () => runWorker(chunk, take)));
}

/** One worker, until there is no chunk left. */
function runWorker(chunk: () => Chunk | null, take: (result: RunResult) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('../sim/run-worker.js', import.meta.url), { resourceLimits });
    const feed = () => {
      const work = chunk();
      if (work !== null) worker.postMessage(work);
      else void worker.terminate().then(() => resolve());
    };
    worker.on('message', (results: RunResult[]) => {
      for (const result of results) take(result);
      feed();
    });
    worker.on('error', reject);
    feed();
  });
}

async function main(): Promise<number> {
  let options: Options;
  try {
    options = readOptions();
  } catch (error) {
    console.error(`sim: ${error instanceof Error ? error.message : String(error)}`);
    return 2;
  }
  const startMs = performance.now();
  const summary = new Summary();
  console.log(`seeds ${options.first} to ${options.first + options.seeds - 1}, ${options.jobs} jobs`);
  await runAll(options, summary);
  const seconds = (performance.now() - startMs) / 1000;
  if (!options.quiet) for (const line of summary.lines()) console.log(line);
  console.log(`${(summary.runs / seconds).toFixed(1)} seeds/s, ${summary.failures.length} failed`);
  if (summary.failures.length > 0) return 1;
  const missing = summary.missing(options.fresh);
  for (const name of missing) console.log(`never happened: ${name}`);
  return missing.length > 0 ? 3 : 0;
}

process.exitCode = await main();
