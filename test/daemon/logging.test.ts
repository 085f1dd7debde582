/** Log lines as they are written, and floods that are counted. */
import { describe, expect, it } from 'vitest';
import type { LogEntry } from '../../ts/daemon/log-entry.js';
import { logWriter } from '../../ts/daemon/log-writer.js';
import { RateLimitedLog } from '../../ts/daemon/rate-limit.js';

const entry: LogEntry = {
  level: 'error',
  event: 'log-failed',
  fields: { uuid: 'LVM-x', errno: 5, text: 'read failed' },
};

function written(options: { journal: boolean; verbose: boolean }, ...entries: LogEntry[]): string[] {
  const lines: string[] = [];
  const write = logWriter({ ...options, write: (line) => lines.push(line), now: () => new Date(0) });
  for (const one of entries) write(one);
  return lines;
}

describe('a line', () => {
  it('has time, level, event and quoted values', () => {
    expect(written({ journal: false, verbose: false }, entry)).toEqual([
      '1970-01-01T00:00:00.000Z error log-failed uuid=LVM-x errno=5 text="read failed"\n',
    ]);
  });

  it('has a level prefix and no time for the journal', () => {
    expect(written({ journal: true, verbose: false }, entry)).toEqual([
      '<3>log-failed uuid=LVM-x errno=5 text="read failed"\n',
    ]);
  });

  it('stays one line whatever a value holds', () => {
    const nasty: LogEntry = { level: 'info', event: 'seen', fields: { uuid: 'a\nb <3>c="d"', empty: '' } };
    expect(written({ journal: true, verbose: false }, nasty)).toEqual(['<6>seen uuid="a\\nb <3>c=\\"d\\"" empty=""\n']);
  });

  it('of level debug is written only when verbose', () => {
    const debug: LogEntry = { level: 'debug', event: 'x', fields: {} };
    expect(written({ journal: true, verbose: false }, debug)).toEqual([]);
    expect(written({ journal: true, verbose: true }, debug)).toEqual(['<7>x\n']);
  });
});

describe('a flood', () => {
  const limit = { burst: 3, windowMs: 1000 };

  function limited(options = limit) {
    const seen: string[] = [];
    const log = new RateLimitedLog((one) => seen.push(`${one.event} ${JSON.stringify(one.fields)}`), options);
    return { seen, log };
  }
  const of = (event: string): LogEntry => ({ level: 'info', event, fields: {} });

  it('is cut at the burst and counted when the window is over', () => {
    const { seen, log } = limited();
    for (let i = 0; i < 10; i++) log.write(of('a'), 100 + i);
    expect(seen).toEqual(['a {}', 'a {}', 'a {}']);
    log.write(of('a'), 1200);
    expect(seen.slice(3)).toEqual(['log-rate-limited {"what":"a","suppressed":7,"windowMs":1000}', 'a {}']);
  });

  it('is counted even when nothing comes after it', () => {
    const { seen, log } = limited();
    for (let i = 0; i < 5; i++) log.write(of('a'), 0);
    log.flush(999);
    expect(seen).toHaveLength(3);
    log.flush(1000);
    log.flush(1001);
    expect(seen.slice(3)).toEqual(['log-rate-limited {"what":"a","suppressed":2,"windowMs":1000}']);
  });

  it('of one event leaves the others alone', () => {
    const { seen, log } = limited();
    for (let i = 0; i < 5; i++) log.write(of('a'), 0);
    log.write(of('b'), 0);
    expect(seen).toContain('b {}');
  });

  it('of ever new events shares one window', () => {
    const { seen, log } = limited({ ...limit, eventsMax: 2 } as typeof limit);
    for (let i = 0; i < 20; i++) log.write(of(`event-${i}`), 0);
    expect(seen).toHaveLength(5);
  });
});
