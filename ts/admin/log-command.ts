/** `lockstep log dump` and `lockstep log check`: what stands on a log device, and whether it is sound. No daemon is asked. */

import { type LogArea, LogFileError, readLogArea } from './log-file.js';
import { type Finding, findingsOf } from './log-findings.js';
import { bytesText } from './status-text.js';
import { Exit, type Terminal } from './terminal.js';

const indent = ' '.repeat(9);
const lineCharacters = 70;

export const logSchema = 'lockstep-log-1';

export interface LogFileOptions {
  readonly path: string;
  readonly json: boolean;
  /** Ranges to show, 0: all. */
  readonly limit: number;
  /** Regions that the mirror has; null: not given. */
  readonly regionCount: number | null;
}

export async function logDumpCommand(options: LogFileOptions, terminal: Terminal): Promise<Exit> {
  const area = read(options.path, options.limit, terminal);
  if (area === null) return Exit.trouble;
  const valid = area.header.kind === 'valid';
  if (options.json) terminal.out(`${JSON.stringify(dumpJson(area), null, 2)}\n`);
  else terminal.out(`${dumpLines(area).join('\n')}\n`);
  if (!valid) terminal.err(`lockstep: ${findingsOf(area, null)[0]?.text ?? 'no log'}\n`);
  return valid ? Exit.ok : Exit.trouble;
}

export async function logCheckCommand(options: LogFileOptions, terminal: Terminal): Promise<Exit> {
  const area = read(options.path, 1, terminal);
  if (area === null) return Exit.trouble;
  const findings = findingsOf(area, options.regionCount);
  const sound = findings.every(({ severity }) => severity === 'note');
  if (options.json) {
    terminal.out(
      `${JSON.stringify({ schema: logSchema, path: area.path, sound, ...headJson(area), findings }, null, 2)}\n`,
    );
  } else {
    terminal.out(`${checkLines(area, findings, sound).join('\n')}\n`);
  }
  return sound ? Exit.ok : Exit.trouble;
}

function read(path: string, rangesMax: number, terminal: Terminal): LogArea | null {
  try {
    return readLogArea(path, rangesMax);
  } catch (error) {
    if (!(error instanceof LogFileError)) throw error;
    terminal.err(`lockstep: ${error.message}\n`);
    return null;
  }
}

function headJson({ kind, bytes, header, session, areaBytes }: LogArea): object {
  return { kind, bytes, header, session, areaBytes: header.kind === 'valid' ? areaBytes : null };
}

function dumpJson(area: LogArea): object {
  const { path, dirtyCount, ranges, rangeCount, readableRegions } = area;
  return { schema: logSchema, path, ...headJson(area), readableRegions, dirtyRegions: dirtyCount, rangeCount, ranges };
}

function dumpLines(area: LogArea): string[] {
  const { header, session, dirtyCount, readableRegions, ranges, rangeCount } = area;
  const lines = [`${area.path}: ${area.kind} of ${area.bytes} bytes (${bytesText(area.bytes)})`];
  if (header.kind !== 'valid') return lines;
  lines.push(
    `header   version ${header.version}, ${header.regionCount} regions, ${area.areaBytes} bytes with their bits`,
  );
  if (session === null) {
    lines.push('session  none');
  } else {
    lines.push(`session  ${session.closed ? 'closed' : 'open'}, uuid ${JSON.stringify(session.uuid)}`);
    lines.push(`         host ${JSON.stringify(session.nodeName)}, boot ${session.bootId}`);
    lines.push(`         epoch ${session.writerEpoch}, resumes ${session.resumeCount}`);
  }
  lines.push(`clean    ${readableRegions - dirtyCount}`, `dirty    ${dirtyCount}, in ${rangeCount} ranges`);
  lines.push(...filled(ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`))));
  if (rangeCount > ranges.length)
    lines.push(`         and ${rangeCount - ranges.length} ranges more (--limit 0 shows all)`);
  return lines;
}

/** Words put together into lines. */
function filled(words: readonly string[]): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of words) {
    if (line !== '' && line.length + word.length + 1 > lineCharacters) {
      lines.push(indent + line);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return line === '' ? lines : [...lines, indent + line];
}

function checkLines(area: LogArea, findings: readonly Finding[], sound: boolean): string[] {
  const lines = findings.map(
    ({ code, severity, text }) => `${severity === 'note' ? 'note' : 'FINDING'} ${code}: ${text}`,
  );
  const { header, dirtyCount } = area;
  const what = header.kind === 'valid' ? `, ${header.regionCount} regions, ${dirtyCount} dirty` : '';
  return [...lines, `${area.path}: ${sound ? 'sound' : 'NOT SOUND'}${what}`];
}
