/**
 * The two processes of the demonstration as the story handles them: started on the same files again and again, waited
 * for with a limit on hangs, shown in the live line, killed. What happens when is the story's business.
 */
import { randomUUID } from 'node:crypto';
import type { Places } from './places.js';
import { DaemonProcess, type KernelFigures, KernelProcess } from './processes.js';
import type { ProgressLine } from './progress-line.js';
import { whole } from './verdict.js';

export interface MirrorShape {
  readonly bytes: number;
  readonly regionSectors: number;
}

const sampleMs = 100;
/** A limit on hangs: no wait of the story should take a tenth of it. */
const hangMs = 300_000;
/** Rates are those of this stretch of time. */
const rateMs = 1_000;

interface Sample {
  readonly ms: number;
  readonly writes: number;
  readonly inSync: number;
}

export class Stage {
  daemon: DaemonProcess | null = null;
  kernel: KernelProcess | null = null;
  readonly #places: Places;
  readonly #shape: MirrorShape;
  readonly #line: ProgressLine;
  #seed: number;
  #bootId = randomUUID();
  #samples: Sample[] = [];

  constructor(places: Places, shape: MirrorShape, line: ProgressLine, seed: number) {
    this.#places = places;
    this.#shape = shape;
    this.#line = line;
    this.#seed = seed;
  }

  startDaemon(): DaemonProcess {
    this.daemon = new DaemonProcess(this.#places, this.#bootId);
    return this.daemon;
  }

  startKernel(words: readonly string[]): KernelProcess {
    const { folder, socket, legs, logName } = this.#places;
    this.#seed += 1;
    this.#samples = [];
    this.kernel = new KernelProcess({
      folder,
      socket,
      legs,
      logDevice: logName,
      ...this.#shape,
      seed: this.#seed,
      words,
    });
    return this.kernel;
  }

  /**
   * Kernel and daemon die in the same instant, and a tmpfs forgets. The host comes back under another boot id, so
   * records of the old boot would be ignored even if they were there.
   */
  async cutPower(): Promise<void> {
    this.kill();
    await Promise.all([this.kernel?.exited, this.daemon?.exited]);
    this.#places.forgetState();
    this.#bootId = randomUUID();
  }

  /** Ends what runs. Safe at any time. */
  kill(): void {
    this.kernel?.signal('SIGKILL');
    this.daemon?.signal('SIGKILL');
  }

  /** Runs a kernel without users until every region is in sync and the mirror is taken down in order. */
  async resync(words: readonly string[] = []): Promise<KernelFigures> {
    const kernel = this.startKernel(['--depth', '0', '--until-synced', ...words]);
    kernel.mayEnd = true;
    await this.until('the resync', () => !kernel.running);
    this.#line.end();
    if ((await kernel.exited) !== 0) {
      const daemon = this.daemon?.complaints.trim() ?? '';
      throw new Error(`the simulated kernel failed: ${kernel.complaints.trim()}\nlockstepd: ${daemon}`);
    }
    return kernel.last;
  }

  /** Lets things run for a while. */
  async run(ms: number): Promise<void> {
    const endMs = performance.now() + ms;
    await this.until('the load', () => performance.now() >= endMs);
    this.#line.end();
  }

  /** Looks again and again until it is so. A process that ends unasked is an error, and so is a wait without end. */
  async until(what: string, done: () => boolean): Promise<void> {
    const endMs = performance.now() + hangMs;
    while (!done()) {
      for (const process of [this.kernel, this.daemon]) {
        if (process !== null && !process.running && !process.mayEnd) {
          throw new Error(`${process.name} ended by itself: ${process.complaints.trim()}`);
        }
      }
      if (performance.now() > endMs) throw new Error(`hung: ${what} took more than ${hangMs / 1000} s`);
      this.#show();
      await new Promise((resolve) => setTimeout(resolve, sampleMs));
    }
  }

  #show(): void {
    const { kernel, daemon } = this;
    if (kernel === null || daemon === null || !kernel.running || kernel.last.regions === 0) return;
    const { writes, errors, regions } = kernel.last;
    const figures = daemon.figures();
    const nowMs = performance.now();
    if (figures === null || !daemon.running) {
      if (!daemon.running) this.#line.show(`${whole(writes)} writes, ${errors} errors | the daemon is down`, nowMs);
      return;
    }
    const { dirty, inSync } = figures;
    this.#samples.push({ ms: nowMs, writes, inSync });
    while ((this.#samples[0]?.ms ?? nowMs) < nowMs - rateMs) this.#samples.shift();
    const first = this.#samples[0] ?? { ms: nowMs, writes, inSync };
    const seconds = (nowMs - first.ms) / 1000;
    const perSecond = (count: number) => (seconds > 0 ? count / seconds : 0);
    const resyncRate = perSecond(inSync - first.inSync);
    const percent = Math.floor((100 * inSync) / regions);
    const left =
      inSync >= regions ? '' : `, ${resyncRate > 0 ? `${Math.ceil((regions - inSync) / resyncRate)} s` : '?'} left`;
    this.#line.show(
      `${whole(writes)} writes, ${whole(perSecond(writes - first.writes))}/s, ${errors} errors | ` +
        `${dirty} of ${regions} regions marked | in sync ${percent} %${left}`,
      nowMs,
    );
  }
}
