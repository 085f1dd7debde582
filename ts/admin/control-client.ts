/**
 * A client of the control socket: asks, waits with a limit, follows events.
 *
 * Every way not to reach the daemon becomes a `NoDaemonError` that says what to do about it.
 */
import { connect, type Socket } from 'node:net';
import type { RegionStatus } from './daemon-status.js';
import type { EventBatch } from './event-ring.js';
import { type ProtocolError, protocolVersion, type Response, type StatusResult } from './protocol.js';

/** The daemon gives its engine 2 s; what takes longer than this does not come. */
const answerMsMax = 10_000;

/** No daemon, or none that talks to us. */
export class NoDaemonError extends Error {}
/** The daemon did not accept a request. */
export class RequestError extends Error {}

export class ControlClient {
  readonly #socket: Socket;
  readonly #path: string;
  #text = '';
  #id = 0;
  #take: (response: Response) => void = () => {};
  #fail: (error: Error) => void = () => {};

  private constructor(socket: Socket, path: string) {
    this.#socket = socket;
    this.#path = path;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#onData(text));
    socket.on('error', (error) => this.#fail(new NoDaemonError(`${path}: ${error.message}`)));
    socket.on('close', () => this.#fail(new NoDaemonError(`the daemon at ${path} has gone away`)));
  }

  /** @throws NoDaemonError */
  static connect(path: string): Promise<ControlClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once('error', (error) => reject(new NoDaemonError(reasonOf(error, path))));
      socket.once('connect', () => {
        socket.removeAllListeners('error');
        resolve(new ControlClient(socket, path));
      });
    });
  }

  close(): void {
    this.#fail = () => {};
    this.#socket.destroy();
  }

  status(): Promise<StatusResult> {
    return this.#ask({ command: 'status' }) as Promise<StatusResult>;
  }

  events(since: number, stream = ''): Promise<EventBatch> {
    return this.#ask({ command: 'events', since, stream }) as Promise<EventBatch>;
  }

  region(uuid: string, luid: string, region: number): Promise<{ region: RegionStatus | null; fresh: boolean }> {
    return this.#ask({ command: 'region', uuid, luid, region }) as Promise<{
      region: RegionStatus | null;
      fresh: boolean;
    }>;
  }

  /** Says that a node is dead; resolves with why that cannot be, or with nothing. */
  async confirmDead(node: number): Promise<string> {
    const { refusal } = (await this.#ask({ command: 'fence-confirm', node })) as { refusal: string };
    return refusal;
  }

  /** Hands over every batch behind `since` of `stream`; ends by rejection when the daemon goes away. */
  follow(since: number, stream: string, take: (batch: EventBatch) => void): Promise<never> {
    return new Promise((_resolve, reject) => {
      this.#fail = reject;
      this.#take = (response) => {
        if (response.ok) take(response.result as EventBatch);
        else reject(refusal(response.error));
      };
      this.#send({ command: 'events', since, stream, follow: true });
    });
  }

  #ask(request: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new NoDaemonError(`the daemon at ${this.#path} has not answered for ${answerMsMax / 1000} s`));
      }, answerMsMax);
      const settled = () => clearTimeout(timer);
      this.#fail = (error) => {
        settled();
        reject(error);
      };
      this.#take = (response) => {
        settled();
        if (response.ok) resolve(response.result);
        else reject(refusal(response.error));
      };
      this.#send(request);
    });
  }

  #send(request: object): void {
    this.#id += 1;
    this.#socket.write(`${JSON.stringify({ v: protocolVersion, id: this.#id, ...request })}\n`);
  }

  #onData(text: string): void {
    this.#text += text;
    let end = this.#text.indexOf('\n');
    while (end >= 0) {
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 1);
      this.#onLine(line);
      end = this.#text.indexOf('\n');
    }
  }

  #onLine(line: string): void {
    try {
      this.#take(JSON.parse(line) as Response);
    } catch {
      this.#fail(new NoDaemonError(`what listens on ${this.#path} does not speak this protocol`));
    }
  }
}

function refusal(error: ProtocolError): Error {
  const text = `the daemon refused: ${error.text}`;
  return error.code === 'denied' || error.code === 'busy' ? new NoDaemonError(text) : new RequestError(text);
}

function reasonOf(error: Error, path: string): string {
  const code = 'code' in error ? error.code : '';
  // Root's daemon is somewhere else, and answers root only.
  const mine = process.getuid?.() === 0 ? '' : ' as this user';
  switch (code) {
    case 'ENOENT':
      return `no daemon runs${mine}: there is no ${path} (another one: --socket PATH)`;
    case 'ECONNREFUSED':
      return `no daemon runs: nobody listens on ${path}; the one that did was killed`;
    case 'EACCES':
    case 'EPERM':
      return `${path}: only root and the daemon's own user may talk to it`;
    default:
      return `${path}: ${error.message}`;
  }
}
