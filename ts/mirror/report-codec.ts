/** What a daemon says when somebody came to the group, as bytes: JSON, for it is rare and the transport checks its sum. */
import type { MemberTable } from './member-table.js';
import type { LogReport } from './return-merge.js';

export interface Report {
  /** The group that its sender knew: of another group nobody wants to hear. */
  readonly tag: string;
  readonly quorate: boolean;
  readonly logs: readonly LogReport[];
}

export function encodeReport(tag: string, quorate: boolean, logs: readonly LogReport[]): Uint8Array {
  return Buffer.from(JSON.stringify({ tag, quorate, logs } satisfies Report), 'utf8');
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
  if (!isObject(said) || typeof said['tag'] !== 'string' || typeof said['quorate'] !== 'boolean') return false;
  return Array.isArray(said['logs']) && said['logs'].every(isLogReport);
}

function isLogReport(said: unknown): said is LogReport {
  if (!isObject(said) || !isTable(said['table'])) return false;
  const { live } = said;
  const stages: readonly unknown[] = [null, 'joining', 'active', 'halted'];
  return stages.includes(live) && typeof said['valid'] === 'boolean' && typeof said['rank'] === 'number';
}

function isTable(said: unknown): said is MemberTable {
  if (!isObject(said) || typeof said['uuid'] !== 'string' || !Array.isArray(said['members'])) return false;
  const numbers = ['regionCount', 'regionSizeSectors', 'generation', 'writer', 'epoch', 'lastLeaver'];
  if (!numbers.every((name) => typeof said[name] === 'number')) return false;
  return said['members'].every((member) => isObject(member) && typeof member['node'] === 'number');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
