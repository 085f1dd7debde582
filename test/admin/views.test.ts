/** What is pure in the admin room: history, rates, tables, names, choice of a log, status texts. */
import { describe, expect, it } from 'vitest';
import { logClusterView } from '../../ts/admin/cluster-view.js';
import type { ClusterStatus, LogStatus } from '../../ts/admin/daemon-status.js';
import { namesOfTable } from '../../ts/admin/dm-names.js';
import { EventRing } from '../../ts/admin/event-ring.js';
import { LineReader } from '../../ts/admin/line-reader.js';
import { chooseLog } from '../../ts/admin/log-choice.js';
import type { StatusResult } from '../../ts/admin/protocol.js';
import { reasonsOf } from '../../ts/admin/region-reasons.js';
import { ResyncRates, rateKey } from '../../ts/admin/resync-rates.js';
import { bytesText, duration, statusLines } from '../../ts/admin/status-text.js';
import { type StatusView, statusView, unheardMirrors } from '../../ts/admin/status-view.js';
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
  recoveringNode: -1,
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

describe('a log that several hosts have', () => {
  const member = (node: number, more: object = {}) => ({
    ...{ node, name: `host${node}`, stage: 'active' as const },
    ...{ present: true, valid: true, settled: true, needed: false, recoversAlone: false },
    ...more,
  });
  const shared = (members: ReturnType<typeof member>[], more: object = {}) => ({
    ...log,
    cluster: { members, writer: 1, writerEpoch: 3, foreign: false, waits: [], waitedMs: 0, ...more },
  });
  const cluster = {
    ...{
      connected: true,
      problem: '',
      quorate: true,
      agreedQuorate: true,
      view: 4,
      viewSince: '2026-11-22T01:02:03.000Z',
    },
    ...{ exchanging: false, fencing: null, members: [{ node: 1, name: 'host1' }], heard: [1], awaited: [], behind: [] },
    lost: [{ node: 2, name: 'host2', since: '2026-11-22T01:02:03.000Z' }],
  };
  const lines = (logs: LogStatus[], more: object = {}) => {
    const status = {
      ...{ version: '0.1.0', pid: 7, node: 1, nodeName: 'host1', uptimeMs: 1000, transport: 'corosync' },
      ...{ memory: {}, counters: { requests: {}, replies: {}, frames: {} }, unavailable: null, logs },
      cluster: { ...cluster, ...more },
    };
    const result = { status, ageMs: 0, fresh: true, rates: {}, admin: {} } as unknown as StatusResult;
    return statusLines(statusView(result, new Map(), '') as StatusView, null);
  };

  it('has its writer, who resyncs, and why a resync does not go on', () => {
    const busy = { ...shared([member(1), member(2)]), recoveringRegion: 5, recoveringNode: 2 };
    expect(lines([busy])).toContain('  LVM-a: host1, host2 (resyncs region 5)');
    const disk = { ...shared([member(1), member(2, { stage: 'halted' })]), type: 'disk' as const };
    expect(lines([disk])).toContain('  LVM-a: host1 (writer), host2 (halted)');
    expect(lines([disk])).toContain('    resync waits: the mirror is suspended on host2');
    expect(lines([shared([member(1), member(2, { settled: false })])])).toContain(
      '    resync waits: what the kernel of host2 holds is not known',
    );
    const alone = { recoversAlone: true };
    expect(lines([shared([member(1, alone), member(2)])]).join('\n')).not.toContain('resync waits');
    const nameless = (who: string) =>
      `the kernel of ${who} writes regions without marks that nobody can name: load its table anew`;
    expect(lines([shared([member(1, alone), member(2, alone), member(3)])])).toContain(
      `    resync waits: ${nameless('host1')}; ${nameless('host2')}`,
    );
    expect(lines([shared([member(1)])], { quorate: false })).toContain('    resync waits: no quorum');
    const done = { ...shared([member(1)]), inSyncCount: log.regionCount };
    expect(lines([done], { quorate: false }).join('\n')).not.toContain('resync waits');
  });

  it('shows a wait at once, for how long when it lasts, and as trouble when it is long', () => {
    const waits = [{ code: 'acknowledgement', nodes: [2] }];
    const short = lines([shared([member(1), member(2)], { waits })]);
    expect(short).toContain('    waits: host2 has not said that it has the marks');
    expect(short.join('\n')).not.toContain('! LVM-a');
    const long = lines([shared([member(1), member(2)], { waits, waitedMs: 5400 })]);
    expect(long).toContain('    waits for 5 s: host2 has not said that it has the marks');
    expect(long).toContain('! LVM-a: requests of this host wait for 5 s: host2 has not said that it has the marks');
  });

  it('nobody who may be cut off is told to call others dead', () => {
    expect(lines([log]).join('\n')).toContain('lockstep fence-confirm 2');
    const cut = lines([log], { quorate: false }).join('\n');
    expect(cut).toContain('! host host2 (node 2) is not heard from this side, which has no quorum');
    expect(cut).not.toContain('fence-confirm 2');
  });

  it('a region says which hosts have marked it, and who copies it', () => {
    const view = logClusterView(shared([member(1), member(2, { present: false }), member(3)]), {
      ...cluster,
      heard: [1, 3],
    } as unknown as ClusterStatus);
    const facts = {
      ...{ region: 5, clean: false, inSync: false, held: false, sticky: false, releasing: false, ownedHere: false },
      ...{ ownedElsewhere: true, owners: [2], wished: false, recovering: true, behindSearch: false, sweeping: false },
    };
    const codes = (recoveringNode: number) =>
      reasonsOf({ ...facts, log: { ...log, recoveringNode } }, 'm', view, 1).map(
        ({ code, text }) => `${code}: ${text}`,
      );
    expect(codes(3)).toEqual([
      expect.stringMatching(/^foreign-owner: host2 has marked it; that host is lost/),
      expect.stringMatching(/^recovering-elsewhere: .* the kernel of host3 is copying it now/),
    ]);
    expect(codes(1)[1]).toMatch(/^recovering: /);
  });
});
