#!/usr/bin/env node
/**
 * A simulated kernel as a process: dm-mirror's client side over a daemon's local socket (`lockstepd --simulated-kernel
 * PATH`), with two or more legs in files, users that write, and figures as lines of JSON on standard output.
 *
 *   --socket PATH          the daemon's socket
 *   --leg FILE             a leg; twice or more
 *   --size BYTES           length of the mirror (suffix K, M, G)
 *   --region-size SECTORS  1024
 *   --log-device FILE      a disk log on it; without: a core log
 *   --uuid NAME            name of the log
 *   --integrated-flush     marks ride in FLUSH
 *   --nosync               the legs are equal to begin with
 *   --resume               the legs hold something: never claims that they are equal (after a power cut)
 *   --rate N --depth N     writes a second (0: as fast as can be), writes under way at most (0 writers: none)
 *   --hot N --wide SHARE   regions that most writes go to, share of writes that go anywhere
 *   --share I/N            this host is number I, from 1, of N that share legs and log: each writes sectors of its own
 *   --seconds S            stop after that long (0: run until a signal)
 *   --until-synced         stop when every region is in sync
 *   --seed N
 *
 * SIGTERM and SIGINT: the users stop, the mirror is suspended and removed, exit code 0. Exit code 1: the mirror could not
 * be made, writes failed, or a sector does not hold what was written last. SIGHUP: the users stop, and
 * nothing else. SIGUSR2: the mirror is suspended and resumed. A SIGKILL is a power cut for the legs: what their caches held is lost.
 */
import { parseArgs } from 'node:util';
import { FileMirror, type Load } from '../sim/file-mirror.js';
import type { Blocking } from '../sim/kernel/threads.js';
import type { LogTable } from '../sim/kernel/userspace-log.js';
import type { KernelObserver } from '../sim/kernel/world.js';
import { KernelProcess } from '../sim/kernel-process.js';
import { FileLegs } from '../sim/leg-files.js';
import { Prng } from '../sim/prng.js';

const progressMs = 250;
const reachMs = 250;
const reachTriesMax = 120;
const sectorBytes = 512;

interface Options {
  readonly socket: string;
  readonly legs: readonly string[];
  readonly bytes: number;
  readonly table: LogTable;
  readonly load: Load;
  readonly seconds: number;
  readonly untilSynced: boolean;
  readonly seed: number;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      socket: { type: 'string' },
      leg: { type: 'string', multiple: true },
      size: { type: 'string', default: '64M' },
      'region-size': { type: 'string', default: '1024' },
      'log-device': { type: 'string' },
      uuid: { type: 'string', default: 'LVM-simulated' },
      'integrated-flush': { type: 'boolean', default: false },
      nosync: { type: 'boolean', default: false },
      resume: { type: 'boolean', default: false },
      rate: { type: 'string', default: '0' },
      depth: { type: 'string', default: '16' },
      hot: { type: 'string', default: '12' },
      wide: { type: 'string', default: '0.05' },
      share: { type: 'string', default: '1/1' },
      seconds: { type: 'string', default: '0' },
      'until-synced': { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
    },
  });
  const legs = values.leg ?? [];
  if (values.socket === undefined) throw new Error('--socket is missing');
  if (legs.length < 2) throw new Error('a mirror needs two --leg');
  const bytes = readBytes(values.size);
  const log = values['log-device'] === undefined ? 'clustered-core' : `clustered-disk ${values['log-device']}`;
  const word = values.nosync && !values.resume ? ' nosync' : '';
  return {
    socket: values.socket,
    legs,
    bytes,
    table: {
      uuid: values.uuid,
      arguments: `${log} ${readNumber('region-size', values['region-size'])}${word}`,
      integratedFlush: values['integrated-flush'],
      sectors: bytes / sectorBytes,
    },
    load: {
      rate: readNumber('rate', values.rate),
      depth: readNumber('depth', values.depth),
      sectorsMax: 8,
      hotRegions: readNumber('hot', values.hot),
      wideShare: readNumber('wide', values.wide),
      ...readShare(values.share),
    },
    seconds: readNumber('seconds', values.seconds),
    untilSynced: values['until-synced'],
    seed: readNumber('seed', values.seed),
  };
}

function readNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} ${text}: not a number`);
  return value;
}

function readShare(text: string): { host: number; hosts: number } {
  const match = /^(\d{1,3})\/(\d{1,3})$/.exec(text);
  const [host, hosts] = [Number(match?.[1]), Number(match?.[2])];
  if (!(host >= 1 && host <= hosts)) throw new Error(`--share ${text}: not a host's number and the number of hosts`);
  return { host: host - 1, hosts };
}

function readBytes(text: string): number {
  const match = /^(\d+)([KMG]?)$/.exec(text);
  const unit = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[match?.[2] ?? ''];
  const bytes = Number(match?.[1]) * (unit ?? Number.NaN);
  if (!(bytes > 0) || bytes % sectorBytes !== 0) throw new Error(`--size ${text}: not a size in whole sectors`);
  return bytes;
}

