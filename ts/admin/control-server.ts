/**
 * The control socket: a local stream socket, mode 0600, for root and for the user that the daemon runs as.
 *
 * Clients are let in by what the kernel says of them (SO_PEERCRED), not by the file's mode alone, and never more than
 * `clientsMax` at a time. A socket file that nobody listens on is taken over; one that somebody listens on is left alone,
 * and looked at again later: the daemon serves its kernel either way.
 */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { peerCredentials } from '../native/process.js';
import type { Answer, FromAdmin, Question } from './admin-messages.js';
import { ControlConnection } from './control-connection.js';
import type { EventBatch } from './event-ring.js';
import { type AdminCounters, batchEventsMax, errorLine, type Request, type StatusResult } from './protocol.js';
import { ResyncRates } from './resync-rates.js';

export const clientsMax = 16;
/** How often rates are looked at while logs are being resynced, and a socket that is not to be had is tried again. */
const lookMs = 5_000;
/** What a local socket's address has room for, with its NUL. */
const socketPathBytesMax = 108;

export interface ControlServerOptions {
  readonly socketPath: string;
  readonly restarts: number;
  readonly ask: (question: Question) => Promise<Answer>;
  readonly tell: (message: Exclude<FromAdmin, { kind: 'ask' }>) => void;
}

export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #connections = new Set<ControlConnection>();
  readonly #rates = new ResyncRates();
  readonly #counters = { requests: 0, malformed: 0, denied: 0, busy: 0, slow: 0 };
  readonly #timer: NodeJS.Timeout;
  #server: Server | null = null;
  #problem = '';
  #closed = false;

  constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#open();
    this.#timer = setInterval(() => this.#onTimer(), lookMs);
  }

  /** There are new events: followers get them. */
  news(): void {
    for (const connection of this.#connections) connection.news();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const connection of this.#connections) connection.destroy();
    // Removes the socket's file too.
    this.#server?.close();
    this.#server = null;
  }

  #onTimer(): void {
    if (this.#server === null) this.#open();
    else this.#ask({ what: 'status' }).catch(() => {});
  }

  async #open(): Promise<void> {
    const { socketPath } = this.#options;
    if (Buffer.byteLength(socketPath) >= socketPathBytesMax) {
      this.#fail(`its path is longer than ${socketPathBytesMax - 1} bytes`);
      return;
    }
    const taken = await someoneListens(socketPath);
    if (this.#closed || this.#server !== null) return;
    if (taken) {
      this.#fail('another daemon listens there');
      return;
    }
    removeSocket(socketPath);
    const server = createServer((socket) => this.#accept(socket));
    this.#server = server;
    server.on('error', (error) => {
      if (this.#server !== server) return;
      this.#server = null;
      server.close();
      this.#fail(error.message);
    });
    server.listen(socketPath, () => {
      try {
        chmodSync(socketPath, 0o600);
      } catch (error) {
        this.#fail(error instanceof Error ? error.message : String(error));
      }
      this.#problem = '';
      this.#options.tell({ kind: 'listening', path: socketPath });
    });
  }

  /** Said once and not at every attempt. */
  #fail(text: string): void {
    if (text === this.#problem) return;
    this.#problem = text;
    const fields = { path: this.#options.socketPath, text };
    this.#options.tell({ kind: 'report', level: 'warning', event: 'control-socket-failed', fields });
  }

  #accept(socket: Socket): void {
    const denied = this.#denied(socket);
    if (denied !== null) {
      this.#counters.denied += 1;
      this.#options.tell({
        kind: 'report',
        level: 'warning',
        event: 'control-client-denied',
        fields: { text: denied },
      });
      turnAway(socket, errorLine(0, { code: 'denied', text: denied }));
      return;
    }
    if (this.#connections.size >= clientsMax) {
      this.#counters.busy += 1;
      turnAway(socket, errorLine(0, { code: 'busy', text: `${clientsMax} clients are connected already` }));
      return;
    }
    const connection = new ControlConnection(socket, {
      answer: (request) => this.#answer(request),
      events: (since, stream, max) => this.#events(since, stream, max),
      counted: (what) => {
        this.#counters[what] += 1;
        if (what !== 'slow') return;
        const fields = { text: 'a client did not read its answer and was dropped' };
        this.#options.tell({ kind: 'report', level: 'notice', event: 'control-client-dropped', fields });
      },
      closed: (gone) => this.#connections.delete(gone),
    });
    this.#connections.add(connection);
  }

  /** Why this client may not talk to us; null: it may. */
  #denied(socket: Socket): string | null {
    const { _handle: handle } = socket as unknown as { _handle: { fd: number } | null };
    try {
      const peer = peerCredentials(handle?.fd ?? -1);
      if (peer.uid === 0 || peer.uid === process.geteuid?.()) return null;
      return `uid ${peer.uid} (pid ${peer.pid}) is neither root nor the daemon's own user`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #answer(request: Request): Promise<unknown> {
    switch (request.command) {
      case 'status':
        return this.#status();
      case 'events':
        return this.#events(request.since, request.stream, batchEventsMax);
      case 'region': {
        const { uuid, luid, region } = request;
        const answer = await this.#ask({ what: 'region', uuid, luid, region });
        if (answer.what !== 'region') throw new Error('the daemon answered another question');
        return { region: answer.region, fresh: answer.fresh };
      }
      case 'fence-confirm': {
        const answer = await this.#ask({ what: 'confirm', node: request.node });
        if (answer.what !== 'confirm') throw new Error('the daemon answered another question');
        return { refusal: answer.refusal };
      }
    }
  }

  async #status(): Promise<StatusResult> {
    const answer = await this.#ask({ what: 'status' });
    if (answer.what !== 'status') throw new Error('the daemon answered another question');
    const { snapshot } = answer;
    return { ...snapshot, rates: this.#rates.rates(snapshot.status?.logs ?? []), admin: this.#adminCounters() };
  }

  #adminCounters(): AdminCounters {
    return { restarts: this.#options.restarts, clients: this.#connections.size, ...this.#counters };
  }

  async #events(since: number, stream: string, max: number): Promise<EventBatch> {
    const answer = await this.#ask({ what: 'events', since, stream, max });
    if (answer.what !== 'events') throw new Error('the daemon answered another question');
    return answer.batch;
  }

  async #ask(question: Question): Promise<Answer> {
    const answer = await this.#options.ask(question);
    if (answer.what === 'status' && answer.snapshot.fresh) {
      this.#rates.look(answer.snapshot.status?.logs ?? [], performance.now());
    }
    return answer;
  }
}

function turnAway(socket: Socket, line: string): void {
  socket.on('error', () => socket.destroy());
  socket.end(line, () => socket.destroy());
}

/** False too when there is no such file, or none that a connection can be made to. */
function someoneListens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.on('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
}

/** Removes a socket that nobody listens on. Anything else is left: `listen` then says what is in the way. */
function removeSocket(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // Not there, or not ours to look at: `listen` has the better message.
  }
}
