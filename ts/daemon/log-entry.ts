/**
 * One line of the daemon's log as data, made in any thread and written by the main one.
 *
 * The engine posts entries and goes on: it never waits for whoever reads stderr.
 */
export type LogLevel = 'error' | 'warning' | 'notice' | 'info' | 'debug';

export interface LogEntry {
  readonly level: LogLevel;
  /** Stable name of what happened, e.g. `log-failed`. */
  readonly event: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

export type LogSink = (entry: LogEntry) => void;
