/**
 * The demonstration's story: a new mirror is synchronised, users write, the daemon is killed under them (act 1), the
 * power goes (act 2). Every figure is read from the processes or from the files; the verdict is drawn elsewhere.
 *
 * What is simulated, and what is not. The daemon is the real one, over its real request frames, state records and log
 * writer; a SIGKILL of it is a SIGKILL. The kernel's mirror target is simulated, as a process. The legs are files behind a
 * write cache in that process' memory, so that its death loses what was not flushed, on each leg something else. The log
 * device is a file that the daemon opens with O_DIRECT where the file system allows it: a killed daemon leaves there what
 * it had written, but a file does not lose writes that reached it without a barrier. Losing and tearing those is the
 * business of the simulator (`npm run sim`), whose disks do it thousands of times a minute.
 */

import type { BulkPool } from '../pool/bulk-pool.js';
import type { CompareResult } from '../pool/bulk-tasks.js';
import { markedRegions } from './log-bits.js';
import type { Places } from './places.js';
import type { DaemonFigures, DaemonProcess, KernelProcess } from './processes.js';
import type { ProgressLine } from './progress-line.js';
import type { MirrorShape, Stage } from './stage.js';
import { type Figures, whole } from './verdict.js';

export interface StoryOptions extends MirrorShape {
  /** How long users write undisturbed, and again after the daemon has come back. */
  readonly loadMs: number;
}

export interface StoryParts {
  readonly places: Places;
  readonly stage: Stage;
  readonly pool: BulkPool;
  readonly line: ProgressLine;
}

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

const sectorBytes = 512;
/** Users of the mirror, each with one write under way. */
const writersCount = 16;
const users = ['--depth', String(writersCount), '--hot', '16', '--wide', '0.01'];
/** How long the daemon stays away in act 1. */
const awayMs = 1_000;
const cutsMax = 8;

export async function tellStory(parts: StoryParts, options: StoryOptions): Promise<Figures> {
  const figures = noFigures(Math.ceil(options.bytes / (options.regionSectors * sectorBytes)));
  await makeMirror(parts, options, figures);
  const kernel = parts.stage.startKernel(users);
  await usersWrite(parts, options, figures, kernel);
  await killDaemon(parts, options, figures, kernel);
  await cutPower(parts, options, figures);
  await resyncAndCompare(parts, options, figures);
  return figures;
}

async function makeMirror(parts: StoryParts, options: StoryOptions, figures: Figures): Promise<void> {
  const { line, places, stage } = parts;
  const { bytes, regionSectors } = options;
  line.headline('A new mirror');
  line.say(
    `  two legs of ${bytes / 2 ** 20} MiB in ${figures.regions} regions of ${regionSectors / 2} KiB, and a log device:`,
  );
  line.say(`  files in ${places.folder}`);
  await places.make(bytes);
  const daemon = stage.startDaemon();
  line.say(`  lockstepd runs as pid ${daemon.pid}; the simulated kernel is a process of its own`);
  line.say('  leg A holds data and leg B does not yet, so everything is copied once:');
  const { regionsResynced } = await stage.resync();
  line.say(`  in sync, ${regionsResynced} of ${figures.regions} regions copied; the mirror is taken down in order`);
}

async function usersWrite(
  parts: StoryParts,
  options: StoryOptions,
  figures: Mutable<Figures>,
  kernel: KernelProcess,
): Promise<void> {
  const { line, stage } = parts;
  line.headline('Users write');
  line.say(`  ${writersCount} users at once, on the simulated kernel, pid ${kernel.pid}`);
  const daemon = theDaemon(stage);
  await stage.until('the first writes', () => kernel.last.writes > 0 && daemon.figures() !== null);
  const began = { ms: performance.now(), kernel: kernel.last, daemon: figuresOf(daemon) };
  await stage.run(options.loadMs);
  const daemonNow = figuresOf(daemon);
  figures.writes = kernel.last.writes - began.kernel.writes;
  figures.loadSeconds = (performance.now() - began.ms) / 1000;
  figures.marks = daemonNow.marks - began.daemon.marks;
  figures.marksWithoutIo = daemonNow.marksWithoutIo - began.daemon.marksWithoutIo;
  figures.logBytes = daemonNow.logBytes - began.daemon.logBytes;
  line.say(
    `  ${whole(figures.writes)} writes done; of ${whole(figures.marks)} marks ${whole(figures.marksWithoutIo)} needed no log write`,
  );
}

