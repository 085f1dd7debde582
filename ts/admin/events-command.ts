/**
 * `lockstep events`: the daemon's history, and with `--follow` what comes after it, also over a restart of the daemon.
 *
 * What was missed is said, in its place: events that had fallen out of the history, and that a daemon is a new one.
 */
import { ControlClient, NoDaemonError } from './control-client.js';
import type { DmNames } from './dm-names.js';
import { dmNames } from './dm-names.js';
import { type AdminEvent, type EventBatch, eventsMax } from './event-ring.js';
import { chooseLog } from './log-choice.js';
import { oneLine } from './one-line.js';
import { Exit, type Terminal } from './terminal.js';

export const levels = ['error', 'warning', 'notice', 'info', 'debug'] as const;
export type Level = (typeof levels)[number];

export interface EventsOptions {
  readonly socket: string;
  readonly json: boolean;
  readonly follow: boolean;
  /** This level and the graver ones. */
  readonly level: Level;
  /** Only of this log; null: all. */
  readonly log: string | null;
}

const againMs = 1_000;

export async function eventsCommand(options: EventsOptions, terminal: Terminal): Promise<Exit> {
  const names = await dmNames();
  const client = await ControlClient.connect(options.socket);
  const uuid = await wantedUuid(client, options, names);
  const printer = new EventPrinter(options, names, uuid, terminal);
  if (!options.follow) {
    for (let more = true; more; ) {
      const batch = await client.events(printer.next);
      printer.take(batch);
      more = batch.more;
    }
    client.close();
    return Exit.ok;
  }
  return follow(client, options, printer, terminal);
}

/** A log that is gone may have events all the same: then the whole uuid must be given. */
async function wantedUuid(client: ControlClient, { log }: EventsOptions, names: DmNames): Promise<string | null> {
  if (log === null) return null;
  const { status } = await client.status();
  try {
    return chooseLog(log, status?.logs ?? [], names).uuid;
  } catch (error) {
    const { events } = await client.events(0);
    if (events.some((event) => uuidOf(event) === log)) return log;
    throw error;
  }
}

async function follow(
  first: ControlClient,
  options: EventsOptions,
  printer: EventPrinter,
  terminal: Terminal,
): Promise<Exit> {
  let client: ControlClient | null = first;
  let stopped = false;
  const stop = terminal.stopped.then(() => {
    stopped = true;
    client?.close();
  });
  while (!stopped) {
    try {
      client ??= await ControlClient.connect(options.socket);
      await Promise.race([stop, client.follow(printer.next, printer.stream, (batch) => printer.take(batch))]);
    } catch (error) {
      if (!(error instanceof NoDaemonError)) throw error;
      printer.away(error.message);
    }
    client?.close();
    client = null;
    if (!stopped) await Promise.race([stop, new Promise((resolve) => setTimeout(resolve, againMs))]);
  }
  return Exit.ok;
}

class EventPrinter {
  readonly #options: EventsOptions;
  readonly #names: DmNames;
  readonly #uuid: string | null;
  readonly #terminal: Terminal;
  #away = '';
  next = 0;
  stream = '';

  constructor(options: EventsOptions, names: DmNames, uuid: string | null, terminal: Terminal) {
    this.#options = options;
    this.#names = names;
    this.#uuid = uuid;
    this.#terminal = terminal;
  }

  take(batch: EventBatch): void {
    this.#away = '';
    const { lost } = batch;
    if (this.stream !== '' && this.stream !== batch.stream) {
      this.#note('restarted', 'the daemon is another one now; its events are numbered anew');
    }
    this.stream = batch.stream;
    this.next = batch.next;
    if (lost > 0) this.#note('lost', `${lost} events were missed: the daemon keeps the last ${eventsMax}`, lost);
    for (const event of batch.events) this.#print(event);
  }

  /** Said once for each reason, not at every attempt. */
  away(text: string): void {
    if (text === this.#away) return;
    this.#away = text;
    this.#terminal.err(`lockstep: ${text}; waiting for it\n`);
  }

  #note(what: string, text: string, count?: number): void {
    if (this.#options.json) this.#terminal.out(`${JSON.stringify({ note: what, count, text })}\n`);
    else this.#terminal.out(`-- ${text}\n`);
  }

  #print(event: AdminEvent): void {
    if (levels.indexOf(event.level as Level) > levels.indexOf(this.#options.level)) return;
    if (this.#uuid !== null && uuidOf(event) !== this.#uuid) return;
    this.#terminal.out(`${this.#options.json ? JSON.stringify(event) : this.#line(event)}\n`);
  }

  #line({ time, level, event, fields }: AdminEvent): string {
    const { uuid, text, ...rest } = fields;
    const name = uuid === undefined || uuid === '' ? '' : ` ${oneLine(this.#names.get(String(uuid)) ?? String(uuid))}:`;
    const others = Object.entries(rest).map(([key, value]) => `${key}=${oneLine(String(value))}`);
    const words = [text === undefined ? '' : oneLine(String(text)), ...others].filter((word) => word !== '');
    return `${time} ${level.padEnd(7)} ${event}${name} ${words.join(' ')}`.trimEnd();
  }
}

function uuidOf({ fields: { uuid } }: AdminEvent): unknown {
  return uuid;
}
