/**
 * Messages of the core as bytes, one behind the other. Written when a message is submitted, which is also the copy that
 * `submit` promises; so this is on the way of every mark, and allocates nothing.
 *
 * A message is: type (1), which fields follow (1), uuid (length as a number, then UTF-8) unless it is that of the message
 * before, flag, seq, number of regions and the regions, number of bytes and the bytes. Numbers are of variable length, 7 bits
 * a byte, lowest first; a region is written as its distance from the one before, with a sign: a run costs a byte each.
 *
 * The reader believes nothing. What it cannot read it says in `problem`; it never reads past the end, and gets no more memory
 * than a few times the bytes that came.
 */
import { isWhole, type LogMessage, MessageType } from '../mirror/messages.js';
import { decodeReport } from '../mirror/report-codec.js';

/** The longest message, as bytes. Longer ones are a fault of the program. */
export const messageBytesMax = 4 * 1024 * 1024;

const hasUuid = 1;
const hasFlag = 2;
const hasSeq = 4;
const hasRegions = 8;
const hasBytes = 16;
const fieldsMask = 31;
/** UTF-8 of 128 bytes that the kernel gave, each of them possibly replaced by three. */
const uuidBytesMax = 3 * 128;
/** Type, fields, and five numbers. */
const fixedBytesMax = 2 + 5 * 8;
/** Of 53 bits and a sign. */
const numberBytesMax = 8;
const uuidsRemembered = 8192;

const knownTypes: ReadonlySet<number> = new Set(Object.values(MessageType));

/** Encoded uuids: there are few, and they are in every message. */
const uuidBytes = new Map<string, Buffer>();

function encodedUuid(uuid: string): Buffer {
  const known = uuidBytes.get(uuid);
  if (known !== undefined) return known;
  if (uuidBytes.size >= uuidsRemembered) uuidBytes.clear();
  const bytes = Buffer.from(uuid, 'utf8');
  if (bytes.length > uuidBytesMax) throw new RangeError(`a uuid of ${bytes.length} bytes, at most ${uuidBytesMax}`);
  uuidBytes.set(uuid, bytes);
  return bytes;
}

/** Room that is certainly enough for the message. */
export function encodedBytesMax(message: LogMessage): number {
  return fixedBytesMax + encodedUuid(message.uuid).length + message.count * numberBytesMax + message.byteCount;
}

/**
 * Writes the message at `at` of a buffer that has `encodedBytesMax` bytes there; returns where it ends. `uuidBefore` is the
 * uuid of the message before it in the same multicast, or null.
 */
export function encodeMessage(message: LogMessage, buffer: Buffer, at: number, uuidBefore: string | null): number {
  const { uuid, flag, seq, count, byteCount } = message;
  const newUuid = uuid !== uuidBefore;
  buffer[at] = message.type;
  buffer[at + 1] =
    (newUuid ? hasUuid : 0) |
    (flag !== 0 ? hasFlag : 0) |
    (seq !== 0 ? hasSeq : 0) |
    (count > 0 ? hasRegions : 0) |
    (byteCount > 0 ? hasBytes : 0);
  let next = at + 2;
  if (newUuid) {
    const bytes = encodedUuid(uuid);
    next = writeCount(buffer, next, bytes.length);
    next += bytes.copy(buffer, next);
  }
  if (flag !== 0) next = writeCount(buffer, next, flag);
  if (seq !== 0) next = writeCount(buffer, next, seq);
  if (count > 0) next = writeRegions(buffer, next, message.regions, count);
  if (byteCount > 0) {
    next = writeCount(buffer, next, byteCount);
    // A loop for few bytes: `subarray` allocates.
    if (byteCount < 64) for (let i = 0; i < byteCount; i++) buffer[next + i] = message.bytes[i] as number;
    else buffer.set(message.bytes.subarray(0, byteCount), next);
    next += byteCount;
  }
  return next;
}

