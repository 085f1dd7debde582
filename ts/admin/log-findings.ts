/**
 * What is wrong with a log area, by name. A finding is something that makes a log unsound or unfit for its mirror; a note is
 * worth knowing and sound. Pure.
 */
import { logBitsOffset, regionCountMax } from '../base/limits.js';
import type { LogArea } from './log-file.js';
import { oneLine } from './one-line.js';

export interface Finding {
  readonly code: string;
  readonly severity: 'finding' | 'note';
  readonly text: string;
}

const headerFieldsBytes = 16;
const sessionOffset = 512;
const sessionMagic = 'LSSESS01';

/** @param regionCount regions that the mirror has, null: not known. */
export function findingsOf(area: LogArea, regionCount: number | null): Finding[] {
  const findings: Finding[] = [];
  const add = (code: string, text: string, severity: Finding['severity'] = 'finding') =>
    findings.push({ code, severity, text });
  if (area.bytes < logBitsOffset) {
    add('too-small', `${area.bytes} bytes: a log begins with ${logBitsOffset} bytes of header and session record`);
    if (area.bytes < headerFieldsBytes) return findings;
  }
  checkHeader(area, add);
  if (area.header.kind !== 'valid') return findings;
  checkSizes(area, regionCount, add);
  checkSession(area, add);
  const padding = area.head.subarray(headerFieldsBytes, sessionOffset);
  if (padding.some((byte) => byte !== 0)) {
    add('padding', `bytes ${headerFieldsBytes} to ${sessionOffset - 1} are not all zero: something else wrote here`);
  }
  return findings;
}

type Add = (code: string, text: string, severity?: Finding['severity']) => void;

function checkHeader({ header, head }: LogArea, add: Add): void {
  if (header.kind === 'unsupported') {
    add(
      'version',
      `version ${header.version}: only 1 and 2 are known, and a daemon treats this device as not to be read`,
    );
  } else if (header.kind === 'none') {
    const magic = head.subarray(0, 4).toString('hex');
    const zero = head.every((byte) => byte === 0);
    if (magic === '7252694d') add('region-count', 'the header counts more regions than any log has: it is damaged');
    else if (zero) add('no-log', 'all zero: no log was ever written here; a mirror on it starts with a full resync');
    else add('magic', `begins with bytes ${magic}, a log with 7252694d: no log, or another program has overwritten it`);
  } else if (header.version === 1) {
    add('version-1', 'version 1, read as 2; the next commit writes 2', 'note');
  }
}

function checkSizes(area: LogArea, regionCount: number | null, add: Add): void {
  const { header, bytes, areaBytes } = area;
  if (header.regionCount === 0) {
    add(
      'region-count-zero',
      'the header counts 0 regions: its first write was cut off; a mirror on it starts with a full resync',
    );
  }
  if (header.regionCount > regionCountMax) {
    add('region-count', `the header counts ${header.regionCount} regions, a log has at most ${regionCountMax}`);
  }
  if (bytes >= logBitsOffset && areaBytes > bytes) {
    add('too-small', `${header.regionCount} regions take ${areaBytes} bytes, there are ${bytes}: bits are missing`);
  }
  if (regionCount === null) return;
  const needed = logBitsOffset + Math.ceil(regionCount / 8);
  if (needed > bytes) {
    add('too-small-for-mirror', `a mirror of ${regionCount} regions needs ${needed} bytes, there are ${bytes}`);
  }
  if (header.regionCount < regionCount) {
    add(
      'region-count-differs',
      `the header counts ${header.regionCount} regions, the mirror has ${regionCount}: the rest is resynced`,
    );
  } else if (header.regionCount > regionCount) {
    add(
      'region-count-differs',
      `the header counts ${header.regionCount} regions, the mirror has ${regionCount}: is this its log?`,
    );
  }
}

function checkSession({ head, session }: LogArea, add: Add): void {
  const record = head.subarray(sessionOffset, logBitsOffset);
  if (session !== null) {
    if (!session.closed) {
      const text = `host "${oneLine(session.nodeName)}" has it open, or did not close it: it is in use, or its host went down`;
      add('session-open', text, 'note');
    }
    return;
  }
  if (record.every((byte) => byte === 0)) {
    add('no-session', 'no session record: last written by cmirrord or by the kernel itself', 'note');
  } else if (record.subarray(0, sessionMagic.length).toString('latin1') === sessionMagic) {
    add(
      'session-torn',
      'the session record does not fit its checksum: torn or damaged; it is ignored when the log is loaded',
    );
  } else {
    add('session-foreign', `bytes ${sessionOffset} to ${logBitsOffset - 1} hold something that is no session record`);
  }
}
