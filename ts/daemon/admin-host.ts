/**
 * The daemon's side of the admin worker: starts it, starts it again when it dies, answers what it asks, and keeps the
 * history of events, which outlives it.
 *
 * The worker is a guest: everything here is bounded by what it asked for, nothing waits for it, and its death is an event
 * (`admin-died`, then `admin-restarted`), not an error of the daemon. Each further death doubles the pause before the next
 * start, up to half a minute; a worker that lived for a minute begins anew.
 */
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { AdminOptions, Answer, FromAdmin, Question, ToAdmin } from '../admin/admin-messages.js';
import type { DaemonStatus, RegionStatus } from '../admin/daemon-status.js';
import { EventRing } from '../admin/event-ring.js';
import type { ToEngine } from './engine-messages.js';
import type { LogEntry, LogLevel } from './log-entry.js';

/** A status of 4096 logs takes some megabytes on its way out; all else is small. */
const adminLimits = { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 8, stackSizeMb: 2 };
const restartMsMin = 100;
const restartMsMax = 30_000;
const longLifeMs = 60_000;
/** An engine that has not answered by then is busy or gone; the asker gets what was known before. */
const engineMsMax = 2_000;
/** A status this young is answered again: with thousands of logs one costs the engine some milliseconds, whoever asks. */
const statusMsYoung = 250;
/** Most questions of a kind under way; more than there are clients. */
const asksMax = 64;

/** The control socket of a daemon: beside its folder of state records. */
export function controlSocketPath(stateDirectory: string): string {
  return join(dirname(stateDirectory), 'control.sock');
}

export interface AdminHostOptions {
  readonly entry: URL;
  readonly stateDirectory: string;
  readonly tellEngine: (message: ToEngine) => void;
  readonly report: (level: LogLevel, event: string, fields: LogEntry['fields']) => void;
}

/** A question that the engine answers for one client. */
interface PendingAsk {
  readonly worker: Worker;
  readonly askId: number;
  readonly timer: NodeJS.Timeout;
}

export class AdminHost {
  readonly #options: AdminHostOptions;
  readonly #events = new EventRing(`${process.pid}-${Date.now()}`);
  #worker: Worker | null = null;
  #restartMs = restartMsMin;
  #restarts = 0;
  #restartTimer: NodeJS.Timeout | null = null;
  #closed = false;
  /** The worker has not been told of events behind this one: it asks when it wants them. */
  #newsSent = false;
  #status: DaemonStatus | null = null;
  #statusAtMs = 0;
  /** Status questions of the worker that wait for the engine. */
  #statusAsks: number[] = [];
  #statusTimer: NodeJS.Timeout | null = null;
  /** Ids below 0, so that they are never the daemon's own. */
  #engineId = 0;
  #statusEngineId = 0;
  readonly #regions = new Map<number, PendingAsk>();
  readonly #confirmations = new Map<number, PendingAsk>();

  constructor(options: AdminHostOptions) {
    this.#options = options;
  }

