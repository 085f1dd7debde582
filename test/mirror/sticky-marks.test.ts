/** R5: a cleared region stays marked for a while, and when that must not be. */
import { describe, expect, test } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { hostWithCore, hostWithDisk, mirrorA } from './host.js';

describe('R5', () => {
  test('the next mark of a region that sticks costs no message and no write', () => {
    const { host, disk } = hostWithDisk();
    host.flush(mirrorA, 5);
    host.clear(mirrorA, 5);
    const [submitted, writes] = [host.submitted, disk.writes];
    expect(host.mark(mirrorA, 5)?.error).toBe(0);
    expect(host.flush(mirrorA)?.error).toBe(0);
    expect([host.submitted, disk.writes]).toEqual([submitted, writes]);
    const { map, sticky } = host.state(mirrorA);
    expect([map.isHeld(5), map.isClean(5), sticky.size]).toEqual([true, false, 0]);
  });

  test('one whose mark never reached the disk does not count as written', () => {
    const { host, disk } = hostWithDisk();
    host.send(DM_ULOG_MARK_REGION, mirrorA, [5]);
    host.send(DM_ULOG_CLEAR_REGION, mirrorA, [5]);
    host.turn();
    host.send(DM_ULOG_MARK_REGION, mirrorA, [5]);
    const flushing = host.send(DM_ULOG_FLUSH, mirrorA);
    host.turn();
    expect(host.answerTo(flushing)).toBeUndefined();
    host.settle();
    expect([host.answerTo(flushing)?.error, disk.isCleanOnDisk(5)]).toEqual([0, false]);
  });

  test('it is released when it was not used for a while', () => {
    const host = hostWithCore(64, 'nosync', { settings: { stickyIdleMs: 500 } });
    host.flush(mirrorA, 5);
    host.clear(mirrorA, 5);
    host.wait(499);
    expect(host.state(mirrorA).map.isClean(5)).toBe(false);
    host.wait(2);
    expect(host.state(mirrorA).map.isClean(5)).toBe(true);
    expect(host.service.nextDeadlineMs()).toBe(-1);
  });

  test('the oldest makes room', () => {
    const host = hostWithCore(64, 'nosync', { settings: { stickyMax: 2 } });
    for (const region of [1, 2, 3]) {
      host.flush(mirrorA, region);
      host.clear(mirrorA, region);
      host.nowMs += 1;
    }
    const { map, sticky } = host.state(mirrorA);
    expect([map.isClean(1), map.isClean(2), map.isClean(3), sticky.size]).toEqual([true, false, false, 2]);
  });

  test('the capacity of the log itself bounds it too', () => {
    const host = hostWithCore(64, 'nosync', { stickyMax: 1 });
    for (const region of [1, 2]) {
      host.flush(mirrorA, region);
      host.clear(mirrorA, region);
    }
    expect([host.state(mirrorA).map.isClean(1), host.state(mirrorA).sticky.size]).toEqual([true, 1]);
  });

  test('with stickyMax 0 nothing sticks', () => {
    const host = hostWithCore(64, 'nosync', { settings: { stickyMax: 0 } });
    host.flush(mirrorA, 5);
    host.clear(mirrorA, 5);
    expect(host.state(mirrorA).map.isClean(5)).toBe(true);
  });

  test('never while the region is out of sync', () => {
    const host = hostWithCore(64, '');
    host.flush(mirrorA, 5);
    host.clear(mirrorA, 5);
    const { map, sticky, owners } = host.state(mirrorA);
    expect([sticky.size, owners.size, map.isClean(5)]).toEqual([0, 0, false]);
  });

  test('a region that falls out of sync is released at that delivery', () => {
    const host = hostWithCore();
    host.flush(mirrorA, 5);
    host.clear(mirrorA, 5);
    expect(host.state(mirrorA).sticky.size).toBe(1);
    host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
    const { map, sticky, owners } = host.state(mirrorA);
    expect([sticky.size, owners.size, map.isClean(5)]).toEqual([0, 0, false]);
  });

  test('a region that waits for recovery does not stick when it is cleared', () => {
    const host = hostWithCore(64, '');
    host.ask(DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [5]);
    host.flush(mirrorA, 5);
    host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 1]);
    host.clear(mirrorA, 5);
    expect([host.state(mirrorA).sticky.size, host.state(mirrorA).map.isClean(5)]).toEqual([0, true]);
  });

  test('PRESUSPEND drops all of them before it is answered, and none come after', () => {
    const { host, disk } = hostWithDisk();
    host.flush(mirrorA, 5, 6);
    host.clear(mirrorA, 5);
    const seq = host.send(DM_ULOG_PRESUSPEND, mirrorA);
    host.send(DM_ULOG_CLEAR_REGION, mirrorA, [6]);
    expect(host.state(mirrorA).sticky.size).toBe(0);
    host.settle();
    expect(host.answerTo(seq)?.error).toBe(0);
    expect(host.state(mirrorA).map.cleanCount).toBe(64);
    host.ask(4, mirrorA);
    expect([disk.isCleanOnDisk(5), disk.isCleanOnDisk(6)]).toEqual([true, true]);
  });
});

test('CLEAR after a recovery: the kernel never marked the region, it becomes clean all the same', () => {
  const host = hostWithCore(64, '');
  host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 1]);
  host.clear(mirrorA, 5);
  expect(host.state(mirrorA).map.isClean(5)).toBe(true);
});
