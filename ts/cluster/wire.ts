/**
 * What members of the group send each other, byte by byte: the header of every multicast and the introduction (hello).
 * Messages of the core have a file of their own, `message-codec.ts`.
 *
 * All numbers are little-endian. A multicast is
 *
 * | offset | size | field |
 * | ------ | ---- | ----- |
 * | 0 | 4 | magic `LSM\n` |
 * | 4 | 2 | wire version |
 * | 6 | 1 | kind (`WireKind`) |
 * | 7 | 1 | flags: 1 the sender is in a view |
 * | 8 | 4 | length of the whole |
 * | 12 | 4 | CRC-32C of the whole, with this field zero |
 * | 16 | 4 | node of the sender |
 * | 20 | 4 | session of the sender: a random number of its connection |
 * | 24 | 8 | number of this multicast in that session, from 1 |
 * | 32 | 4 | acknowledgement: the view it is about, as session ... |
 * | 36 | 8 | ... and number of the hello that completed that view |
 * | 44 | 8 | ... and how many messages since then the sender has had delivered |
 * | 52 | n | body |
 *
 * The first 8 bytes mean the same in every version, so that another version is refused by its number.
 */
import { crc32c } from '../native/checksum.js';
import { cpgMessageBytesMax } from '../native/cpg-group.js';

/**
 * Rises with every change of what members say to each other or make of it: they must all compute the same. 2: the head of a copy names
 * the epoch of its writer, a leave may say that a host's last table is gone, and a report says who may begin to write. 3: a copy is coded
 * more briefly (transfer.ts). 4: a report may take several messages and says of a member who went on without it, a leave says whether
 * something was out of sync, and the head of a copy whether owners are missing in it. 5: a leave names the member table that its sender had
 * seen. 6: a report says of what size and kind a log is, and is of one meeting; a leave names the session that was closed on the log device.
 * 7: joins and leaves are numbered. 8: of equally new tables those who are about to join are taken together,
 * boots end in epochs, and epochs do not fall. 9: who joins again while it has the writer's role passes that on,
 * and a leave counts the messages that put regions out of sync. 10: an older copy whose log device cannot be read says so, and a core log
 * is in doubt that somebody may have used of whom nobody knows; who cannot restart recovery passes it on. 11: who went on apart is heard
 * before anybody cleans or recovers, and the doubt of that outlives who was to resync; what a lost record named is not forgotten. 12: who was
 * away while no daemon of the others ran may have begun a core log without them, what members name of a kernel's findings is known node by
 * node, of several that leave at once the last one closes the log device, who leaves it open says whether it has everything, and a report says
 * who has written it.
 */
export const wireVersion = 12;
export const wireHeaderBytes = 52;
/** The longest multicast: what goes in one piece, and briefly enough not to hold up the others' marks. */
export const multicastBytesMax = cpgMessageBytesMax;

export const WireKind = {
  /** Who the sender is. The first that a process says, and again whenever somebody comes. */
  hello: 1,
  /** Messages, each whole. */
  messages: 2,
  /** A piece of a message that is longer than a multicast. */
  part: 3,
  /** Nothing but the acknowledgement. */
  acknowledgement: 4,
} as const;
export type WireKind = (typeof WireKind)[keyof typeof WireKind];

const magic = 0x0a4d534c;
const flagInView = 1;
/** Room for each text of a hello. */
const textBytesMax = 255;

export interface WireHeader {
  version: number;
  kind: number;
  inView: boolean;
  node: number;
  session: number;
  seq: number;
  /** The view that is acknowledged, see above. */
  viewSession: number;
  viewSeq: number;
  position: number;
}

export function emptyHeader(): WireHeader {
  return { version: 0, kind: 0, inView: false, node: 0, session: 0, seq: 0, viewSession: 0, viewSeq: 0, position: 0 };
}

/** What a received multicast is; only of a `sound` one the header counts. */
export type WireVerdict =
  | 'sound'
  /** None of ours. */
  | 'foreign'
  /** Of another version, which `version` names. */
  | 'version'
  /** Of this version, and length, checksum or header are wrong. */
  | 'damaged';

