/**
 * A member table as bytes for the state record (R2), where it has to fit `memberTableBytesMax`: what a daemon has to know of a
 * log when it starts again. A name that finds no room is left out: shortened it might be another host's. More members than it has room for are
 * there only of sides that meet: what a daemon knows that begins with some of them is in doubt.
 *
 * All numbers are little-endian: generation f64, writer u32 (+1), epoch f64, last leaver u32 (+1), flags u8, count u8, rank f64, hint f64; then each
 * member: node u32, flags u8, boot 8 bytes, length of the name u8, name; then, where a flag says so, what is known of those who are none any more:
 * closed epoch f64, epoch of the ends f64, out-of-sync generation f64, count u8, flags u8, boots of 8 bytes and their epochs, f64, the newest as many as
 * fit (records of before have no flags, and older ones no epochs); where one of these flags says so, the newest past writers, in the same form behind a
 * count u8; then the regions that this kernel has found out of sync, u32 each, as many as fit: a flag says that there are more.
 */
import { membersMax, memberTableBytesMax } from '../base/limits.js';
import {
  type BootInEpoch,
  emptyTable,
  type Member,
  type MemberTable,
  newMember,
  type Stage,
  unknownName,
} from './member-table.js';

const headBytes = 42;
const memberBytes = 14;
const endsBytes = 26;
const endsBytesBefore = 25;
const bootBytes = 8;
const endedBytes = bootBytes + 8;
/** Flags of the head: the ends follow, as the oldest records have them, with epochs, or with flags, too. */
const hasBareEnds = 64;
const hasEpochs = 128;
const hasEnds = hasBareEnds | hasEpochs;
/** Boots of those who are none any more. An older one is forgotten: should it have been falsely confirmed dead, nothing is resynced for it. */
const bootsMax = 16;
const pastWritersMax = 8;
/** Flags of the ends. */
const hasWritten = 1;
const hasWriters = 2;
const regionBytes = 4;
const nameBytesMax = 255;
if (headBytes + membersMax * memberBytes + endsBytes > memberTableBytesMax)
  throw new RangeError('a full member table must fit its record');

const stages: readonly Stage[] = ['joining', 'active', 'halted'];

/** What a record says besides the table. */
export interface CopyFacts {
  /** The generation in which the copy in the record was last right. */
  readonly rank: number;
  /** The highest hint that the kernel was told. */
  readonly hint: number;
  /** Regions that this kernel has found out of sync (R10). */
  readonly found: ReadonlySet<number>;
  /** And others, which did not fit. */
  readonly moreFound: boolean;
  /** Members of that generation are none any more in the table of the record. */
  readonly membersGone: boolean;
}

export function encodeMembers(
  table: MemberTable,
  { rank, hint, found, moreFound, membersGone }: CopyFacts,
): Uint8Array {
  const stored = table.members.slice(0, membersMax);
  const room = memberTableBytesMax - headBytes - memberBytes * stored.length;
  const ends = encodeEnds(table, room - regionBytes * found.size);
  let nameRoom = room - ends.length - regionBytes * found.size;
  const parts = stored.map((member) => {
    const name = Buffer.from(member.name === unknownName ? '' : member.name, 'utf8');
    const fits = name.length <= Math.min(nameRoom, nameBytesMax);
    if (fits) nameRoom -= name.length;
    return encodeMember(member, fits ? name : Buffer.of());
  });
  const used = parts.reduce((sum, part) => sum + part.length, headBytes + ends.length);
  const listed = [...found].slice(0, Math.floor((memberTableBytesMax - used) / regionBytes));
  const more = moreFound || listed.length < found.size;
  const head = Buffer.alloc(headBytes);
  head.writeDoubleLE(table.generation, 0);
  head.writeUInt32LE(table.writer + 1, 8);
  head.writeDoubleLE(table.epoch, 12);
  head.writeUInt32LE(table.lastLeaver + 1, 20);
  const doubt = table.doubt || stored.length < table.members.length;
  const flags = (table.writerDied ? 1 : 0) | (doubt ? 2 : 0) | (more ? 4 : 0) | (membersGone ? 8 : 0);
  head.writeUInt8(
    flags | (table.deviceAhead ? 16 : 0) | (table.leftOutOfSync ? 32 : 0) | (ends.length > 0 ? hasEnds : 0),
    24,
  );
  head.writeUInt8(stored.length, 25);
  head.writeDoubleLE(rank, 26);
  head.writeDoubleLE(hint, 34);
  const regions = Buffer.alloc(regionBytes * listed.length);
  listed.forEach((region, at) => {
    regions.writeUInt32LE(region, regionBytes * at);
  });
  return Buffer.concat([head, ...parts, ends, regions]);
}

export interface StoredMembers extends CopyFacts {
  readonly table: MemberTable;
}

