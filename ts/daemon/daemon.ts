/**
 * The main thread of the daemon: start order, signals, exit codes. It serves no request and reads no device; the
 * engine is a worker, and whatever this thread waits for (a terminal, a status file's disk) holds up nobody.
 *
 * Start: pid files, the IO flusher flag (before any thread, so that all inherit it), the memory lock, the engine.
 * Ready is when the engine says so: its socket is open and what it restored is on the log devices again. The admin worker
 * (admin-host.ts) starts after that; whatever becomes of it, the daemon goes on.
 *
 * End: SIGTERM, SIGINT, SIGQUIT and SIGHUP ask the engine to stop. As with cmirrord it refuses while a log exists, since a
 * mirror would hang; the daemon says so and stays. A killed daemon loses nothing (R2), so that, and not a second
 * signal, is how a restart under load ends the old process.
 *
 * An uncaught error in the engine ends the process with code 1: the state records make that safe, going on with half a
 * state machine would not be.
 */
import { Worker } from 'node:worker_threads';
import {
  lockMemory,
  lockPidFile,
  notifySystemd,
  type PidFileLock,
  pidFileHolder,
  setIoFlusher,
} from '../native/process.js';
import { AdminHost } from './admin-host.js';
import { type DaemonConfig, ExitCode } from './config.js';
import { dumpEntries } from './dump.js';
import type { FromEngine, ToEngine } from './engine-messages.js';
import { fenceSource } from './fence-sources.js';
import { FenceWatch } from './fence-watch.js';
import { connectorFile, logModuleListens } from './host-facts.js';
import type { LogEntry, LogLevel, LogSink } from './log-entry.js';
import { logWriter } from './log-writer.js';
import type { LostHost } from './lost-nodes.js';
import { RateLimitedLog } from './rate-limit.js';
import type { DaemonStatus } from './status.js';
import { StatusFile } from './status-file.js';

const stopSignals = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'] as const;
/** Fixed heap: requests allocate nothing, so this holds log objects, timers and status. */
const engineLimits = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16, stackSizeMb: 4 };
/** An entry more often than this is counted instead of written. */
const logLimit = { burst: 20, windowMs: 10_000 };

/** A worker that hangs in a system call does not end; the process then does, with everything in it. */
const terminateMsMax = 5_000;

/** What a test may put in the place of the real thing. */
export interface DaemonParts {
  readonly engineEntry: URL;
  readonly adminEntry: URL;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Logged before anything else. */
  readonly startEntries: readonly LogEntry[];
  /** Called once, when the daemon serves. */
  readonly onReady: () => void;
  /** Called with every entry that is logged. */
  readonly onEntry: (entry: LogEntry) => void;
}

/** Runs until the daemon ends; the result is the exit code. */
export function runDaemon(config: DaemonConfig, parts: Partial<DaemonParts> = {}): Promise<ExitCode> {
  const daemon = new Daemon(config, {
    engineEntry: parts.engineEntry ?? new URL('../daemon/engine-entry.js', import.meta.url),
    adminEntry: parts.adminEntry ?? new URL('../admin/admin-entry.js', import.meta.url),
    stdout: parts.stdout ?? writerOf(process.stdout),
    stderr: parts.stderr ?? writerOf(process.stderr),
    startEntries: parts.startEntries ?? [],
    onReady: parts.onReady ?? (() => {}),
    onEntry: parts.onEntry ?? (() => {}),
  });
  return daemon.run();
}

/** A reader that goes away takes its lines with it, and not the daemon. */
function writerOf(stream: NodeJS.WriteStream): (text: string) => void {
  stream.on('error', () => {});
  return (text) => stream.write(text);
}

class Daemon {
  readonly #config: DaemonConfig;
  readonly #parts: DaemonParts;
  readonly #log: RateLimitedLog;
  /** Past the rate limit: for what a person asked for. */
  readonly #sink: LogSink;
  readonly #statusFile: StatusFile | null;
  #pidFiles: PidFileLock[] = [];
  #engine: Worker | null = null;
  #admin: AdminHost | null = null;
  readonly #fences: FenceWatch | null;
  #timer: NodeJS.Timeout | null = null;
  #finish: (code: ExitCode) => void = () => {};
  #ended = false;
  #statusId = 0;
  /** Statuses that SIGUSR1 asked for and that go to stdout. */
  readonly #printIds = new Set<number>();

