/**
 * What a daemon says when somebody came to the group, as bytes: JSON, for it is rare and the transport checks its sum. In as many messages
 * as the logs take that it knows of.
 */
import { reportBytesMax, uuidBytesMax } from '../base/limits.js';
import { isCount, isNode, isNodeOrNone, isObject } from './json-values.js';
import { type BootInEpoch, type LogShape, type Member, type MemberTable, withoutCopy } from './member-table.js';
import type { LogReport } from './return-merge.js';

export interface Report {
  /** The group that its sender knew: of another group nobody wants to hear. */
  readonly tag: string;
  readonly quorate: boolean;
  /** Which of its sender's messages this is, from 0, and how many of them there are. */
  readonly part: number;
  readonly parts: number;
  readonly logs: readonly LogReport[];
}

const stages: readonly unknown[] = ['joining', 'active', 'halted'];
const tableCounts = [
  'regionCount',
  'regionSizeSectors',
  'generation',
  'lineage',
  'epoch',
  'closedEpoch',
  'endedEpoch',
  'outOfSyncSince',
] as const;
/** What the kernel gave may have become three bytes each as text. */
const uuidTextBytesMax = 3 * uuidBytesMax;

/** One message at least. */
export function encodeReports(tag: string, quorate: boolean, logs: readonly LogReport[]): Uint8Array[] {
  const groups: LogReport[][] = [[]];
  let bytes = 0;
  for (const log of logs) {
    const length = Buffer.byteLength(JSON.stringify(log));
    if (bytes + length > reportBytesMax) {
      groups.push([]);
      bytes = 0;
    }
    bytes += length;
    groups.at(-1)?.push(log);
  }
  const parts = groups.length;
  return groups.map((group, part) => {
    const said: Report = { tag, quorate, part, parts, logs: group };
    return Buffer.from(JSON.stringify(said), 'utf8');
  });
}

/** Null when the bytes are no report. */
export function decodeReport(bytes: Uint8Array): Report | null {
  try {
    const said: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return isReport(said) ? said : null;
  } catch {
    return null;
  }
}

function isReport(said: unknown): said is Report {
  if (!isObject<keyof Report>(said)) return false;
  const { tag, quorate, part, parts, logs } = said;
  if (typeof tag !== 'string' || typeof quorate !== 'boolean') return false;
  return isCount(part) && isCount(parts) && part < parts && Array.isArray(logs) && logs.every(isLogReport);
}

function isLogReport(said: unknown): said is LogReport {
  if (!isObject<keyof LogReport>(said)) return false;
  const { table, live, tableGone, marksUnknown, shape, valid, writing, rank, position } = said;
  const flags = [tableGone, marksUnknown, valid, writing].every((flag) => typeof flag === 'boolean');
  const ofWhat = live === null ? shape === null : stages.includes(live) && isShape(shape);
  return isTable(table) && ofWhat && flags && isCount(rank) && isCount(position);
}

function isShape(said: unknown): boolean {
  if (!isObject<keyof LogShape>(said)) return false;
  const { regionCount, regionSizeSectors, disk } = said;
  return isCount(regionCount) && isCount(regionSizeSectors) && typeof disk === 'boolean';
}

/** What cannot be told on, or kept in a record, is no table: whoever took it for one would end by that. */
export function isTable(said: unknown): said is MemberTable {
  if (!isObject<keyof MemberTable>(said)) return false;
  const { uuid, members, writer, lastLeaver, leftWritten, ended, writers } = said;
  if (typeof uuid !== 'string' || Buffer.byteLength(uuid) > uuidTextBytesMax) return false;
  if (!Array.isArray(members) || !members.every(isMember)) return false;
  if (!Array.isArray(ended) || !ended.every(isBootInEpoch)) return false;
  if (!Array.isArray(writers) || !writers.every(isBootInEpoch)) return false;
  if (typeof leftWritten !== 'boolean') return false;
  return isNodeOrNone(writer) && isNodeOrNone(lastLeaver) && tableCounts.every((name) => isCount(said[name]));
}

function isBootInEpoch(said: unknown): said is BootInEpoch {
  return isObject<keyof BootInEpoch>(said) && typeof said.boot === 'string' && isCount(said.epoch);
}

function isMember(said: unknown): boolean {
  if (!isObject<keyof Member>(said)) return false;
  const { node, name, boot, stage, rank, position } = said;
  const texts = typeof name === 'string' && typeof boot === 'string';
  return (
    isNode(node) && texts && stages.includes(stage) && (rank === withoutCopy || isCount(rank)) && isCount(position)
  );
}
