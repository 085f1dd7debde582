/** R3: the state was lost while the kernel goes on. Its constructor carries a NUL then. */
import { describe, expect, test } from 'vitest';
import {
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { Host, hostWithDisk, mirrorA } from './host.js';

const diskText = '512 clustered-disk /dev/log 8 nosync';

/** A disk log with regions 5 and 6 dirty on the device, whose state is lost under its kernel. */
function lostState() {
  const made = hostWithDisk();
  made.host.flush(mirrorA, 5, 6);
  made.host.powerCut();
  made.host.construct(mirrorA, diskText, { nul: true });
  made.host.ask(DM_ULOG_RESUME, mirrorA);
  return made;
}

describe('R3 disk log', () => {
  test('what is dirty on the device is neither cleaned nor recovered before suspend and resume', () => {
    const { host, disk } = lostState();
    const state = host.state(mirrorA);
    expect([state.marksUnknown, state.map.syncCount]).toEqual([true, 62]);
    expect(host.reports.map((report) => report.event)).toContain('marks-unknown');
    host.clear(mirrorA, 5);
    host.wait(10_000);
    expect([state.map.isClean(5), disk.isCleanOnDisk(5)]).toEqual([false, false]);
    expect(host.ask(DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [5])?.values).toEqual([0]);
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [7])?.values).toEqual([1]);
    expect(host.flush(mirrorA, 8)?.error).toBe(0);
    host.suspend(mirrorA);
    host.ask(DM_ULOG_RESUME, mirrorA);
    expect(state.marksUnknown).toBe(false);
    expect(host.ask(DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 5]);
  });

  test('it lasts over a restart, and over a RESUME that is only repeated', () => {
    const { host } = lostState();
    host.restart();
    host.construct(mirrorA, diskText, { nul: true });
    host.ask(DM_ULOG_RESUME, mirrorA);
    const state = host.state(mirrorA);
    expect(state.marksUnknown).toBe(true);
    host.wait(10_000);
    expect([state.map.isClean(5), state.map.isClean(6)]).toEqual([false, false]);
  });

  test('nothing sticks', () => {
    const { host } = lostState();
    host.flush(mirrorA, 8);
    host.clear(mirrorA, 8);
    expect(host.state(mirrorA).sticky.size).toBe(0);
    expect(host.state(mirrorA).map.isClean(8)).toBe(false);
  });

  test('the end of a recovery that was under way is believed, but the region stays dirty', () => {
    const { host } = lostState();
    host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 1]);
    host.clear(mirrorA, 5);
    const { map } = host.state(mirrorA);
    expect([map.isInSync(5), map.isClean(5)]).toEqual([true, false]);
  });
});

describe('R3 core log', () => {
  test('every region, nosync or not; and a full resync after suspend and resume', () => {
    const host = new Host();
    host.construct(mirrorA, '512 clustered-core 8 nosync', { nul: true });
    host.ask(DM_ULOG_RESUME, mirrorA);
    const { map } = host.state(mirrorA);
    expect([map.syncCount, map.cleanCount]).toEqual([0, 0]);
    expect(host.ask(DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
    host.suspend(mirrorA);
    host.ask(DM_ULOG_RESUME, mirrorA);
    expect([map.syncCount, host.state(mirrorA).marksUnknown]).toEqual([0, false]);
    expect(host.ask(DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  });
});

test('a constructor without NUL for the same log begins a new one, whose marks are known', () => {
  const host = new Host();
  host.construct(mirrorA, '512 clustered-core 8 nosync', { nul: true });
  host.construct(mirrorA, '512 clustered-core 8 nosync');
  host.ask(DM_ULOG_RESUME, mirrorA);
  expect([host.state(mirrorA).marksUnknown, host.state(mirrorA).map.syncCount]).toEqual([false, 64]);
});

test('a log that was constructed and not resumed is known, NUL or not', () => {
  const host = new Host();
  host.construct(mirrorA, '512 clustered-core 8 nosync');
  host.restart();
  host.construct(mirrorA, '512 clustered-core 8 nosync', { nul: true });
  host.ask(DM_ULOG_RESUME, mirrorA);
  expect([host.state(mirrorA).marksUnknown, host.state(mirrorA).map.syncCount]).toEqual([false, 64]);
});
