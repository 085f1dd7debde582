/**
 * Turns log entries into lines on stderr: `<3>event key=value` for the journal, `time level event key=value` else.
 *
 * Main thread only. Values with anything but plain characters are quoted as JSON, so an entry is one line whatever
 * a uuid or an error text contains.
 */
import type { LogEntry, LogLevel, LogSink } from './log-entry.js';

/** Levels as syslog numbers them. */
const levelNumber: Readonly<Record<LogLevel, number>> = { error: 3, warning: 4, notice: 5, info: 6, debug: 7 };

export interface LogWriterOptions {
  readonly journal: boolean;
  /** Write `debug` entries too. */
  readonly verbose: boolean;
  readonly write: (line: string) => void;
  readonly now?: () => Date;
}

export function logWriter(options: LogWriterOptions): LogSink {
  const now = options.now ?? (() => new Date());
  return (entry) => {
    if (entry.level === 'debug' && !options.verbose) return;
    options.write(options.journal ? journalLine(entry) : plainLine(entry, now()));
  };
}

function journalLine(entry: LogEntry): string {
  return `<${levelNumber[entry.level]}>${body(entry)}\n`;
}

function plainLine(entry: LogEntry, time: Date): string {
  return `${time.toISOString()} ${entry.level} ${body(entry)}\n`;
}

function body(entry: LogEntry): string {
  let line = entry.event;
  for (const [key, value] of Object.entries(entry.fields)) line += ` ${key}=${quoted(String(value))}`;
  return line;
}

function quoted(value: string): string {
  return /^[\w./:@+,-]+$/.test(value) ? value : JSON.stringify(value);
}
