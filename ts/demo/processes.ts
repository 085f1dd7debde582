/**
 * The demonstration's two processes: the daemon, and the simulated kernel with its users and legs. Started, listened to
 * (lines of JSON), killed; nothing here knows the story.
 *
 * They are in process groups of their own, so that Ctrl-C on the terminal reaches only the demonstration, which ends
 * them itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** What the simulated kernel prints about itself; only what is used here. */
export interface KernelFigures {
  readonly event: string;
  readonly writes: number;
  readonly underWay: number;
  readonly errors: number;
  readonly regions: number;
  readonly regionsResynced: number;
  readonly reconnected: number;
  readonly resent: number;
  readonly slowestMs: number;
  readonly cachedSectors: number;
}

const nothingYet: KernelFigures = {
  event: 'none',
  writes: 0,
  underWay: 0,
  errors: 0,
  regions: 0,
  regionsResynced: 0,
  reconnected: 0,
  resent: 0,
  slowestMs: 0,
  cachedSectors: 0,
};

/** What the daemon's status file says; only what is used here. */
export interface DaemonFigures {
  readonly marks: number;
  readonly marksWithoutIo: number;
  readonly logBytes: number;
  /** Of the one log: regions that its log device must call dirty, and regions whose legs are known to be equal. */
  readonly dirty: number;
  readonly inSync: number;
}

const program = (name: string) => fileURLToPath(new URL(`../bin/${name}.js`, import.meta.url));
const complaintsMax = 4_000;

class Process {
  readonly name: string;
  /** Resolves to the exit code, or -1 after a signal. */
  readonly exited: Promise<number>;
  complaints = '';
  running = true;
  /** It was told to end, so its end is no accident. */
  mayEnd = false;
  readonly #child: ChildProcess;

  constructor(name: string, folder: string, args: readonly string[], onLine: (line: string) => void) {
    this.name = name;
    this.#child = spawn(process.execPath, [program(name), ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const { stdout, stderr } = this.#child;
    if (stdout !== null) createInterface({ input: stdout }).on('line', onLine);
    stderr?.on('data', (chunk: Buffer) => {
      this.complaints = (this.complaints + chunk.toString()).slice(-complaintsMax);
    });
    this.exited = new Promise((resolve) => {
      this.#child.on('error', (error) => {
        this.complaints += error.message;
        this.running = false;
        resolve(-1);
      });
      this.#child.on('close', (code) => {
        this.running = false;
        resolve(code ?? -1);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  signal(name: NodeJS.Signals): void {
    this.mayEnd = true;
    if (this.running) this.#child.kill(name);
  }
}

export interface DaemonPlaces {
  readonly folder: string;
  readonly socket: string;
  readonly stateFolder: string;
  readonly statusFile: string;
}

export class DaemonProcess extends Process {
  readonly #statusFile: string;

  constructor(places: DaemonPlaces, bootId: string) {
    const options = ['--transport', 'local', '--boot-id', bootId, '--status-interval-ms', '200'];
    const paths = ['--simulated-kernel', places.socket, '--state-dir', places.stateFolder];
    super('lockstepd', places.folder, [...options, ...paths, '--status-file', places.statusFile], () => {});
    this.#statusFile = places.statusFile;
  }

  /** Figures of this daemon process; null while it has told of no log. */
  figures(): DaemonFigures | null {
    let status: DaemonStatusText;
    try {
      status = JSON.parse(readFileSync(this.#statusFile, 'utf8'));
    } catch {
      return null;
    }
    const { marks, marksWithoutIo, devices } = status.counters;
    const log = status.logs[0];
    if (status.pid !== this.pid || log === undefined) return null;
    return { marks, marksWithoutIo, logBytes: devices.bytesWritten, dirty: log.dirtyCount, inSync: log.inSyncCount };
  }
}

interface DaemonStatusText {
  readonly pid: number;
  readonly logs: readonly { readonly dirtyCount: number; readonly inSyncCount: number }[];
  readonly counters: {
    readonly marks: number;
    readonly marksWithoutIo: number;
    readonly devices: { readonly bytesWritten: number };
  };
}

export interface KernelOptions {
  readonly folder: string;
  readonly socket: string;
  readonly legs: readonly string[];
  readonly logDevice: string;
  readonly bytes: number;
  readonly regionSectors: number;
  readonly seed: number;
  /** More words of its command line. */
  readonly words: readonly string[];
}

export class KernelProcess extends Process {
  last: KernelFigures = nothingYet;

  constructor(options: KernelOptions) {
    const paths = ['--socket', options.socket, '--log-device', options.logDevice];
    const legs = options.legs.flatMap((leg) => ['--leg', leg]);
    const shape = ['--size', String(options.bytes), '--region-size', String(options.regionSectors)];
    const words = [...paths, ...legs, ...shape, '--seed', String(options.seed), ...options.words];
    super('simulated-kernel', options.folder, words, (line) => this.#take(line));
  }

  #take(line: string): void {
    const figures = JSON.parse(line) as KernelFigures;
    // Lines that tell of one event carry no figures.
    if (typeof figures.writes === 'number') this.last = { ...nothingYet, ...figures };
    else if (figures.event === 'failed') this.complaints += line;
  }
}