async function killDaemon(
  parts: StoryParts,
  options: StoryOptions,
  figures: Mutable<Figures>,
  kernel: KernelProcess,
): Promise<void> {
  const { line, stage } = parts;
  line.headline('Act 1: the daemon is killed while users write');
  const resynced = kernel.last.regionsResynced;
  const daemon = theDaemon(stage);
  const killedMs = performance.now();
  daemon.signal('SIGKILL');
  await daemon.exited;
  line.say(`  SIGKILL to lockstepd, pid ${daemon.pid}; the kernel holds the writes that need it and reports no error`);
  await stage.run(awayMs);
  line.say(`  started again as pid ${stage.startDaemon().pid}; its marks are in its state records`);
  line.say('  (it has the kernel repeat what died with the old one; a kernel that found nobody asks again after 2 s)');
  const stalled = kernel.last.writes;
  await stage.until('the first writes after the restart', () => kernel.last.writes > stalled + writersCount);
  line.end();
  const seconds = ((performance.now() - killedMs) / 1000).toFixed(1);
  line.say(`  writes went on ${seconds} s after the kill`);
  await stage.run(options.loadMs);
  figures.restartResynced = kernel.last.regionsResynced - resynced;
  line.say(`  ${kernel.last.errors} writes failed, ${figures.restartResynced} regions had to be resynced`);
}

async function cutPower(parts: StoryParts, options: StoryOptions, figures: Mutable<Figures>): Promise<void> {
  const { line, stage } = parts;
  line.headline('Act 2: power cut');
  for (;;) {
    const kernel = theKernel(stage);
    await stage.until('writes in flight', () => kernel.last.underWay > 0 && kernel.last.cachedSectors > 0);
    await stage.cutPower();
    figures.cuts += 1;
    figures.ioErrors += kernel.last.errors;
    line.say(
      `  kernel and daemon die at once with ${kernel.last.underWay} writes in flight; the state records go with them`,
    );
    lookAtLegs(figures, await compareLegs(parts, options), markedRegions(parts.places.logDevice, figures.regions));
    line.say(
      `  the legs differ in ${whole(figures.sectorsDifferingBefore)} sectors, in ${figures.regionsDifferingBefore} regions; ` +
        `the log names ${figures.regionsMarked} regions`,
    );
    if (figures.sectorsDifferingBefore > 0 || figures.cuts === cutsMax) return;
    line.say('  equal by chance, which shows nothing: the host comes back, and once more');
    stage.startDaemon();
    figures.ioErrors += (await stage.resync(['--resume'])).errors;
    stage.startKernel(users);
    await stage.run(options.loadMs);
  }
}

function lookAtLegs(figures: Mutable<Figures>, compared: CompareResult, marked: ReadonlySet<number>): void {
  const differing = compared.regionCounts.flatMap((count, region) => (count > 0 ? [region] : []));
  figures.sectorsDifferingBefore = compared.sectorsDiffering;
  figures.regionsDifferingBefore = differing.length;
  figures.differingButClean = differing.filter((region) => !marked.has(region)).length;
  figures.regionsMarked = marked.size;
}

async function resyncAndCompare(parts: StoryParts, options: StoryOptions, figures: Mutable<Figures>): Promise<void> {
  const { line, stage } = parts;
  const daemon = stage.startDaemon();
  line.say(`  the host is back: lockstepd, pid ${daemon.pid}, has nothing but the log device to go by`);
  const done = await stage.resync(['--resume']);
  figures.regionsResynced = done.regionsResynced;
  figures.ioErrors += done.errors;
  line.say(`  ${done.regionsResynced} regions resynced, ${figures.regions - done.regionsResynced} left alone`);
  daemon.signal('SIGTERM');
  await stage.until('the end of the daemon', () => !daemon.running);
  const compared = await compareLegs(parts, options);
  figures.sectorsCompared = compared.sectorsCompared;
  figures.sectorsDifferingAfter = compared.sectorsDiffering;
  line.say(
    `  legs compared in full: ${whole(compared.sectorsCompared)} sectors, ${whole(compared.sectorsDiffering)} differ`,
  );
}

function compareLegs(parts: StoryParts, options: StoryOptions): Promise<CompareResult> {
  const [source, target] = parts.places.legs;
  const regionBytes = options.regionSectors * sectorBytes;
  return parts.pool.compare({ source, target, offset: 0, length: options.bytes, regionBytes });
}

function figuresOf(daemon: DaemonProcess): DaemonFigures {
  const figures = daemon.figures();
  if (figures === null) throw new Error('the daemon tells of no log');
  return figures;
}

function theDaemon(stage: Stage): DaemonProcess {
  if (stage.daemon === null) throw new Error('the daemon was never started');
  return stage.daemon;
}

function theKernel(stage: Stage): KernelProcess {
  if (stage.kernel === null) throw new Error('the kernel was never started');
  return stage.kernel;
}

function noFigures(regions: number): Mutable<Figures> {
  return {
    writes: 0,
    loadSeconds: 0,
    ioErrors: 0,
    marks: 0,
    marksWithoutIo: 0,
    logBytes: 0,
    regions,
    restartResynced: 0,
    cuts: 0,
    sectorsDifferingBefore: 0,
    regionsDifferingBefore: 0,
    differingButClean: 0,
    regionsMarked: 0,
    regionsResynced: 0,
    sectorsCompared: 0,
    sectorsDifferingAfter: 0,
  };
}
