/**
 * Bounds how often one event is logged: `burst` entries a window, the rest counted. The first entry after a window
 * with suppressed ones carries their number, `flush` reports what nobody asked about again, and `end` the rest.
 *
 * A flood (a mirror with a dead log device asks again and again) then costs a counter and not a line.
 */
import type { LogEntry, LogSink } from './log-entry.js';

export interface RateLimitOptions {
  readonly burst: number;
  readonly windowMs: number;
  /** Distinct events that are told apart; what comes beyond shares one window. */
  readonly eventsMax?: number;
}

/** Where events beyond the bound are counted. */
const otherEvents = 'other-events';

interface Window {
  startMs: number;
  written: number;
  suppressed: number;
}

export class RateLimitedLog {
  readonly #windows = new Map<string, Window>();
  readonly #sink: LogSink;
  readonly #options: RateLimitOptions;

  constructor(sink: LogSink, options: RateLimitOptions) {
    this.#sink = sink;
    this.#options = options;
  }

  write(entry: LogEntry, nowMs: number): void {
    const window = this.#windowOf(entry.event, nowMs);
    if (nowMs - window.startMs >= this.#options.windowMs) {
      this.#report(entry.event, window);
      window.startMs = nowMs;
      window.written = 0;
    }
    if (window.written >= this.#options.burst) {
      window.suppressed += 1;
      return;
    }
    window.written += 1;
    this.#sink(entry);
  }

  /** Reports the suppressed entries of windows that are over. Call it now and then. */
  flush(nowMs: number): void {
    for (const [event, window] of this.#windows) {
      if (nowMs - window.startMs >= this.#options.windowMs) this.#report(event, window);
    }
  }

  /** Reports all that was suppressed: nothing more will be written. */
  end(): void {
    for (const [event, window] of this.#windows) this.#report(event, window);
  }

  #report(event: string, window: Window): void {
    if (window.suppressed === 0) return;
    const fields = { what: event, suppressed: window.suppressed, windowMs: this.#options.windowMs };
    window.suppressed = 0;
    this.#sink({ level: 'notice', event: 'log-rate-limited', fields });
  }

  #windowOf(event: string, nowMs: number): Window {
    const known = this.#windows.get(event);
    if (known !== undefined) return known;
    if (this.#windows.size >= (this.#options.eventsMax ?? 256) && event !== otherEvents) {
      return this.#windowOf(otherEvents, nowMs);
    }
    const window = { startMs: nowMs, written: 0, suppressed: 0 };
    this.#windows.set(event, window);
    return window;
  }
}
