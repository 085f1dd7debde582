/**
 * The control socket's protocol: one JSON object a line, in both directions, UTF-8.
 *
 *     > {"v":1,"id":7,"command":"status"}
 *     < {"v":1,"id":7,"ok":true,"result":{...}}
 *     > {"v":1,"id":8,"command":"mount"}
 *     < {"v":1,"id":8,"ok":false,"error":{"code":"command","text":"..."}}
 *
 * | command  | fields                       | result                                                    |
 * | -------- | ---------------------------- | --------------------------------------------------------- |
 * | `status` |                              | `StatusResult`                                            |
 * | `events` | `since`, `stream`, `follow`  | `EventBatch`; with `follow` one line a batch, for ever    |
 * | `region` | `uuid`, `luid`, `region`     | `{ region: RegionStatus or null, fresh }`                 |
 * | `fence-confirm` | `node`                | `{ refusal }`, empty when all members are told            |
 *
 * A client sends its next request when it has read the answer to the last; further ones wait unread. `v` changes when an
 * answer's meaning does; new fields may come without.
 *
 * Here: what a request may look like, and every way in which it can be wrong. No sockets.
 */
import { uuidBytesMax } from '../base/limits.js';
import type { Snapshot } from './admin-messages.js';
import type { ResyncRate } from './resync-rates.js';

export const protocolVersion = 1;
/** Bytes of a request line, without its line end. */
export const requestBytesMax = 4096;
/** Events of one answer. */
export const batchEventsMax = 128;

export type Request =
  | { readonly id: number; readonly command: 'status' }
  | {
      readonly id: number;
      readonly command: 'events';
      readonly since: number;
      readonly stream: string;
      readonly follow: boolean;
    }
  | {
      readonly id: number;
      readonly command: 'region';
      readonly uuid: string;
      readonly luid: string;
      readonly region: number;
    }
  | { readonly id: number; readonly command: 'fence-confirm'; readonly node: number };

/** Stable names, for programs. */
export type ErrorCode = 'syntax' | 'version' | 'command' | 'field' | 'too-long' | 'busy' | 'denied' | 'internal';

export interface ProtocolError {
  readonly code: ErrorCode;
  readonly text: string;
}

export interface StatusResult extends Snapshot {
  /** By `uuid luid`, of logs that are being resynced and were looked at long enough. */
  readonly rates: Readonly<Record<string, ResyncRate>>;
  readonly admin: AdminCounters;
}

/** What the admin worker says of itself. */
export interface AdminCounters {
  readonly restarts: number;
  readonly clients: number;
  readonly requests: number;
  readonly malformed: number;
  /** Turned away: another user, or too many. */
  readonly denied: number;
  readonly busy: number;
  /** Dropped because they did not read. */
  readonly slow: number;
}

export type Response =
  | { readonly v: number; readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly v: number; readonly id: number; readonly ok: false; readonly error: ProtocolError };

/** What came, whatever it is. */
type Loose = Partial<
  Record<'v' | 'id' | 'command' | 'since' | 'stream' | 'follow' | 'uuid' | 'luid' | 'region' | 'node', unknown>
>;

export type ParsedRequest =
  | { readonly ok: true; readonly request: Request }
  /** `id` is the request's where it had one, else 0. */
  | { readonly ok: false; readonly id: number; readonly error: ProtocolError };

const commands = {
  status: [],
  events: ['since', 'stream', 'follow'],
  region: ['uuid', 'luid', 'region'],
  'fence-confirm': ['node'],
} as const;

export function parseRequest(line: string): ParsedRequest {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return wrong(0, 'syntax', 'a request is one line of JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return wrong(0, 'syntax', 'a request is a JSON object');
  }
  const fields = value as Loose;
  const id = isCount(fields.id) ? fields.id : 0;
  if (fields.v !== protocolVersion) {
    return wrong(id, 'version', `"v" is ${shown(fields.v)}; this daemon speaks version ${protocolVersion}`);
  }
  if (fields.id !== undefined && !isCount(fields.id)) return wrong(0, 'field', '"id" is a whole number from 0');
  const { command } = fields;
  if (typeof command !== 'string' || !Object.hasOwn(commands, command)) {
    return wrong(id, 'command', `"command" is ${shown(command)}; known: ${Object.keys(commands).join(', ')}`);
  }
  const known: readonly string[] = commands[command as keyof typeof commands];
  const extra = Object.keys(fields).find((name) => !['v', 'id', 'command'].includes(name) && !known.includes(name));
  if (extra !== undefined) return wrong(id, 'field', `"${command}" has no field ${shown(extra)}`);
  return parseFields(id, command as keyof typeof commands, fields);
}

function parseFields(id: number, command: keyof typeof commands, fields: Loose): ParsedRequest {
  switch (command) {
    case 'status':
      return { ok: true, request: { id, command } };
    case 'events': {
      const { since = 0, stream = '', follow = false } = fields;
      if (!isCount(since)) return wrong(id, 'field', '"since" is a whole number from 0');
      if (typeof stream !== 'string') return wrong(id, 'field', '"stream" is a text');
      if (typeof follow !== 'boolean') return wrong(id, 'field', '"follow" is true or false');
      return { ok: true, request: { id, command, since, stream, follow } };
    }
    case 'region': {
      const { uuid, luid, region } = fields;
      const fits = typeof uuid === 'string' && uuid !== '' && Buffer.byteLength(uuid) <= uuidBytesMax;
      if (!fits) return wrong(id, 'field', `"uuid" is a text of 1 to ${uuidBytesMax} bytes`);
      if (typeof luid !== 'string' || !/^[0-9a-f]{16}$/.test(luid)) {
        return wrong(id, 'field', '"luid" is a text of 16 hexadecimal digits');
      }
      if (!isCount(region)) return wrong(id, 'field', '"region" is a whole number from 0');
      return { ok: true, request: { id, command, uuid, luid, region } };
    }
    case 'fence-confirm': {
      const { node } = fields;
      if (!isCount(node) || node < 1 || node >= 2 ** 32) return wrong(id, 'field', '"node" is the number of a node');
      return { ok: true, request: { id, command, node } };
    }
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** A value of a client's, short enough for an error text. */
function shown(value: unknown): string {
  const text = value === undefined ? 'missing' : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

function wrong(id: number, code: ErrorCode, text: string): ParsedRequest {
  return { ok: false, id, error: { code, text } };
}

export function okLine(id: number, result: unknown): string {
  return `${JSON.stringify({ v: protocolVersion, id, ok: true, result } satisfies Response)}\n`;
}

export function errorLine(id: number, error: ProtocolError): string {
  return `${JSON.stringify({ v: protocolVersion, id, ok: false, error } satisfies Response)}\n`;
}
