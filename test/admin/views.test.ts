/** What is pure in the admin room: history, rates, tables, names, choice of a log, status texts. */
import { describe, expect, it } from 'vitest';
import type { LogStatus } from '../../ts/admin/daemon-status.js';
import { namesOfTable } from '../../ts/admin/dm-names.js';
import { EventRing } from '../../ts/admin/event-ring.js';
import { LineReader } from '../../ts/admin/line-reader.js';
import { chooseLog } from '../../ts/admin/log-choice.js';
import type { StatusResult } from '../../ts/admin/protocol.js';
import { ResyncRates, rateKey } from '../../ts/admin/resync-rates.js';
import { bytesText, duration } from '../../ts/admin/status-text.js';
import { unheardMirrors } from '../../ts/admin/status-view.js';
import { UsageError } from '../../ts/admin/terminal.js';
import { shorten, tableLines } from '../../ts/admin/text-table.js';

const log: LogStatus = {
  uuid: 'LVM-a',
  luid: '0000000000001000',
  type: 'core',
  lifeCycle: 'active',
  restored: false,
  regionCount: 1000,
  regionSizeSectors: 1024,
  dirtyCount: 900,
  inSyncCount: 100,
  heldCount: 0,
  stickyCount: 0,
  ownedCount: 0,
  recoveringRegion: -1,
  inSyncLatched: false,
  marksUnknown: false,
  logFailed: false,
  resumeCount: 1,
  everResumed: true,
  logDevice: null,
  logDeviceNumbers: null,
  cluster: null,
};

describe('a mirror of this kernel that no log is known for', () => {
  const mirrors = new Map([
    ['LVM-a', 'vg-a'],
    ['old-uuid', 'old'],
  ]);
  const result = (kernel: 'connector' | 'simulated', fresh = true) =>
    ({ status: { kernel, logs: [log] }, fresh }) as unknown as StatusResult;

  it('is trouble, by its name, with what makes it ask', () => {
    expect(unheardMirrors(mirrors, result('connector'))).toEqual([
      { code: 'unheard', log: 'old-uuid', text: expect.stringContaining('dmsetup status old') },
    ]);
  });

  it('is none where another kernel is served, or where the daemon has said nothing of late', () => {
    expect(unheardMirrors(mirrors, result('simulated'))).toEqual([]);
    expect(unheardMirrors(mirrors, result('connector', false))).toEqual([]);
  });
});

describe('the history of events', () => {
  function filled(count: number, capacity: number): EventRing {
    const ring = new EventRing('a', capacity);
    for (let i = 1; i <= count; i++) ring.push({ time: '', level: 'info', event: `e${i}`, fields: {} });
    return ring;
  }
  const names = (ring: EventRing, ...args: Parameters<EventRing['behind']>) =>
    ring.behind(...args).events.map(({ event }) => event);

  it('is empty at first, and asked from there again', () => {
    expect(filled(0, 4).behind(0, 10)).toEqual({ stream: 'a', events: [], lost: 0, next: 0, more: false });
  });

  it('gives what is behind a number, in pieces', () => {
    const ring = filled(5, 8);
    expect(names(ring, 2, 10)).toEqual(['e3', 'e4', 'e5']);
    expect(ring.behind(0, 2)).toMatchObject({ next: 2, more: true, lost: 0 });
    expect(ring.behind(5, 2)).toMatchObject({ events: [], next: 5, more: false });
  });

  it('keeps the newest and counts what fell out', () => {
    const ring = filled(11, 4);
    expect(names(ring, 0, 10)).toEqual(['e8', 'e9', 'e10', 'e11']);
    expect(ring.behind(0, 10).lost).toBe(7);
    expect(ring.behind(5, 10).lost).toBe(2);
    expect(ring.behind(7, 10).lost).toBe(0);
  });

  it('begins anew for who comes from another daemon, whatever number he has', () => {
    const ring = filled(3, 8);
    expect(names(ring, 2, 10, 'b')).toEqual(['e1', 'e2', 'e3']);
    expect(names(ring, 2, 10, 'a')).toEqual(['e3']);
    expect(names(ring, 99, 10)).toEqual(['e1', 'e2', 'e3']);
  });

  it('keeps no text of any length', () => {
    const ring = new EventRing('a');
    ring.push({ time: '', level: 'info', event: 'long', fields: { text: 'x'.repeat(100_000), number: 1 } });
    const { text, number } = ring.behind(0, 1).events[0]?.fields ?? {};
    expect(String(text).length).toBeLessThan(3000);
    expect(number).toBe(1);
  });
});

