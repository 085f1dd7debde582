/** R1: what a FLUSH waits for, and the ways in which it might be answered too soon. */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import { DM_ULOG_CLEAR_REGION, DM_ULOG_FLUSH, DM_ULOG_MARK_REGION } from '../../ts/base/ulog-frames.js';
import { hostWithCore, hostWithDisk, mirrorA, viewOfOne } from './host.js';

describe('R1 core log', () => {
  test('MARK is answered at once, FLUSH when every member has the mark', () => {
    const host = hostWithCore();
    const marking = host.send(DM_ULOG_MARK_REGION, mirrorA, [5]);
    const flushing = host.send(DM_ULOG_FLUSH, mirrorA);
    expect(host.answerTo(marking)?.error).toBe(0);
    host.service.endTurn(host.nowMs);
    expect(host.answerTo(flushing)).toBeUndefined();
    host.deliver();
    host.service.endTurn(host.nowMs);
    expect(host.answerTo(flushing)).toBeUndefined();
    host.acknowledge();
    host.service.endTurn(host.nowMs);
    expect(host.answerTo(flushing)?.error).toBe(0);
  });

  test('with nothing marked since, it is answered at once', () => {
    const host = hostWithCore();
    host.flush(mirrorA, 5);
    const again = host.send(DM_ULOG_FLUSH, mirrorA);
    expect(host.answerTo(again)?.error).toBe(0);
  });
});

describe('R1 disk log', () => {
  test('waits for a durable write that started after the mark was delivered', () => {
    const { host, disk } = hostWithDisk();
    host.send(DM_ULOG_MARK_REGION, mirrorA, [1]);
    const first = host.send(DM_ULOG_FLUSH, mirrorA);
    host.turn();
    expect(disk.waiting).toHaveLength(1);
    host.send(DM_ULOG_MARK_REGION, mirrorA, [2]);
    const second = host.send(DM_ULOG_FLUSH, mirrorA);
    host.turn();
    expect(disk.waiting).toHaveLength(1);
    disk.complete();
    host.turn();
    expect([host.answerTo(first)?.error, host.answerTo(second)]).toEqual([0, undefined]);
    expect(disk.waiting).toHaveLength(1);
    disk.complete();
    host.turn();
    expect(host.answerTo(second)?.error).toBe(0);
    expect([disk.isCleanOnDisk(1), disk.isCleanOnDisk(2)]).toEqual([false, false]);
  });

  test('group commit: what came during one write is one write', () => {
    const { host, disk } = hostWithDisk();
    const before = disk.writes;
    host.send(DM_ULOG_FLUSH, mirrorA, [1]);
    host.turn();
    for (const region of [2, 3, 4]) {
      host.send(DM_ULOG_FLUSH, mirrorA, [region]);
      host.turn();
    }
    host.settle();
    expect(disk.writes - before).toBe(2);
  });

  test('a clean bit on its way to the disk does not hide the next mark of its region', () => {
    const { host, disk } = hostWithDisk(64, { settings: { stickyMax: 0, cleanCommitMs: 10 } });
    host.flush(mirrorA, 5);
    host.send(DM_ULOG_CLEAR_REGION, mirrorA, [5]);
    host.turn();
    host.nowMs += 20;
    host.service.tick(host.nowMs);
    host.turn();
    expect(disk.waiting).toHaveLength(1);
    const flushing = host.send(DM_ULOG_FLUSH, mirrorA, [5]);
    host.turn();
    disk.complete();
    host.turn();
    expect(disk.isCleanOnDisk(5)).toBe(true);
    expect(host.answerTo(flushing)).toBeUndefined();
    disk.complete();
    host.turn();
    expect(host.answerTo(flushing)?.error).toBe(0);
    expect(disk.isCleanOnDisk(5)).toBe(false);
  });

  test('a region released and marked again in one turn is dirty on disk when its flush is answered', () => {
    const { host, disk } = hostWithDisk(64, { settings: { stickyMax: 0 } });
    host.flush(mirrorA, 5);
    host.send(DM_ULOG_CLEAR_REGION, mirrorA, [5]);
    const flushing = host.send(DM_ULOG_FLUSH, mirrorA, [5]);
    host.settle();
    expect(host.answerTo(flushing)?.error).toBe(0);
    expect([disk.isCleanOnDisk(5), host.state(mirrorA).map.isClean(5)]).toEqual([false, false]);
    expect(host.state(mirrorA).owners.has(1, 5)).toBe(true);
  });

  test('a write of an older epoch does not count', () => {
    const { host, disk } = hostWithDisk();
    const flushing = host.send(DM_ULOG_FLUSH, mirrorA, [5]);
    host.turn();
    host.service.viewChanged(viewOfOne(2), host.nowMs);
    disk.complete();
    host.turn();
    expect(host.answerTo(flushing)).toBeUndefined();
    host.settle();
    expect(host.answerTo(flushing)?.error).toBe(0);
  });

  test('fault 11: every flush writes the whole log -> only the changed block is written', () => {
    const { host, disk } = hostWithDisk(200_000);
    const before = disk.bytesWritten;
    host.flush(mirrorA, 150_000);
    expect(disk.bytesWritten - before).toBe(4096);
  });

  test('clean bits go to the disk after a while, without a flush', () => {
    const { host, disk } = hostWithDisk(64, { settings: { stickyIdleMs: 100, cleanCommitMs: 50 } });
    host.flush(mirrorA, 5);
    host.clear(mirrorA, 5);
    host.wait(90);
    expect(disk.isCleanOnDisk(5)).toBe(false);
    host.wait(100);
    expect(disk.isCleanOnDisk(5)).toBe(true);
  });
});

describe('the integrated flush', () => {
  test('fault 7: its marks are ignored and echoed -> it marks them, makes them durable, and is answered without data', () => {
    const { host, disk } = hostWithDisk();
    const list = Array.from({ length: 32 }, (_, i) => i * 2);
    expect(host.flush(mirrorA, ...list)).toMatchObject({ error: 0, values: [], text: '' });
    for (const region of list) expect(disk.isCleanOnDisk(region)).toBe(false);
    expect(disk.isCleanOnDisk(1)).toBe(true);
    expect(host.state(mirrorA).map.heldCount).toBe(32);
  });

  test('of regions that are held already it costs no message and no write', () => {
    const { host, disk } = hostWithDisk();
    host.flush(mirrorA, 5, 6);
    const [submitted, writes] = [host.submitted, disk.writes];
    expect(host.flush(mirrorA, 5, 6)?.error).toBe(0);
    expect([host.submitted, disk.writes]).toEqual([submitted, writes]);
  });

  test('with a region outside the log it marks nothing', () => {
    const { host } = hostWithDisk();
    expect(host.flush(mirrorA, 5, 64)?.error).toBe(-Errno.EINVAL);
    expect(host.state(mirrorA).map.heldCount).toBe(0);
  });
});
