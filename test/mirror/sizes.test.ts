/** R17: what does not fit is refused in words that name both sizes; what is bounded stays bounded. */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import { flushWaitersMax, logsMax, syncChangesMax, wishesMax } from '../../ts/base/limits.js';
import { DM_ULOG_FLUSH, DM_ULOG_IS_REMOTE_RECOVERING, DM_ULOG_SET_REGION_SYNC } from '../../ts/base/ulog-frames.js';
import { doesNotFit, logAreaBytes } from '../../ts/mirror/log-area.js';
import { Wishes } from '../../ts/mirror/wishes.js';
import { Host, hostWithCore, hostWithDisk, mirrorA, TestDisk } from './host.js';

describe('R17', () => {
  test('fault 12: a device that is too small is found out at the next activation -> by the constructor: EINVAL, with both sizes', () => {
    const host = new Host();
    host.disks.set('/dev/log', new TestDisk(8 * 1024 * 1024));
    const answer = host.construct(mirrorA, `${2 ** 27} clustered-disk /dev/log 1`);
    expect(answer?.error).toBe(-Errno.EINVAL);
    const needed = logAreaBytes(2 ** 27, 512);
    expect(host.reports.at(-1)?.text).toContain(`${needed}`);
    expect(host.reports.at(-1)?.text).toContain(`${8 * 1024 * 1024}`);
  });

  test('the area to the byte', () => {
    expect(logAreaBytes(1, 512)).toBe(1536);
    expect(logAreaBytes(4096, 512)).toBe(1536);
    expect(logAreaBytes(4097, 512)).toBe(2048);
    expect(logAreaBytes(1, 4096)).toBe(4096);
    expect(doesNotFit(4096, { bytes: 1536, logicalBlockBytes: 512 })).toBeNull();
    expect(doesNotFit(4097, { bytes: 1536, logicalBlockBytes: 512 })).toContain('2048');
  });

  test('it agrees with the image that is written', () => {
    const { host } = hostWithDisk(5000);
    expect(host.state(mirrorA).image?.areaBytes).toBe(logAreaBytes(5000, 512));
  });

  test('logs that take more memory than there may be: ENOMEM', () => {
    const host = new Host();
    expect(host.construct(mirrorA, `${2 ** 33} clustered-core 2`)?.error).toBe(-Errno.ENOMEM);
    expect(host.service.shutdown()).toBe(true);
  });

  test('a log of 2^31 regions is made, marked and flushed at once', () => {
    const host = new Host();
    host.resumed(mirrorA, `${2 ** 31} clustered-core 1 nosync`);
    expect(host.flush(mirrorA, 0, 2 ** 30, 2 ** 31 - 1)?.error).toBe(0);
    expect(host.state(mirrorA).map.cleanCount).toBe(2 ** 31 - 3);
  });

  test('the number of logs', () => {
    const host = new Host();
    for (let i = 0; i < logsMax; i++) host.construct({ uuid: `u${i}`, luid: 8 * i + 8 }, '8 clustered-core 8');
    expect(host.construct({ uuid: 'one more', luid: 8 }, '8 clustered-core 8')?.error).toBe(-Errno.ENOMEM);
  });

  test('flushes that wait', () => {
    const { host } = hostWithDisk(4096);
    const seqs: number[] = [];
    for (let i = 0; i < flushWaitersMax + 7; i++) seqs.push(host.send(DM_ULOG_FLUSH, mirrorA, [i]));
    host.settle();
    for (const seq of seqs) expect(host.answerTo(seq)?.error).toBe(0);
  });

  test('SET_REGION_SYNC requests that wait: EAGAIN, which the kernel repeats at once', () => {
    const host = hostWithCore(4096);
    const seqs: number[] = [];
    for (let i = 0; i <= syncChangesMax; i++) seqs.push(host.send(DM_ULOG_SET_REGION_SYNC, mirrorA, [i, 0]));
    host.settle();
    expect(host.answerTo(seqs.at(-1) ?? 0)?.error).toBe(-Errno.EAGAIN);
    expect(host.answerTo(seqs[0] ?? 0)?.error).toBe(0);
  });

  test('wishes: the oldest is forgotten', () => {
    const wishes = new Wishes(2);
    for (const region of [1, 2, 2, 3]) wishes.add(region);
    expect([wishes.size, wishes.has(1), wishes.take(), wishes.take(), wishes.take()]).toEqual([2, false, 3, 2, -1]);
    const host = hostWithCore(2 * wishesMax, '');
    for (let i = 0; i < 2 * wishesMax; i++) host.ask(DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [i]);
    expect(host.ask(12, mirrorA)?.values).toEqual([1, 2 * wishesMax - 1]);
  });
});
