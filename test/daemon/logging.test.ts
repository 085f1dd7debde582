/** Log lines as they are written, and floods that are counted. */
import { describe, expect, it } from 'vitest';
import type { LogTarget } from '../../ts/daemon/config.js';
import type { LogEntry } from '../../ts/daemon/log-entry.js';
import { logWriter } from '../../ts/daemon/log-writer.js';
import { RateLimitedLog } from '../../ts/daemon/rate-limit.js';

const entry: LogEntry = {
  level: 'error',
  event: 'log-failed',
  fields: { uuid: 'LVM-x', errno: 5, text: 'read failed' },
};

function written(options: { target: LogTarget; verbose: boolean }, ...entries: LogEntry[]): string[] {
  const lines: string[] = [];
  const take = (line: string) => lines.push(line);
  const syslog = (level: number, text: string) => lines.push(`${level} ${text}`);
  const now = () => new Date(0);
  const write = logWriter({ ...options, ident: 'x', stdout: take, stderr: take, syslog, now });
  for (const one of entries) write(one);
  return lines;
}

describe('a line', () => {
  it('has time, level, event and quoted values', () => {
    expect(written({ target: 'stderr', verbose: false }, entry)).toEqual([
      '1970-01-01T00:00:00.000Z error log-failed uuid=LVM-x errno=5 text="read failed"\n',
    ]);
  });

  it('has a level prefix and no time for the journal', () => {
    expect(written({ target: 'journal', verbose: false }, entry)).toEqual([
      '<3>log-failed uuid=LVM-x errno=5 text="read failed"\n',
    ]);
  });

  it("has its sentence first in the system log and on cmirrord's stdout", () => {
    expect(written({ target: 'syslog', verbose: false }, entry)).toEqual([
      '3 read failed [log-failed uuid=LVM-x errno=5]',
    ]);
    expect(written({ target: 'stdout', verbose: false }, entry)).toEqual([
      'read failed [log-failed uuid=LVM-x errno=5]\n',
    ]);
    const started: LogEntry = { level: 'notice', event: '', fields: { text: 'Starting\ncmirrord:' } };
    expect(written({ target: 'stdout', verbose: false }, started)).toEqual(['Starting cmirrord:\n']);
  });

  it('stays one line whatever a value holds', () => {
    const nasty: LogEntry = { level: 'info', event: 'seen', fields: { uuid: 'a\nb <3>c="d"', empty: '' } };
    expect(written({ target: 'journal', verbose: false }, nasty)).toEqual([
      '<6>seen uuid="a\\nb <3>c=\\"d\\"" empty=""\n',
    ]);
  });

  it('of level debug is written only when verbose', () => {
    const debug: LogEntry = { level: 'debug', event: 'x', fields: {} };
    expect(written({ target: 'journal', verbose: false }, debug)).toEqual([]);
    expect(written({ target: 'journal', verbose: true }, debug)).toEqual(['<7>x\n']);
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

  it('is counted at the end, however young its window is', () => {
    const { seen, log } = limited();
    for (let i = 0; i < 5; i++) log.write(of('a'), 0);
    log.end();
    log.end();
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
