/** `lockstep log dump` and `lockstep log check`: what stands on a log device, and whether it is sound. No daemon is asked. */
import { dirtyRangesOf, type LogArea, LogFileError, type Range, readLogArea } from './log-file.js';
import { type Finding, findingsOf } from './log-findings.js';
import { oneLine } from './one-line.js';
import { bytesText } from './status-text.js';
import { Exit, type Terminal } from './terminal.js';

const indent = ' '.repeat(9);
const lineCharacters = 70;
const rangesAPiece = 8192;

export const logSchema = 'lockstep-log-1';

export interface LogFileOptions {
  readonly path: string;
  readonly json: boolean;
  /** Ranges to show, 0: all. */
  readonly limit: number;
  /** Regions that the mirror has; null: not given. */
  readonly regionCount: number | null;
}

export function logDumpCommand(options: LogFileOptions, terminal: Terminal): Promise<Exit> {
  return reading(terminal, async () => {
    const area = readLogArea(options.path);
    const valid = area.header.kind === 'valid';
    if (options.json) await dumpJson(area, options.limit, terminal);
    else await dumpText(area, options.limit, terminal);
    if (!valid) terminal.err(`lockstep: ${findingsOf(area, null)[0]?.text ?? 'no log'}\n`);
    return valid ? Exit.ok : Exit.trouble;
  });
}

export function logCheckCommand(options: LogFileOptions, terminal: Terminal): Promise<Exit> {
  return reading(terminal, async () => checked(readLogArea(options.path), options, terminal));
}

function checked(area: LogArea, options: LogFileOptions, terminal: Terminal): Exit {
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

async function reading(terminal: Terminal, read: () => Promise<Exit>): Promise<Exit> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof LogFileError)) throw error;
    terminal.err(`lockstep: ${error.message}\n`);
    return Exit.trouble;
  }
}

/** The first ranges of dirty regions, as texts of at most some hundred KiB, until nobody wants more. */
async function inPieces(area: LogArea, limit: number, terminal: Terminal, take: (ranges: readonly Range[]) => void) {
  let left = limit === 0 ? Number.POSITIVE_INFINITY : limit;
  let wanted = true;
  void terminal.stopped.then(() => {
    wanted = false;
  });
  for (const found of dirtyRangesOf(area)) {
    for (let at = 0; at < found.length && left > 0 && wanted; at += rangesAPiece) {
      const some = found.slice(at, at + Math.min(rangesAPiece, left));
      left -= some.length;
      take(some);
      // A reader that is gone, and Ctrl-C, are heard between two pieces.
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (left === 0 || !wanted) return;
  }
}

function headJson({ kind, bytes, header, session, areaBytes }: LogArea): object {
  return { kind, bytes, header, session, areaBytes: header.kind === 'valid' ? areaBytes : null };
}

async function dumpJson(area: LogArea, limit: number, terminal: Terminal): Promise<void> {
  const { path, dirtyCount, rangeCount, readableRegions } = area;
  const head = { schema: logSchema, path, ...headJson(area), readableRegions, dirtyRegions: dirtyCount, rangeCount };
  terminal.out(`${JSON.stringify(head, null, 2).slice(0, -'\n}'.length)},\n  "ranges": [`);
  let separator = '\n';
  await inPieces(area, limit, terminal, (ranges) => {
    terminal.out(separator + ranges.map(([first, last]) => `    [${first}, ${last}]`).join(',\n'));
    separator = ',\n';
  });
  terminal.out(separator === '\n' ? ']\n}\n' : '\n  ]\n}\n');
}

async function dumpText(area: LogArea, limit: number, terminal: Terminal): Promise<void> {
  terminal.out(`${headLines(area).join('\n')}\n`);
  if (area.header.kind !== 'valid') return;
  let shown = 0;
  await inPieces(area, limit, terminal, (ranges) => {
    shown += ranges.length;
    const words = ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`));
    terminal.out(filled(words));
  });
  if (area.rangeCount > shown)
    terminal.out(`         and ${area.rangeCount - shown} ranges more (--limit 0 shows all)\n`);
}

function headLines(area: LogArea): string[] {
  const { header, session, dirtyCount, readableRegions, rangeCount } = area;
  const lines = [`${area.path}: ${area.kind} of ${area.bytes} bytes (${bytesText(area.bytes)})`];
  if (header.kind !== 'valid') return lines;
  lines.push(
    `header   version ${header.version}, ${header.regionCount} regions, ${area.areaBytes} bytes with their bits`,
  );
  if (session === null) {
    lines.push('session  none');
  } else {
    lines.push(`session  ${session.closed ? 'closed' : 'open'}, uuid "${oneLine(session.uuid)}"`);
    lines.push(`         host "${oneLine(session.nodeName)}", boot ${oneLine(session.bootId)}`);
    const size = session.regionSizeSectors === 0 ? '' : `, regions of ${session.regionSizeSectors} sectors`;
    lines.push(`         epoch ${session.writerEpoch}, resumes ${session.resumeCount}${size}`);
  }
  const missing = header.regionCount - readableRegions;
  if (missing > 0) lines.push(`bits     of ${missing} regions are missing: the ${area.kind} ends before them`);
  const ranges = rangeCount === 1 ? 'range' : 'ranges';
  lines.push(`clean    ${readableRegions - dirtyCount}`, `dirty    ${dirtyCount}, in ${rangeCount} ${ranges}`);
  return lines;
}

/** Words put together into lines. */
function filled(words: readonly string[]): string {
  let text = '';
  let line = '';
  for (const word of words) {
    if (line !== '' && line.length + word.length + 1 > lineCharacters) {
      text += `${indent}${line}\n`;
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return line === '' ? text : `${text}${indent}${line}\n`;
}

function checkLines(area: LogArea, findings: readonly Finding[], sound: boolean): string[] {
  const lines = findings.map(
    ({ code, severity, text }) => `${severity === 'note' ? 'note' : 'FINDING'} ${code}: ${text}`,
  );
  const { header, dirtyCount } = area;
  const what = header.kind === 'valid' ? `, ${header.regionCount} regions, ${dirtyCount} dirty` : '';
  return [...lines, `${area.path}: ${sound ? 'sound' : 'NOT SOUND'}${what}`];
}
