/** R2: what a killed daemon leaves, and what the next one makes of it. */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import { announceRegionsMax } from '../../ts/base/limits.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_IN_SYNC,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_STATUS_INFO,
} from '../../ts/base/ulog-frames.js';
import { hostWithCore, hostWithDisk, LifeCycle, mirrorA } from './host.js';

const diskText = '512 clustered-disk /dev/log 8 nosync';

describe('R2 marks', () => {
  test('a mark that was answered and never delivered is announced again before the first flush', () => {
    const { host, disk } = hostWithDisk();
    expect(host.send(DM_ULOG_MARK_REGION, mirrorA, [5])).toBeGreaterThan(0);
    host.restart(false);
    expect(host.state(mirrorA).map.isHeld(5)).toBe(true);
    const flushing = host.send(DM_ULOG_FLUSH, mirrorA);
    expect(host.answerTo(flushing)).toBeUndefined();
    host.settle();
    expect([host.answerTo(flushing)?.error, disk.isCleanOnDisk(5)]).toEqual([0, false]);
    expect(host.state(mirrorA).owners.has(1, 5)).toBe(true);
  });

  test('a repeat mark is answered before the log is written again, a flush is not', () => {
    const { host } = hostWithDisk();
    host.flush(mirrorA, 5);
    host.restart(false);
    const marking = host.send(DM_ULOG_MARK_REGION, mirrorA, [5]);
    const flushing = host.send(DM_ULOG_FLUSH, mirrorA);
    host.turn();
    expect([host.answerTo(marking)?.error, host.answerTo(flushing)]).toEqual([0, undefined]);
    expect(host.log(mirrorA).restoring).toBe(true);
    host.settle();
    expect([host.answerTo(flushing)?.error, host.log(mirrorA).restoring]).toEqual([0, false]);
  });

  test('a clear that was answered and whose release was lost: the region becomes clean', () => {
    const { host, disk } = hostWithDisk(64, { settings: { stickyMax: 0 } });
    host.flush(mirrorA, 5);
    host.send(DM_ULOG_CLEAR_REGION, mirrorA, [5]);
    host.restart();
    expect(host.state(mirrorA).map.isClean(5)).toBe(true);
    host.wait(5000);
    expect(disk.isCleanOnDisk(5)).toBe(true);
  });

  test('sticky marks of the last daemon are released, held ones are not', () => {
    const { host } = hostWithDisk();
    host.flush(mirrorA, 5, 6);
    host.clear(mirrorA, 5);
    host.restart();
    const { map } = host.state(mirrorA);
    expect([map.isClean(5), map.isClean(6)]).toEqual([true, false]);
  });

  test('a region out of sync stays dirty', () => {
    const { host } = hostWithDisk();
    host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
    host.restart();
    const { map } = host.state(mirrorA);
    expect([map.isClean(5), map.isInSync(5)]).toEqual([false, false]);
  });

  test('thousands of held regions', () => {
    const host = hostWithCore(40_000);
    for (let from = 0; from < 40_000; from += 200) {
      host.mark(mirrorA, ...Array.from({ length: 200 }, (_, i) => from + i));
    }
    host.restart();
    expect(host.state(mirrorA).owners.size).toBe(40_000);
    expect(host.flush(mirrorA)?.error).toBe(0);
  });
});