/** Fills in the header of a multicast whose body is there, checksum last. `bytes` is its length with the header. */
export function sealMulticast(buffer: Buffer, bytes: number, header: WireHeader): void {
  buffer.writeUInt32LE(magic, 0);
  buffer.writeUInt16LE(wireVersion, 4);
  buffer[6] = header.kind;
  buffer[7] = header.inView ? flagInView : 0;
  buffer.writeUInt32LE(bytes, 8);
  buffer.writeUInt32LE(0, 12);
  buffer.writeUInt32LE(header.node, 16);
  buffer.writeUInt32LE(header.session, 20);
  buffer.writeDoubleLE(header.seq, 24);
  buffer.writeUInt32LE(header.viewSession, 32);
  buffer.writeDoubleLE(header.viewSeq, 36);
  buffer.writeDoubleLE(header.position, 44);
  buffer.writeUInt32LE(crc32c(buffer, bytes), 12);
}

/** Checks the multicast of `bytes` bytes, of which `buffer` may hold only the beginning. Overwrites its checksum. */
export function openMulticast(buffer: Buffer, bytes: number, header: WireHeader): WireVerdict {
  if (bytes < 8 || buffer.length < 8 || buffer.readUInt32LE(0) !== magic) return 'foreign';
  header.version = buffer.readUInt16LE(4);
  if (header.version !== wireVersion) return 'version';
  if (bytes < wireHeaderBytes || bytes > buffer.length || buffer.readUInt32LE(8) !== bytes) return 'damaged';
  const checksum = buffer.readUInt32LE(12);
  buffer.writeUInt32LE(0, 12);
  if (crc32c(buffer, bytes) !== checksum) return 'damaged';
  header.kind = buffer[6] as number;
  header.inView = ((buffer[7] as number) & flagInView) !== 0;
  header.node = buffer.readUInt32LE(16);
  header.session = buffer.readUInt32LE(20);
  header.seq = buffer.readDoubleLE(24);
  header.viewSession = buffer.readUInt32LE(32);
  header.viewSeq = buffer.readDoubleLE(36);
  header.position = buffer.readDoubleLE(44);
  const sound = header.seq >= 1 && isCount(header.seq) && isCount(header.viewSeq) && isCount(header.position);
  return sound ? 'sound' : 'damaged';
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

export interface Hello {
  /** Which members of the process group the sender introduces itself to (`groupDigest`). */
  readonly digest: number;
  readonly name: string;
  readonly bootId: string;
  readonly incarnation: string;
}

/** Writes the body of a hello; returns the length of the multicast. */
export function writeHello(buffer: Buffer, hello: Hello): number {
  buffer.writeUInt32LE(hello.digest, wireHeaderBytes);
  let at = wireHeaderBytes + 4;
  for (const text of [hello.name, hello.bootId, hello.incarnation]) {
    const bytes = Buffer.from(text, 'utf8');
    if (bytes.length > textBytesMax) throw new RangeError(`a text of a hello has at most ${textBytesMax} bytes`);
    buffer[at] = bytes.length;
    at += 1 + bytes.copy(buffer, at + 1);
  }
  return at;
}

/** Null when it is not one. */
export function readHello(buffer: Buffer, bytes: number): Hello | null {
  if (bytes < wireHeaderBytes + 4) return null;
  const digest = buffer.readUInt32LE(wireHeaderBytes);
  const texts: string[] = [];
  let at = wireHeaderBytes + 4;
  while (texts.length < 3) {
    if (at >= bytes) return null;
    const end = at + 1 + (buffer[at] as number);
    if (end > bytes) return null;
    texts.push(buffer.toString('utf8', at + 1, end));
    at = end;
  }
  if (at !== bytes) return null;
  const [name = '', bootId = '', incarnation = ''] = texts;
  return { digest, name, bootId, incarnation };
}

/** One number for a set of processes, in whatever order they are listed. */
export function groupDigest(processes: readonly { readonly node: number; readonly pid: number }[]): number {
  const sorted = [...processes].sort((a, b) => a.node - b.node || a.pid - b.pid);
  const bytes = Buffer.alloc(8 * sorted.length);
  sorted.forEach(({ node, pid }, i) => {
    bytes.writeUInt32LE(node, 8 * i);
    bytes.writeUInt32LE(pid, 8 * i + 4);
  });
  return crc32c(bytes, bytes.length);
}

/** What stands before the bytes of a part: length of the whole message, and where in it these bytes begin. */
export const partHeaderBytes = 8;

export function writePartHeader(buffer: Buffer, total: number, offset: number): void {
  buffer.writeUInt32LE(total, wireHeaderBytes);
  buffer.writeUInt32LE(offset, wireHeaderBytes + 4);
}