  constructor(config: DaemonConfig, parts: DaemonParts) {
    this.#config = config;
    this.#parts = parts;
    const write = logWriter({
      target: config.logTarget,
      verbose: config.verbose,
      ident: config.personality,
      stdout: parts.stdout,
      stderr: parts.stderr,
    });
    this.#log = new RateLimitedLog((entry) => {
      parts.onEntry(entry);
      write(entry);
    }, logLimit);
    this.#sink = write;
    this.#statusFile = config.statusFile === null ? null : new StatusFile(config.statusFile);
    this.#fences = this.#fenceWatch();
  }

  /** Programs are run from here and not from the engine, which waits for nobody. */
  #fenceWatch(): FenceWatch | null {
    const { fencing, fencingIntervalMs } = this.#config;
    if (fencing === null) return null;
    return new FenceWatch(
      fenceSource(fencing.kind, fencing.command),
      {
        dead: ({ node, boot }, text) => this.#tell({ kind: 'dead', id: null, node, boot, by: text }),
        unclear: ({ node, name }, text) => this.#report('warning', 'fencing-unclear', { node, name, text }),
      },
      fencingIntervalMs,
    );
  }

  run(): Promise<ExitCode> {
    return new Promise((resolve) => {
      this.#finish = resolve;
      for (const entry of this.#parts.startEntries) this.#write(entry);
      this.#watchSignals();
      if (!this.#lockPidFiles()) {
        this.#end(ExitCode.usage);
        return;
      }
      this.#prepareProcess();
      this.#admin = this.#adminHost();
      this.#startEngine();
      this.#startTimer();
    });
  }

  #lockPidFiles(): boolean {
    for (const path of this.#config.pidFiles) {
      try {
        this.#pidFiles.push(lockPidFile(path));
      } catch (error) {
        const held = errorCode(error) === 'EAGAIN';
        this.#report('error', held ? 'pid-file-held' : 'pid-file-failed', {
          path,
          text: this.#pidFileText(path, held, error),
        });
        return false;
      }
    }
    return true;
  }

  #pidFileText(path: string, held: boolean, error: unknown): string {
    if (this.#config.personality === 'cmirrord') {
      return `Cannot lock lockfile [${path}], ${errorText(error).replace(`cannot lock ${path}: `, '')}`;
    }
    return held ? `another daemon answers this kernel${holderText(path)}` : errorText(error);
  }

  #prepareProcess(): void {
    // An ordinary user may not, and needs not: no write-back of the host waits for a simulated kernel.
    const real = this.#config.kernel.kind === 'connector';
    if (real && !logModuleListens(connectorFile())) {
      const text = 'the kernel does not speak dmlogusr yet, so no mirror can ask: modprobe dm-log-userspace';
      this.#report('warning', 'module-missing', { text });
    }
    const errno = setIoFlusher();
    if (errno !== 0) this.#report(real ? 'warning' : 'debug', 'io-flusher-refused', { errno });
    const memory = lockMemory();
    const whole = memory.failures === 0;
    this.#report(whole || !real ? 'debug' : 'warning', whole ? 'memory-locked' : 'memory-lock-incomplete', {
      ...memory,
    });
  }

  /** Its worker starts when the engine serves: nothing of it is between a restart and the first answer. */
  #adminHost(): AdminHost {
    return new AdminHost({
      entry: this.#parts.adminEntry,
      stateDirectory: this.#config.stateDirectory,
      tellEngine: (message) => this.#tell(message),
      report: (level, event, fields) => this.#report(level, event, fields),
    });
  }

  /** For good: with its listener gone a second signal would end the process before its pid files are removed. */
  #watchSignals(): void {
    for (const signal of stopSignals) process.on(signal, this.#onStopSignal);
    process.on('SIGUSR1', this.#onStatusSignal);
    if (this.#config.personality === 'cmirrord') process.on('SIGUSR2', this.#onStatusSignal);
  }

  #startEngine(): void {
    const engine = new Worker(this.#parts.engineEntry, {
      workerData: this.#config,
      resourceLimits: engineLimits,
      name: 'engine',
    });
    this.#engine = engine;
    engine.on('message', (message: FromEngine) => this.#onEngineMessage(message));
    engine.on('error', (error) => {
      this.#report('error', 'engine-died', { text: errorText(error), stack: errorStack(error) });
      this.#end(ExitCode.failed);
    });
    engine.on('exit', (code) => {
      if (this.#ended) return;
      this.#report('error', 'engine-died', { text: 'the engine worker ended by itself', code });
      this.#end(ExitCode.failed);
    });
  }

  #onEngineMessage(message: FromEngine): void {
    switch (message.kind) {
      case 'log':
        this.#write(message.entry);
        break;
      case 'ready':
        this.#report('notice', 'ready', { restoredLogs: message.restoredLogs });
        this.#notify('READY=1');
        this.#saysWhoConfirms();
        this.#admin?.start();
        this.#parts.onReady();
        break;
      case 'failed':
        this.#report('error', 'start-failed', { text: message.text });
        this.#end(message.exitCode);
        break;
      case 'region':
        this.#admin?.tookRegion(message.id, message.region);
        break;
      case 'status':
        if (this.#admin?.tookStatus(message.id, message.status) === true) break;
        this.#onStatus(message.id, message.status);
        break;
      case 'lost':
        this.#onLost(message.host);
        break;
      case 'settled':
        this.#fences?.settled(message.node);
        break;
      case 'confirmed':
        this.#admin?.tookConfirmation(message.id, message.refusal);
        break;
      case 'refused':
        this.#report('warning', 'stop-refused', { text: 'Cluster logs exist.  Refusing to exit.', logs: message.logs });
        break;
      case 'stopped':
        this.#report('notice', 'stopped', {});
        this.#notify('STOPPING=1');
        this.#end(ExitCode.ok);
        break;
    }
  }

  #saysWhoConfirms(): void {
    if (this.#config.transport !== 'corosync' || this.#fences !== null) return;
    const text = 'nobody says whether a lost host is dead: its regions stay marked until "lockstep fence-confirm NODE"';
    this.#report('notice', 'no-fencing', { text });
  }

  #onLost(host: LostHost): void {
    if (this.#fences !== null) {
      this.#fences.lost(host);
      return;
    }
    const { node, name } = host;
    const text = `no fencing is configured: what it marked stays marked until it is back, or until "lockstep fence-confirm ${node}"`;
    this.#report('warning', 'host-lost', { node, name, text });
  }

  readonly #onStopSignal = (): void => {
    this.#tell({ kind: 'stop' });
  };

  readonly #onStatusSignal = (): void => {
    this.#printIds.add(this.#askStatus());
  };

  #onStatus(id: number, status: DaemonStatus): void {
    const text = `${JSON.stringify(status)}\n`;
    if (this.#printIds.delete(id)) this.#print(status, text);
    const problem = this.#statusFile?.write(text) ?? null;
    if (problem !== null) this.#report('warning', 'status-file-failed', { text: problem });
  }

  /** What SIGUSR1 asked for. cmirrord's is a dump in its log, at error level so that no filter swallows it. */
  #print(status: DaemonStatus, text: string): void {
    if (this.#config.personality === 'cmirrord') for (const entry of dumpEntries(status)) this.#sink(entry);
    else this.#parts.stdout(text);
  }

  #startTimer(): void {
    const { statusIntervalMs } = this.#config;
    const intervalMs = statusIntervalMs > 0 ? statusIntervalMs : logLimit.windowMs;
    this.#timer = setInterval(() => {
      this.#log.flush(performance.now());
      if (statusIntervalMs > 0) this.#askStatus();
    }, intervalMs);
  }

  #askStatus(): number {
    this.#statusId += 1;
    this.#tell({ kind: 'status', id: this.#statusId });
    return this.#statusId;
  }

  #tell(message: ToEngine): void {
    this.#engine?.postMessage(message);
  }

  #notify(text: string): void {
    try {
      notifySystemd(text);
    } catch (error) {
      this.#report('warning', 'notify-failed', { text: errorText(error) });
    }
  }

  #report(level: LogLevel, event: string, fields: LogEntry['fields']): void {
    this.#write({ level, event, fields });
  }

  #write(entry: LogEntry): void {
    this.#admin?.record(entry);
    this.#log.write(entry, performance.now());
  }

  /** First call wins: an engine that reports a failure and then exits must not turn code 3 into code 1. */
  #end(code: ExitCode): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#log.end();
    this.#fences?.close();
    const ended = Promise.all([this.#engine?.terminate(), this.#admin?.close()]);
    const hung = new Promise((resolve) => setTimeout(resolve, terminateMsMax));
    Promise.race([ended, hung]).then(() => {
      for (const lock of this.#pidFiles.reverse()) lock.close();
      this.#finish(code);
    });
  }
}

/** `, pid 123`; nothing where that one has gone by now. Only for a file that this process could not lock. */
function holderText(path: string): string {
  try {
    const pid = pidFileHolder(path);
    return pid > 0 ? `, pid ${pid}` : '';
  } catch {
    return '';
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function errorStack(error: unknown): string {
  return error instanceof Error ? (error.stack ?? '') : '';
}