describe('R2 life cycle', () => {
  test('a reconnecting kernel finds its log as it was', () => {
    const { host } = hostWithDisk();
    host.flush(mirrorA, 5);
    host.restart();
    expect(host.construct(mirrorA, diskText, { nul: true })?.error).toBe(0);
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [5])?.error).toBe(0);
    const state = host.state(mirrorA);
    expect([state.marksUnknown, state.map.isInSync(5), state.map.isHeld(5)]).toEqual([false, true, true]);
  });

  test.each([0, 1, 2, 3])('killed in a RESUME after %d device operations', (operations) => {
    const { host, disk } = hostWithDisk();
    host.flush(mirrorA, 5);
    host.powerCut();
    host.construct(mirrorA, diskText);
    host.send(DM_ULOG_RESUME, mirrorA);
    for (let i = 0; i < operations; i++) {
      host.turn();
      disk.complete();
    }
    host.restart();
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    const { map } = host.state(mirrorA);
    expect([map.syncCount, map.isInSync(5), disk.isCleanOnDisk(5)]).toEqual([63, false, false]);
  });

  test.each([0, 1, 2])('killed in a POSTSUSPEND after %d device operations', (operations) => {
    const { host, disk } = hostWithDisk();
    host.flush(mirrorA, 5, 6);
    host.clear(mirrorA, 6);
    host.send(DM_ULOG_POSTSUSPEND, mirrorA);
    for (let i = 0; i < operations; i++) {
      host.turn();
      disk.complete();
    }
    host.restart();
    expect(host.state(mirrorA).lifeCycle).toBe(LifeCycle.pending);
    expect([disk.isCleanOnDisk(5), disk.isCleanOnDisk(6)]).toEqual([false, true]);
    expect(host.ask(DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_DTR, mirrorA)?.error).toBe(0);
  });

  test('a pending log knows its device numbers again', () => {
    const { host } = hostWithDisk();
    host.suspend(mirrorA);
    host.restart();
    expect(host.log(mirrorA).deviceNumbers).toMatchObject({ major: 253, minor: 7 });
    host.ask(DM_ULOG_RESUME, mirrorA);
    expect(host.ask(DM_ULOG_STATUS_INFO, mirrorA)?.text).toBe('3 clustered-disk 253:7 A');
  });

  test('so does one whose device is gone', () => {
    const { host, disk } = hostWithDisk();
    disk.openErrno = Errno.ENXIO;
    host.restart();
    expect(host.ask(DM_ULOG_STATUS_INFO, mirrorA)?.text).toBe('3 clustered-disk 253:7 D');
  });

  test('the device is gone at the restart: flushes fail until it is back', () => {
    const { host, disk } = hostWithDisk(64, { settings: { logRetryMs: 1000 } });
    host.flush(mirrorA, 5);
    disk.openErrno = Errno.ENXIO;
    host.restart();
    expect(host.flush(mirrorA)?.error).toBe(-Errno.EIO);
    disk.openErrno = 0;
    host.wait(1500);
    expect(host.flush(mirrorA, 6)?.error).toBe(0);
    expect([disk.isCleanOnDisk(5), disk.isCleanOnDisk(6)]).toEqual([false, false]);
  });
});

describe('R2 more marks than one turn announces', () => {
  const regionCount = 3 * announceRegionsMax + 5;

  /** Every region marked and answered, no mark delivered, and the daemon killed. */
  function killed() {
    const { host, disk } = hostWithDisk(regionCount);
    for (let from = 0; from < regionCount; from += 200) {
      const regions = Array.from({ length: Math.min(200, regionCount - from) }, (_, i) => from + i);
      host.send(DM_ULOG_MARK_REGION, mirrorA, regions);
    }
    host.restart(false);
    return { host, disk };
  }

  function cleanOnDisk(disk: { isCleanOnDisk(region: number): boolean }): number {
    let clean = 0;
    for (let region = 0; region < regionCount; region++) if (disk.isCleanOnDisk(region)) clean += 1;
    return clean;
  }

  test('a flush waits for all of them, requests in between are answered', () => {
    const { host, disk } = killed();
    const flushing = host.send(DM_ULOG_FLUSH, mirrorA);
    host.turn();
    expect(host.state(mirrorA).map.cleanCount).toBe(regionCount - announceRegionsMax);
    const again = host.send(DM_ULOG_FLUSH, mirrorA);
    const marking = host.send(DM_ULOG_MARK_REGION, mirrorA, [regionCount - 1]);
    expect(host.answerTo(marking)?.error).toBe(0);
    while (disk.complete()) host.turn();
    expect([host.answerTo(flushing), host.answerTo(again)]).toEqual([undefined, undefined]);
    host.settle();
    expect([host.answerTo(flushing)?.error, host.answerTo(again)?.error]).toEqual([0, 0]);
    expect(cleanOnDisk(disk)).toBe(0);
  });

  test.each([DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])('request %i before the end of it leaves none clean', (type) => {
    const { host, disk } = killed();
    const leaving = host.send(type, mirrorA);
    host.turn();
    expect(host.answerTo(leaving)).toBeUndefined();
    host.settle();
    expect(host.answerTo(leaving)?.error).toBe(0);
    expect(cleanOnDisk(disk)).toBe(0);
  });
});