describe('resync rates', () => {
  const at = (inSyncCount: number, over: Partial<LogStatus> = {}) => [{ ...log, inSyncCount, ...over }];

  it('are counted between looks, over a minute at most', () => {
    const rates = new ResyncRates();
    rates.look(at(100), 0);
    expect(rates.rates(at(100))).toEqual({});
    rates.look(at(120), 2000);
    expect(rates.rates(at(120))[rateKey(log)]).toEqual({ regionsPerSecond: 10, secondsLeft: 88, spanMs: 2000 });
    rates.look(at(120), 61_000);
    rates.look(at(120), 70_000);
    expect(rates.rates(at(120))[rateKey(log)]).toEqual({ regionsPerSecond: 0, secondsLeft: null, spanMs: 9000 });
  });

  it('begin anew when the count falls, with another instance, and after a suspend', () => {
    for (const next of [at(50), at(120, { luid: '0000000000002000' })]) {
      const rates = new ResyncRates();
      rates.look(at(100), 0);
      rates.look(next, 2000);
      expect(rates.rates(next)).toEqual({});
    }
    const rates = new ResyncRates();
    rates.look(at(100), 0);
    rates.look(at(100, { lifeCycle: 'pending' }), 1000);
    rates.look(at(110), 2000);
    expect(rates.rates(at(110))).toEqual({});
  });
});

describe('a table', () => {
  const columns = [
    { title: 'LOG', widthMin: 6 },
    { title: 'N', right: true },
    { title: 'MORE', dropOrder: 1 },
  ];
  const rows = [
    ['LVM-0123456789abcdef', '5', 'something long here'],
    ['b', '1234', '-'],
  ];

  it('is as wide as it must be where nothing bounds it, without blanks at the end', () => {
    expect(tableLines(columns, rows, null)).toEqual([
      'LOG                      N  MORE',
      'LVM-0123456789abcdef     5  something long here',
      'b                     1234  -',
    ]);
  });

  it.each([60, 47, 40, 33, 30, 20, 14])('fits %d characters, and keeps both ends of a name', (width) => {
    const lines = tableLines(columns, rows, width);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
    expect(lines[1]).toMatch(/^LV.*f +5/);
  });

  it('shortens in the middle', () => {
    expect(shorten('abcdefghij', 6)).toBe('ab..ij');
    expect(shorten('abc', 3)).toBe('abc');
  });
});

describe('a log', () => {
  const logs = [
    log,
    { ...log, uuid: 'LVM-b' },
    { ...log, uuid: 'LVM-b', luid: '2'.repeat(16), lifeCycle: 'pending' as const },
  ];
  const names = new Map([['LVM-b', 'vg-m']]);

  it.each([
    ['LVM-a', 'LVM-a'],
    ['LVM-b', 'LVM-b'],
    ['vg-m', 'LVM-b'],
    ['/dev/mapper/vg-m', 'LVM-b'],
  ])('called %s is %s, the instance that serves', (wanted, uuid) => {
    expect(chooseLog(wanted, logs, names)).toMatchObject({ uuid, lifeCycle: 'active' });
  });

  it('that is none, or not one only, is refused with what there is', () => {
    expect(() => chooseLog('LVM', logs, names)).toThrow(new UsageError('"LVM" fits several logs: LVM-a, LVM-b (vg-m)'));
    expect(() => chooseLog('x', logs, names)).toThrow('no log "x"; there are: LVM-a, LVM-b (vg-m)');
    expect(() => chooseLog('x', [], names)).toThrow('the daemon has no logs');
  });

  it('is found by the table of its mirror', () => {
    const table = [
      'vg-m: 0 8192 mirror userspace 4 LVM-x clustered-disk 253:2 1024 2 253:3 0 253:4 0 1 handle_errors',
      'odd name: 0 8192 mirror userspace 3 LVM-y clustered-core 1024 2 253:3 0 253:4 0',
      'plain: 0 8192 mirror core 1 1024 2 253:3 0 253:4 0',
      'No devices found',
    ].join('\n');
    expect([...namesOfTable(table)]).toEqual([
      ['LVM-x', 'vg-m'],
      ['LVM-y', 'odd name'],
    ]);
  });
});

it('lines are cut out of bytes however those come, and a line too long ends it', () => {
  const reader = new LineReader(8);
  expect(reader.push(Buffer.from('ab'))).toEqual([]);
  expect(reader.push(Buffer.from('c\r\n\nd\ne'))).toEqual(['abc', 'd']);
  expect(reader.push(Buffer.from('fghijkl\n'))).toEqual(['efghijkl']);
  expect(reader.push(Buffer.from('1234'))).toEqual([]);
  expect(reader.push(Buffer.from('56789\nok\n'))).toEqual([]);
  expect(reader.overlong).toBe(true);
  expect(reader.push(Buffer.from('ok\n'))).toEqual([]);
});

it('sizes and times are short', () => {
  expect([0, 1023, 1024, 1536, 8 << 20, 2.5e12].map(bytesText)).toEqual([
    '0 B',
    '1023 B',
    '1 KiB',
    '1.5 KiB',
    '8 MiB',
    '2.3 TiB',
  ]);
  expect([0, 59, 61, 3600, 90_000].map(duration)).toEqual(['0 s', '59 s', '1 min 1 s', '1 h 0 min', '1 d 1 h']);
});
