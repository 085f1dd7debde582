/**
 * Turns log entries into lines: `<3>event key=value` for the journal, `time level event key=value` on stderr, and for
 * the system log and for `cmirrord`'s stdout a sentence first, with event and fields behind it in brackets.
 *
 * Main thread only. Values with anything but plain characters are quoted as JSON, so an entry is one line whatever
 * a uuid or an error text contains.
 */
import type { LogTarget } from './config.js';
import type { LogEntry, LogLevel, LogSink } from './log-entry.js';
import { type SyslogLine, syslogWriter } from './syslog.js';

/** Levels as syslog numbers them. */
const levelNumber: Readonly<Record<LogLevel, number>> = { error: 3, warning: 4, notice: 5, info: 6, debug: 7 };

export interface LogWriterOptions {
  readonly target: LogTarget;
  /** Write `debug` entries too. */
  readonly verbose: boolean;
  /** Who writes, for the system log. */
  readonly ident: string;
  readonly stdout: (line: string) => void;
  readonly stderr: (line: string) => void;
  readonly now?: () => Date;
  /** In the place of the system log's socket. */
  readonly syslog?: SyslogLine;
}

export function logWriter(options: LogWriterOptions): LogSink {
  const write = lineWriter(options);
  return (entry) => {
    if (entry.level !== 'debug' || options.verbose) write(entry);
  };
}

function lineWriter(options: LogWriterOptions): LogSink {
  const now = options.now ?? (() => new Date());
  switch (options.target) {
    case 'journal':
      return (entry) => options.stderr(`<${levelNumber[entry.level]}>${body(entry)}\n`);
    case 'stdout':
      return (entry) => options.stdout(`${sentence(entry)}\n`);
    case 'syslog': {
      const line = options.syslog ?? syslogWriter({ ident: options.ident, pid: process.pid, now });
      return (entry) => line(levelNumber[entry.level], sentence(entry));
    }
    default:
      return (entry) => options.stderr(`${now().toISOString()} ${entry.level} ${body(entry)}\n`);
  }
}

/** An entry without an event is a line of its own, said as it is. */
export function sentence(entry: LogEntry): string {
  const { text, ...rest } = entry.fields;
  if (text === undefined) return body(entry);
  const plain = String(text).replaceAll(/\p{Cc}+/gu, ' ');
  return entry.event === '' ? plain : `${plain} [${body({ ...entry, fields: rest })}]`;
}

function body(entry: LogEntry): string {
  let line = entry.event;
  for (const [key, value] of Object.entries(entry.fields)) line += ` ${key}=${quoted(String(value))}`;
  return line.trimStart();
}

function quoted(value: string): string {
  return /^[\w./:@+,-]+$/.test(value) ? value : JSON.stringify(value);
}