/** Null when the bytes are no table: a record of a log that no other node had. */
export function decodeMembers(uuid: string, bytes: Uint8Array): StoredMembers | null {
  if (bytes.length < headBytes) return null;
  const from = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const table = emptyTable(uuid);
  table.generation = from.readDoubleLE(0);
  table.writer = from.readUInt32LE(8) - 1;
  table.epoch = from.readDoubleLE(12);
  table.lastLeaver = from.readUInt32LE(20) - 1;
  const flags = from.readUInt8(24);
  table.writerDied = (flags & 1) !== 0;
  table.doubt = (flags & 2) !== 0;
  table.deviceAhead = (flags & 16) !== 0;
  table.leftOutOfSync = (flags & 32) !== 0;
  let at = headBytes;
  for (let count = from.readUInt8(25); count > 0; count--) {
    if (at + memberBytes > from.length) return null;
    const end = at + memberBytes + from.readUInt8(at + 13);
    if (end > from.length) return null;
    table.members.push(decodeMember(from.subarray(at, end)));
    at = end;
  }
  if ((flags & hasEnds) !== 0) {
    const each = (flags & hasEpochs) !== 0 ? endedBytes : bootBytes;
    const begin = (flags & hasEnds) === hasEnds ? endsBytes : endsBytesBefore;
    const length = at + begin > from.length ? begin : begin + each * from.readUInt8(at + 24);
    if (at + length > from.length) return null;
    decodeEnds(table, from.subarray(at, at + length), begin, each);
    const writersFollow = begin === endsBytes && (from.readUInt8(at + 25) & hasWriters) !== 0;
    at += length;
    if (writersFollow) {
      const writersLength = at < from.length ? 1 + endedBytes * from.readUInt8(at) : 1;
      if (at + writersLength > from.length) return null;
      table.writers = decodeBoots(from.subarray(at + 1, at + writersLength));
      at += writersLength;
    }
  }
  const found = new Set<number>();
  for (; at + regionBytes <= from.length; at += regionBytes) found.add(from.readUInt32LE(at));
  const [moreFound, membersGone] = [(flags & 4) !== 0, (flags & 8) !== 0];
  return { table, rank: from.readDoubleLE(26), hint: from.readDoubleLE(34), found, moreFound, membersGone };
}

/** Empty where there is nothing to say. There is always room for the numbers: without them a log device of before would be believed (R9). */
function encodeEnds(table: MemberTable, room: number): Buffer {
  const { closedEpoch, leftWritten, endedEpoch, outOfSyncSince, ended, writers } = table;
  const none = ended.length === 0 && writers.length === 0;
  if (closedEpoch === 0 && !leftWritten && endedEpoch === 0 && outOfSyncSince === 0 && none) return Buffer.of();
  const boots = newestOf(ended, bootsMax, room - endsBytes);
  const past = newestOf(writers, pastWritersMax, room - endsBytes - endedBytes * boots.length - 1);
  const bytes = Buffer.alloc(endsBytes);
  bytes.writeDoubleLE(closedEpoch, 0);
  bytes.writeDoubleLE(endedEpoch, 8);
  bytes.writeDoubleLE(outOfSyncSince, 16);
  bytes.writeUInt8(boots.length, 24);
  bytes.writeUInt8((leftWritten ? hasWritten : 0) | (past.length > 0 ? hasWriters : 0), 25);
  const pastWriters = past.length > 0 ? [Buffer.of(past.length), encodeBoots(past)] : [];
  return Buffer.concat([bytes, encodeBoots(boots), ...pastWriters]);
}

/** As many as have room. */
function newestOf(boots: readonly BootInEpoch[], max: number, room: number): readonly BootInEpoch[] {
  const fitting = Math.min(max, Math.floor(room / endedBytes));
  return fitting > 0 ? boots.slice(-fitting) : [];
}

function encodeBoots(boots: readonly BootInEpoch[]): Buffer {
  const bytes = Buffer.alloc(endedBytes * boots.length);
  boots.forEach(({ boot, epoch }, i) => {
    bytes.write(boot, endedBytes * i, 'hex');
    bytes.writeDoubleLE(epoch, endedBytes * i + bootBytes);
  });
  return bytes;
}

function decodeBoots(bytes: Buffer): BootInEpoch[] {
  const boots: BootInEpoch[] = [];
  for (let at = 0; at < bytes.length; at += endedBytes)
    boots.push({ boot: bytes.toString('hex', at, at + bootBytes), epoch: bytes.readDoubleLE(at + bootBytes) });
  return boots;
}

function decodeEnds(table: MemberTable, bytes: Buffer, begin: number, each: number): void {
  table.closedEpoch = bytes.readDoubleLE(0);
  table.endedEpoch = bytes.readDoubleLE(8);
  table.outOfSyncSince = bytes.readDoubleLE(16);
  table.leftWritten = begin === endsBytes && (bytes.readUInt8(25) & hasWritten) !== 0;
  if (each === endedBytes) table.ended = decodeBoots(bytes.subarray(begin));
  else
    for (let at = begin; at < bytes.length; at += each)
      table.ended.push({ boot: bytes.toString('hex', at, at + bootBytes), epoch: table.endedEpoch });
}

function encodeMember(member: Member, name: Buffer): Buffer {
  const bytes = Buffer.alloc(memberBytes + name.length);
  bytes.writeUInt32LE(member.node, 0);
  const { present, unwatched, settled, needed, surmised, passed } = member;
  const flags = (present ? 4 : 0) | (unwatched ? 8 : 0) | (settled ? 16 : 0) | (needed ? 32 : 0) | (surmised ? 64 : 0);
  bytes.writeUInt8(stages.indexOf(member.stage) | flags | (passed ? 128 : 0), 4);
  bytes.write(member.boot, 5, 'hex');
  bytes.writeUInt8(name.length, 13);
  name.copy(bytes, memberBytes);
  return bytes;
}

function decodeMember(bytes: Buffer): Member {
  const flags = bytes.readUInt8(4);
  const boot = bytes.toString('hex', 5, 13);
  const name = bytes.toString('utf8', memberBytes) || unknownName;
  const member = newMember(bytes.readUInt32LE(0), name, boot, stages[flags & 3] ?? 'active');
  member.present = (flags & 4) !== 0;
  member.unwatched = (flags & 8) !== 0;
  member.settled = (flags & 16) !== 0;
  member.needed = (flags & 32) !== 0;
  member.surmised = (flags & 64) !== 0;
  member.passed = (flags & 128) !== 0;
  return member;
}
