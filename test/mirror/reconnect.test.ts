/** The kernel's reconnect: constructor with NUL, RESUME, the request again; and a daemon that is killed in the middle of it. */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CTR,
  DM_ULOG_FLUSH,
  DM_ULOG_IN_SYNC,
  DM_ULOG_MARK_REGION,
  DM_ULOG_RESUME,
  DM_ULOG_STATUS_INFO,
} from '../../ts/base/ulog-frames.js';
import { hostWithCore, hostWithDisk, mirrorA } from './host.js';

const diskText = '512 clustered-disk /dev/log 8 nosync';

describe('killed between the repeated constructor and RESUME', () => {
  test('the log is of unknown marks: a question given up may have become an unlogged write', () => {
    const { host } = hostWithDisk();
    host.restart();
    expect(host.construct(mirrorA, diskText, { nul: true })?.error).toBe(0);
    host.restart();
    host.construct(mirrorA, diskText, { nul: true });
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    host.flush(mirrorA, 5);
    host.clear(mirrorA, 5);
    host.wait(10_000);
    const { map, marksUnknown } = host.state(mirrorA);
    expect([marksUnknown, map.isClean(5)]).toEqual([true, false]);
  });

  test('not killed: what was released meanwhile becomes clean', () => {
    const { host } = hostWithDisk();
    host.flush(mirrorA, 5);
    host.clear(mirrorA, 5);
    host.construct(mirrorA, diskText, { nul: true });
    host.wait(10_000);
    expect(host.state(mirrorA).map.isClean(5)).toBe(false);
    host.ask(DM_ULOG_RESUME, mirrorA);
    host.ask(DM_ULOG_IN_SYNC, mirrorA, [1]);
    host.wait(10_000);
    const { map, marksUnknown } = host.state(mirrorA);
    expect([marksUnknown, map.isClean(5)]).toEqual([false, true]);
  });
});

describe('a RESUME that waits for the log device', () => {
  test('is not ended by a question of another thread: killed then, the marks are unknown', () => {
    const { host } = hostWithDisk();
    host.restart(false);
    host.send(DM_ULOG_CTR, mirrorA, Buffer.from(`${diskText}\0`));
    const resume = host.send(DM_ULOG_RESUME, mirrorA);
    host.send(DM_ULOG_IN_SYNC, mirrorA, [1]);
    host.turn();
    expect(host.answerTo(resume)).toBeUndefined();
    expect(host.state(mirrorA).marksUnknown).toBe(true);
    host.settle();
    expect(host.answerTo(resume)?.error).toBe(0);
    host.ask(DM_ULOG_IN_SYNC, mirrorA, [1]);
    expect(host.state(mirrorA).marksUnknown).toBe(false);
  });

  test('does not make a flush distrust marks that were stored', () => {
    const { host } = hostWithDisk();
    host.restart(false);
    host.send(DM_ULOG_CTR, mirrorA, Buffer.from(`${diskText}\0`));
    host.send(DM_ULOG_RESUME, mirrorA);
    const flush = host.send(DM_ULOG_FLUSH, mirrorA);
    host.settle();
    expect(host.answerTo(flush)?.error).toBe(0);
    expect(host.state(mirrorA).map.cleanCount).toBe(64);
  });
});

describe('-ESRCH', () => {
  test('is what a live kernel hears of a log that is not resumed, so that it sends RESUME', () => {
    const host = hostWithCore();
    const other = { ...mirrorA, luid: mirrorA.luid + 0x800 };
    host.construct(other, '512 clustered-core 8 nosync');
    expect(host.ask(DM_ULOG_IN_SYNC, other, [1])?.error).toBe(-Errno.ESRCH);
    expect(host.ask(DM_ULOG_MARK_REGION, other, [1])?.error).toBe(-Errno.ESRCH);
  });

  test('is not what a suspended kernel hears whose last flush was on its way', () => {
    const host = hostWithCore();
    const other = { ...mirrorA, luid: mirrorA.luid + 0x800 };
    host.construct(other, '512 clustered-core 8 nosync');
    expect(host.ask(DM_ULOG_FLUSH, other)?.error).toBe(-Errno.ENOENT);
    expect(host.ask(DM_ULOG_STATUS_INFO, other)?.error).toBe(-Errno.ENOENT);
  });
});
