/**
 * One client of the control socket: bytes to requests, requests to answers, one at a time.
 *
 * What a client can cost is bounded: one request line, one answer under way, no further request read before that answer has
 * gone out. A follower gets its next events when it has read the last; if it is slower than the events, the history
 * passes it and the next answer says how many it missed. Who reads nothing for `unreadMsMax` is dropped.
 */
import type { Socket } from 'node:net';
import type { EventBatch } from './event-ring.js';
import { LineReader } from './line-reader.js';
import { batchEventsMax, errorLine, okLine, parseRequest, type Request, requestBytesMax } from './protocol.js';

/** A client that takes nothing of its answer for so long is dropped. */
const unreadMsMax = 10_000;
/** A client that asks nothing for so long, and follows nothing, is let go. */
const idleMsMax = 120_000;
/** Bytes that may come in while a request is answered; a client that sends on regardless is no client. */
const unreadRequestBytesMax = 4 * requestBytesMax;

export interface ConnectionHost {
  /** Result of a request; rejects only when the daemon ends. */
  answer(request: Request): Promise<unknown>;
  events(since: number, stream: string, max: number): Promise<EventBatch>;
  counted(what: 'requests' | 'malformed' | 'slow'): void;
  closed(connection: ControlConnection): void;
}

export class ControlConnection {
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #reader = new LineReader(requestBytesMax);
  readonly #lines: string[] = [];
  #linesBytes = 0;
  #busy = false;
  #unread: NodeJS.Timeout | null = null;
  /** Set while the client follows events. */
  #follow: { readonly id: number; since: number; stream: string } | null = null;
  #fetching = false;

  constructor(socket: Socket, host: ConnectionHost) {
    this.#socket = socket;
    this.#host = host;
    socket.setTimeout(idleMsMax);
    socket.on('data', (bytes: Buffer) => this.#onData(bytes));
    socket.on('drain', () => this.#onDrain());
    socket.on('timeout', () => {
      if (this.#follow === null && !this.#busy) socket.destroy();
    });
    // A client that goes away in the middle of an answer is no fault of ours.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (this.#unread !== null) clearTimeout(this.#unread);
      this.#follow = null;
      host.closed(this);
    });
  }

  /** There are new events. */
  news(): void {
    this.#feed();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onData(bytes: Buffer): void {
    for (const line of this.#reader.push(bytes)) {
      this.#lines.push(line);
      this.#linesBytes += line.length;
    }
    if (this.#reader.overlong || this.#linesBytes > unreadRequestBytesMax) {
      const text = this.#reader.overlong
        ? `a request is at most ${requestBytesMax} bytes`
        : 'more requests at once than are kept: read an answer before the next request';
      this.#refuse({ code: 'too-long', text });
      return;
    }
    this.#next();
  }

  #refuse(error: Parameters<typeof errorLine>[1]): void {
    this.#host.counted('malformed');
    this.#lines.length = 0;
    this.#socket.pause();
    this.#socket.end(errorLine(0, error));
    // It may never read that line; what it has sent will not be read either.
    this.#armUnread();
  }

  #next(): void {
    if (this.#busy || this.#socket.destroyed) return;
    const line = this.#lines.shift();
    if (line === undefined) return;
    this.#linesBytes -= line.length;
    const parsed = parseRequest(line);
    if (!parsed.ok) {
      this.#host.counted('malformed');
      this.#busy = true;
      this.#write(errorLine(parsed.id, parsed.error));
      return;
    }
    this.#host.counted('requests');
    this.#busy = true;
    this.#serve(parsed.request);
  }

  async #serve(request: Request): Promise<void> {
    if (request.command === 'events' && request.follow) {
      this.#follow = { id: request.id, since: request.since, stream: request.stream };
      this.#busy = false;
      // At once, also when there is none: the client then knows that it follows.
      await this.#fetch(true);
      return;
    }
    try {
      this.#write(okLine(request.id, await this.#host.answer(request)));
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.#write(errorLine(request.id, { code: 'internal', text }));
    }
  }

  /** Sends what a follower has not got, if it has read the rest. */
  #feed(): void {
    if (this.#follow === null || this.#fetching || this.#busy || this.#socket.writableNeedDrain) return;
    this.#fetch(false);
  }

  async #fetch(evenNothing: boolean): Promise<void> {
    const follow = this.#follow;
    if (follow === null) return;
    this.#fetching = true;
    const batch = await this.#host.events(follow.since, follow.stream, batchEventsMax);
    this.#fetching = false;
    if (this.#follow !== follow || this.#socket.destroyed) return;
    const behind = batch.more;
    if (batch.events.length > 0 || batch.lost > 0 || evenNothing) {
      follow.since = batch.next;
      follow.stream = batch.stream;
      this.#write(okLine(follow.id, batch));
    }
    if (behind) this.#feed();
  }

  #write(text: string): void {
    if (this.#socket.destroyed) return;
    if (this.#socket.write(text)) {
      this.#busy = false;
      // Not from inside: a client may send a thousand requests in one go.
      setImmediate(() => this.#next());
      return;
    }
    this.#busy = true;
    this.#socket.pause();
    this.#armUnread();
  }

  #armUnread(): void {
    this.#unread ??= setTimeout(() => {
      this.#host.counted('slow');
      this.#socket.destroy();
    }, unreadMsMax);
  }

  #onDrain(): void {
    if (this.#unread !== null) clearTimeout(this.#unread);
    this.#unread = null;
    this.#busy = false;
    this.#socket.resume();
    this.#next();
    this.#feed();
  }
}