function writeCount(buffer: Buffer, at: number, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no number that a message can carry`);
  let rest = value;
  while (rest >= 0x80) {
    buffer[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  buffer[at++] = rest;
  return at;
}

function writeRegions(buffer: Buffer, start: number, regions: Float64Array, count: number): number {
  if (count > regions.length) throw new RangeError(`${count} regions in ${regions.length} entries`);
  let at = writeCount(buffer, start, count);
  let before = 0;
  for (let i = 0; i < count; i++) {
    const region = regions[i] as number;
    if (!Number.isSafeInteger(region) || region < 0)
      throw new RangeError(`${region} is no region that a message can carry`);
    const distance = region - before;
    before = region;
    const sign = distance < 0 ? 0x40 : 0;
    let rest = Math.abs(distance);
    if (rest < 0x40) {
      buffer[at++] = sign | rest;
      continue;
    }
    buffer[at++] = 0x80 | sign | (rest % 0x40);
    rest = Math.floor(rest / 0x40);
    while (rest >= 0x80) {
      buffer[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    buffer[at++] = rest;
  }
  return at;
}

export function emptyMessage(): LogMessage {
  const regions = new Float64Array(64);
  return { type: 1, node: 0, uuid: '', seq: 0, flag: 0, regions, count: 0, bytes: new Uint8Array(0), byteCount: 0 };
}

/** Reads the messages of one body. One reader serves for all. */
export class MessageReader {
  /** What `next` read. Used again by the next call. */
  readonly message: LogMessage = emptyMessage();
  /** Why nothing could be read, when that is not the end. */
  problem = '';
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  /** False until a message has said its uuid: nothing of the body before counts. */
  #uuidKnown = false;
  readonly #lastUuid = Buffer.alloc(uuidBytesMax);
  #lastUuidBytes = -1;

  open(buffer: Buffer, from: number, to: number, node: number): void {
    this.#buffer = buffer;
    this.#at = from;
    this.#end = Math.min(to, buffer.length);
    this.#uuidKnown = false;
    this.problem = '';
    this.message.node = node;
  }

  /** False at the end, and at what is no message: then `problem` says why. */
  next(): boolean {
    if (this.problem !== '' || this.#at >= this.#end) return false;
    if (this.#end - this.#at < 2) return this.#refuse('a message of one byte');
    const message = this.message;
    const type = this.#buffer[this.#at] as number;
    const fields = this.#buffer[this.#at + 1] as number;
    this.#at += 2;
    if (!knownTypes.has(type)) return this.#refuse(`a message of the unknown type ${type}`);
    if ((fields & ~fieldsMask) !== 0) return this.#refuse(`a message with unknown fields (${fields})`);
    message.type = type as MessageType;
    if ((fields & hasUuid) !== 0 ? !this.#readUuid() : !this.#uuidKnown)
      return this.#refuse('a message without a uuid');
    message.flag = (fields & hasFlag) !== 0 ? this.#readCount() : 0;
    message.seq = (fields & hasSeq) !== 0 ? this.#readCount() : 0;
    if (message.flag < 0 || message.seq < 0) return this.#refuse('a message whose flag or number does not end');
    message.count = 0;
    if ((fields & hasRegions) !== 0 && !this.#readRegions()) return this.#refuse('a message whose regions are damaged');
    message.byteCount = 0;
    if ((fields & hasBytes) !== 0 && !this.#readBytes()) return this.#refuse('a message whose bytes are damaged');
    if (!isWhole(message)) return this.#refuse(`a message of type ${type} with ${message.count} numbers`);
    if (message.type === MessageType.report && decodeReport(message.bytes.subarray(0, message.byteCount)) === null)
      return this.#refuse('a report that makes no sense');
    return true;
  }

  #refuse(problem: string): false {
    if (this.problem === '') this.problem = problem;
    return false;
  }

  /** -1: it does not end in time, or is no exact number. */
  #readCount(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < numberBytesMax; i++) {
      if (this.#at >= this.#end) return -1;
      const byte = this.#buffer[this.#at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return Number.isSafeInteger(value) ? value : -1;
      scale *= 0x80;
    }
    return -1;
  }

  #readUuid(): boolean {
    const bytes = this.#readCount();
    if (bytes < 0 || bytes > uuidBytesMax || bytes > this.#end - this.#at) return false;
    const from = this.#at;
    this.#at += bytes;
    this.#uuidKnown = true;
    // Most messages are about the log of the one before: no text is made for them.
    if (bytes === this.#lastUuidBytes && this.#buffer.compare(this.#lastUuid, 0, bytes, from, this.#at) === 0)
      return true;
    this.#buffer.copy(this.#lastUuid, 0, from, this.#at);
    this.#lastUuidBytes = bytes;
    this.message.uuid = this.#buffer.toString('utf8', from, this.#at);
    return true;
  }

  #readRegions(): boolean {
    const count = this.#readCount();
    // A region takes a byte at least: the memory is bounded by what came.
    if (count < 1 || count > this.#end - this.#at) return false;
    const message = this.message;
    if (message.regions.length < count) message.regions = new Float64Array(count);
    let region = 0;
    for (let i = 0; i < count; i++) {
      if (this.#at >= this.#end) return false;
      const first = this.#buffer[this.#at++] as number;
      let distance = first & 0x3f;
      if (first >= 0x80) {
        const rest = this.#readCount();
        if (rest < 0) return false;
        distance += rest * 0x40;
      }
      region += (first & 0x40) !== 0 ? -distance : distance;
      if (!Number.isSafeInteger(region) || region < 0) return false;
      message.regions[i] = region;
    }
    message.count = count;
    return true;
  }

  #readBytes(): boolean {
    const count = this.#readCount();
    if (count < 1 || count > this.#end - this.#at) return false;
    const message = this.message;
    if (message.bytes.length < count) message.bytes = new Uint8Array(count);
    if (count < 64) for (let i = 0; i < count; i++) message.bytes[i] = this.#buffer[this.#at + i] as number;
    else message.bytes.set(this.#buffer.subarray(this.#at, this.#at + count));
    message.byteCount = count;
    this.#at += count;
    return true;
  }
}