  start(): void {
    if (!this.#closed) this.#startWorker();
  }

  /** Every entry of the daemon's log, before any limit of how often it is written. */
  record(entry: LogEntry): void {
    this.#events.push({ time: new Date().toISOString(), ...entry });
    if (this.#newsSent || this.#worker === null) return;
    this.#newsSent = true;
    this.#tell(this.#worker, { kind: 'news' });
  }

  /** A status of the engine; true when it was asked for here. */
  tookStatus(id: number, status: DaemonStatus): boolean {
    this.#status = status;
    this.#statusAtMs = performance.now();
    if (id !== this.#statusEngineId) return id < 0;
    this.#answerStatus(true);
    return true;
  }

  /** An answer about a region. */
  tookRegion(id: number, region: RegionStatus | null): void {
    const pending = this.#regions.get(id);
    if (pending === undefined) return;
    this.#regions.delete(id);
    clearTimeout(pending.timer);
    this.#answer(pending.worker, pending.askId, { what: 'region', region, fresh: true });
  }

  /** An answer about a node that somebody says is dead. */
  tookConfirmation(id: number, refusal: string): void {
    const pending = this.#confirmations.get(id);
    if (pending === undefined) return;
    this.#confirmations.delete(id);
    clearTimeout(pending.timer);
    this.#answer(pending.worker, pending.askId, { what: 'confirm', refusal });
  }

  /** Ends the worker; waits for it, so that its socket is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#restartTimer !== null) clearTimeout(this.#restartTimer);
    if (this.#statusTimer !== null) clearTimeout(this.#statusTimer);
    this.#forgetAsks();
    const worker = this.#worker;
    if (worker === null) return;
    const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    this.#tell(worker, { kind: 'stop' });
    const hung = setTimeout(() => worker.terminate(), engineMsMax);
    await gone;
    clearTimeout(hung);
  }

  #startWorker(): void {
    const socketPath = controlSocketPath(this.#options.stateDirectory);
    const workerData: AdminOptions = { socketPath, restarts: this.#restarts };
    const worker = new Worker(this.#options.entry, { workerData, resourceLimits: adminLimits, name: 'admin' });
    const startedMs = performance.now();
    let reason = 'it ended by itself';
    this.#worker = worker;
    this.#newsSent = false;
    worker.on('message', (message: FromAdmin) => {
      if (this.#worker === worker) this.#onMessage(worker, message);
    });
    worker.on('error', (error) => {
      reason = error instanceof Error ? error.message : String(error);
    });
    worker.on('exit', () => {
      if (this.#worker !== worker) return;
      this.#worker = null;
      this.#dropAsks();
      if (!this.#closed) this.#onDeath(reason, performance.now() - startedMs);
    });
  }

  #onDeath(reason: string, livedMs: number): void {
    if (livedMs >= longLifeMs) this.#restartMs = restartMsMin;
    const pauseMs = this.#restartMs;
    this.#restartMs = Math.min(restartMsMax, this.#restartMs * 2);
    this.#restarts += 1;
    const text = `${reason}; requests of the kernel go on`;
    this.#options.report('warning', 'admin-died', { text, restarts: this.#restarts, nextMs: pauseMs });
    this.#restartTimer = setTimeout(() => this.#startWorker(), pauseMs);
  }

  #onMessage(worker: Worker, message: FromAdmin): void {
    switch (message.kind) {
      case 'ask':
        this.#onAsk(worker, message.id, message.question);
        break;
      case 'listening':
        if (this.#restarts > 0) {
          this.#options.report('notice', 'admin-restarted', { path: message.path, restarts: this.#restarts });
        } else {
          this.#options.report('info', 'control-socket', { path: message.path });
        }
        break;
      case 'report':
        this.#options.report(message.level, message.event, message.fields);
        break;
    }
  }

  #onAsk(worker: Worker, id: number, question: Question): void {
    switch (question.what) {
      case 'status':
        this.#statusAsks.push(id);
        this.#askStatus();
        break;
      case 'events':
        this.#newsSent = false;
        this.#answer(worker, id, {
          what: 'events',
          batch: this.#events.behind(question.since, question.max, question.stream),
        });
        break;
      case 'region':
        this.#askRegion(worker, id, question);
        break;
      case 'confirm':
        this.#askConfirmation(worker, id, question.node);
        break;
    }
  }

  /** One question to the engine at a time, for all that wait. */
  #askStatus(): void {
    if (this.#statusTimer !== null) return;
    if (this.#status !== null && performance.now() - this.#statusAtMs < statusMsYoung) {
      this.#answerStatus(true);
      return;
    }
    this.#engineId -= 1;
    this.#statusEngineId = this.#engineId;
    this.#options.tellEngine({ kind: 'status', id: this.#engineId });
    this.#statusTimer = setTimeout(() => this.#answerStatus(false), engineMsMax);
  }

  #answerStatus(fresh: boolean): void {
    if (this.#statusTimer !== null) clearTimeout(this.#statusTimer);
    this.#statusTimer = null;
    const asks = this.#statusAsks;
    this.#statusAsks = [];
    const ageMs = this.#status === null ? 0 : Math.round(performance.now() - this.#statusAtMs);
    const snapshot = { status: this.#status, ageMs, fresh };
    if (this.#worker === null) return;
    for (const id of asks) this.#answer(this.#worker, id, { what: 'status', snapshot });
  }

  #askRegion(worker: Worker, askId: number, question: Extract<Question, { what: 'region' }>): void {
    const late: Answer = { what: 'region', region: null, fresh: false };
    if (this.#regions.size >= asksMax) {
      this.#answer(worker, askId, late);
      return;
    }
    this.#engineId -= 1;
    const id = this.#engineId;
    const timer = setTimeout(() => {
      if (this.#regions.delete(id)) this.#answer(worker, askId, late);
    }, engineMsMax);
    this.#regions.set(id, { worker, askId, timer });
    const { uuid, luid, region } = question;
    this.#options.tellEngine({ kind: 'region', id, uuid, luid, region });
  }

  #askConfirmation(worker: Worker, askId: number, node: number): void {
    const refuse = (refusal: string) => this.#answer(worker, askId, { what: 'confirm', refusal });
    if (this.#confirmations.size >= asksMax) {
      refuse('too many questions at once');
      return;
    }
    this.#engineId -= 1;
    const id = this.#engineId;
    const timer = setTimeout(() => {
      if (this.#confirmations.delete(id)) refuse('the engine does not answer: whether it did so is not known');
    }, engineMsMax);
    this.#confirmations.set(id, { worker, askId, timer });
    this.#options.tellEngine({ kind: 'dead', id, node, boot: null, by: 'an operator' });
  }

  /** Who asked is gone. */
  #dropAsks(): void {
    this.#statusAsks = [];
    this.#forgetAsks();
  }

  #forgetAsks(): void {
    for (const asks of [this.#regions, this.#confirmations]) {
      for (const { timer } of asks.values()) clearTimeout(timer);
      asks.clear();
    }
  }

  #answer(worker: Worker, id: number, answer: Answer): void {
    if (this.#worker === worker) this.#tell(worker, { kind: 'answer', id, answer });
  }

  #tell(worker: Worker, message: ToAdmin): void {
    worker.postMessage(message);
  }
}
