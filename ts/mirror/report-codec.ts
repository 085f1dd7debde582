/**
 * What a daemon says when somebody came to the group, as bytes: JSON, for it is rare and the transport checks its sum. In as many messages
 * as the logs take that it knows of.
 */
import { reportBytesMax } from '../base/limits.js';
import type { MemberTable } from './member-table.js';
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
  if (!isObject(said)) return false;
  const { tag, quorate, part, parts, logs } = said;
  if (typeof tag !== 'string' || typeof quorate !== 'boolean') return false;
  return typeof part === 'number' && typeof parts === 'number' && Array.isArray(logs) && logs.every(isLogReport);
}

function isLogReport(said: unknown): said is LogReport {
  if (!isObject(said)) return false;
  const { table, live, valid, writing, rank, position } = said;
  const stages: readonly unknown[] = [null, 'joining', 'active', 'halted'];
  const numbers = typeof rank === 'number' && typeof position === 'number';
  return (
    isTable(table) && stages.includes(live) && typeof valid === 'boolean' && typeof writing === 'boolean' && numbers
  );
}

export function isTable(said: unknown): said is MemberTable {
  if (!isObject(said)) return false;
  const { uuid, members, ended } = said;
  if (typeof uuid !== 'string' || !Array.isArray(members) || !Array.isArray(ended)) return false;
  const numbers = ['regionCount', 'regionSizeSectors', 'generation', 'lineage', 'writer', 'epoch', 'lastLeaver'];
  return numbers.every((name) => typeof said[name] === 'number') && members.every(isMember);
}

function isMember(said: unknown): boolean {
  if (!isObject(said)) return false;
  const { node, boot, stage } = said;
  return typeof node === 'number' && typeof boot === 'string' && typeof stage === 'string';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