function say(event: string, fields: object): void {
  process.stdout.write(`${JSON.stringify({ event, ms: Math.round(performance.now()), ...fields })}\n`);
}

/** Counts what the kernel does, for the figures. */
class Counter implements KernelObserver {
  toAllLegs = 0;
  toDefaultLeg = 0;
  recovered = new Set<number>();
  failedSteps = 0;
  writeIssued: KernelObserver['writeIssued'] = (_log, _write, toAllLegs) => {
    if (toAllLegs) this.toAllLegs += 1;
    else this.toDefaultLeg += 1;
  };
  writeEnded: KernelObserver['writeEnded'] = () => {};
  recoveryStarted: KernelObserver['recoveryStarted'] = () => {};
  recoveryEnded: KernelObserver['recoveryEnded'] = (_log, region, ok) => {
    if (ok) this.recovered.add(region);
  };
  questionFailed: KernelObserver['questionFailed'] = (_log, region, { error }) =>
    say('question-failed', { region, error });
  flushFailed: KernelObserver['flushFailed'] = (log) => say('flush-failed', { uuid: log.uuid });
  lifeCycle: KernelObserver['lifeCycle'] = (log, step, error) => {
    if (error !== 0) this.failedSteps += 1;
    say('life-cycle', { step, error, uuid: log.uuid });
  };
  say: KernelObserver['say'] = (text) => say('note', { text });
}

function report(event: string, mirror: FileMirror, kernel: KernelProcess, counter: Counter, legs: FileLegs): void {
  const { marks, clears, flushes, questions } = kernel.kernel.client.named;
  const { resent, again, reconnected, unheard } = kernel.kernel.client.counters;
  say(event, {
    ...mirror.progress(),
    regionsResynced: counter.recovered.size,
    writesToAllLegs: counter.toAllLegs,
    writesToDefaultLeg: counter.toDefaultLeg,
    marks,
    clears,
    flushes,
    questions,
    resent,
    again,
    reconnected,
    unheard,
    slowestMs: Math.round(mirror.slowestMs),
    cachedSectors: legs.cachedSectors,
    connected: kernel.connected,
  });
}

function blocking<T>(kernel: KernelProcess, command: Blocking<T>): Promise<T> {
  return new Promise((resolve) => {
    kernel.kernel.run(
      (function* () {
        resolve(yield* command);
      })(),
    );
  });
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The daemon may still be starting: the first constructor is tried for a while. */
async function activate(kernel: KernelProcess, mirror: FileMirror): Promise<number> {
  let error = -1;
  for (let attempt = 0; attempt < reachTriesMax; attempt++) {
    error = await blocking(kernel, mirror.activate());
    if (error !== -3) return error;
    await sleep(reachMs);
  }
  return error;
}

async function main(): Promise<number> {
  const options = readOptions();
  const prng = new Prng(options.seed);
  const counter = new Counter();
  const kernel = new KernelProcess(options.socket, counter, prng.fork());
  const legs = new FileLegs(options.legs, options.bytes, prng.fork());
  // Stamps go on over restarts: the clock is the only thing that outlives a power cut.
  const parts = { prng: prng.fork(), load: options.load, firstStamp: Date.now() * 1000 };
  const mirror = new FileMirror(kernel.kernel, legs, options.table, parts);
  let stop: () => void = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  const error = await activate(kernel, mirror);
  if (error !== 0) {
    say('failed', { error });
    kernel.close();
    return 1;
  }
  say('active', { ...mirror.progress() });
  process.on('SIGUSR2', () => {
    void blocking(kernel, mirror.restart()).then((result) => say('restarted', { error: result }));
  });
  process.once('SIGHUP', () => {
    void mirror.stopUsers().then(() => say('quiet', { ...mirror.progress() }));
  });
  const timer = setInterval(() => {
    report('progress', mirror, kernel, counter, legs);
    if (options.untilSynced && mirror.device.live?.inSync === true) stop();
  }, progressMs);
  if (options.load.depth > 0) mirror.startUsers();
  if (options.seconds > 0) setTimeout(stop, options.seconds * 1000).unref();
  await stopped;
  await mirror.stopUsers();
  clearInterval(timer);
  report('stopping', mirror, kernel, counter, legs);
  const stale = mirror.staleSectors();
  if (stale.length > 0) say('stale', { sectors: stale.length, first: stale.slice(0, 20) });
  await blocking(kernel, mirror.retire());
  report('done', mirror, kernel, counter, legs);
  kernel.close();
  legs.close();
  return mirror.errors > 0 || stale.length > 0 ? 1 : 0;
}

try {
  // Not `exitCode`: timers of requests that were answered long ago would keep the process for 15 s.
  process.exit(await main());
} catch (error) {
  console.error(`simulated-kernel: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(2);
}
