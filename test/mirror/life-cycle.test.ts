/** From constructor to destructor, suspend and resume in between. */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CTR,
  DM_ULOG_DTR,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_CLEAN,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_STATUS_INFO,
  DM_ULOG_STATUS_TABLE,
} from '../../ts/base/ulog-frames.js';
import { Host, hostWithCore, hostWithDisk, LifeCycle, mirrorA, TestDisk } from './host.js';

describe('a core log', () => {
  test('answers its constructor without data and starts out of sync', () => {
    const host = new Host();
    expect(host.construct(mirrorA, '512 clustered-core 8')).toMatchObject({ error: 0, text: '', values: [] });
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_GET_SYNC_COUNT, mirrorA)?.values).toEqual([0]);
    expect(host.ask(DM_ULOG_STATUS_INFO, mirrorA)?.text).toBe('1 clustered-core');
  });

  test('with nosync everything is in sync and clean', () => {
    const host = hostWithCore();
    expect(host.ask(DM_ULOG_GET_SYNC_COUNT, mirrorA)?.values).toEqual([64]);
    expect(host.ask(DM_ULOG_IS_CLEAN, mirrorA, [63])?.values).toEqual([1]);
  });

  test('fault 13: it forgets everything on suspend and resume -> it keeps its bits', () => {
    const host = hostWithCore(64, '');
    for (const region of [0, 1, 2]) host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 1]);
    host.mark(mirrorA, 1);
    host.suspend(mirrorA);
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_GET_SYNC_COUNT, mirrorA)?.values).toEqual([3]);
    const { map } = host.state(mirrorA);
    expect([map.isClean(0), map.isClean(1), map.isHeld(1)]).toEqual([true, false, true]);
  });
});

describe('a disk log', () => {
  test('hands its device name back with a NUL, as given', () => {
    const host = new Host();
    host.disks.set('253:7', new TestDisk(65536));
    expect(host.construct(mirrorA, '512 clustered-disk 253:7 8')).toMatchObject({ error: 0, text: '253:7\0' });
    expect(host.ask(DM_ULOG_STATUS_TABLE, mirrorA)?.text).toBe('clustered-disk 253:7 8  ');
  });

  test('version 1 of the interface has no room for a name, and neither has a repeated constructor', () => {
    const host = new Host();
    host.disks.set('/dev/log', new TestDisk(65536));
    const text = '512 clustered-disk /dev/log 8';
    expect(host.construct(mirrorA, text, { version: 1 })).toMatchObject({ error: 0, text: '' });
    expect(host.construct(mirrorA, text, { nul: true })).toMatchObject({ error: 0, text: '' });
  });

  test('writes header, bits and session before RESUME is answered', () => {
    const { host, disk } = hostWithDisk(64);
    expect(disk.bytes.readUInt32LE(0)).toBe(0x4d695272);
    expect(disk.bytes.readUInt32LE(4)).toBe(2);
    expect(disk.headerRegions).toBe(64);
    expect(disk.bytes.subarray(1024, 1033)).toEqual(Buffer.from([255, 255, 255, 255, 255, 255, 255, 255, 0]));
    expect(disk.bytes.subarray(512, 520).toString()).toBe('LSSESS01');
    expect(host.ask(DM_ULOG_STATUS_INFO, mirrorA)?.text).toBe('3 clustered-disk 253:7 A');
  });

  test('what was dirty when it was cut off is out of sync after, and nothing else', () => {
    const { host, disk } = hostWithDisk(64);
    host.flush(mirrorA, 5, 9);
    host.powerCut();
    host.resumed(mirrorA, '512 clustered-disk /dev/log 8 nosync');
    const { map } = host.state(mirrorA);
    expect([map.syncCount, map.isInSync(5), map.isInSync(9)]).toEqual([62, false, false]);
    expect(disk.isCleanOnDisk(5)).toBe(false);
  });

  test('closes its session when it is suspended, and the log is clean then', () => {
    const { host, disk } = hostWithDisk(64);
    host.flush(mirrorA, 5);
    host.clear(mirrorA, 5);
    host.suspend(mirrorA);
    expect(disk.isCleanOnDisk(5)).toBe(true);
    host.powerCut();
    const other = new Host({ nodeName: 'beta' });
    other.disks.set('/dev/log', disk);
    expect(other.resumed(mirrorA, '512 clustered-disk /dev/log 8').state.map.syncCount).toBe(64);
  });

  test('what is held at the suspend stays dirty on the device', () => {
    const { host, disk } = hostWithDisk(64);
    host.flush(mirrorA, 5);
    host.suspend(mirrorA);
    expect(host.state(mirrorA).lifeCycle).toBe(LifeCycle.pending);
    expect(disk.isCleanOnDisk(5)).toBe(false);
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(host.state(mirrorA).map.isInSync(5)).toBe(false);
  });

  test('fault 13: sync is ignored on an existing log -> it forces a resync at the first resume, and not at the next', () => {
    const { host, disk } = hostWithDisk(64);
    host.suspend(mirrorA);
    host.ask(DM_ULOG_DTR, mirrorA);
    host.resumed(mirrorA, '512 clustered-disk /dev/log 8 sync');
    expect(host.state(mirrorA).map.syncCount).toBe(0);
    expect(disk.isCleanOnDisk(0)).toBe(false);
    host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [3, 1]);
    host.suspend(mirrorA);
    host.ask(DM_ULOG_RESUME, mirrorA);
    expect(host.state(mirrorA).map.syncCount).toBe(1);
  });

  test('fault 13: nosync is ignored on an existing log -> it is, for regions that the log knows to be dirty', () => {
    const { host } = hostWithDisk(64);
    host.flush(mirrorA, 5);
    host.powerCut();
    expect(host.resumed(mirrorA, '512 clustered-disk /dev/log 8 nosync').state.map.syncCount).toBe(63);
  });

  test('a log that has grown: new regions are out of sync, or in sync with nosync (fault 13)', () => {
    for (const [words, inSync] of [
      ['', 60],
      ['nosync', 76],
    ] as const) {
      const { host, disk } = hostWithDisk(61);
      host.flush(mirrorA, 5);
      disk.bytes.fill(0xff, 1024 + 8, 1024 + 16);
      host.powerCut();
      const { map } = host.resumed(mirrorA, `${77 * 8} clustered-disk /dev/log 8 ${words}`).state;
      expect([map.syncCount, map.isInSync(5)]).toEqual([inSync, false]);
      expect(disk.headerRegions).toBe(77);
    }
  });

  test('a log that has shrunk keeps its part', () => {
    const { host, disk } = hostWithDisk(64);
    host.flush(mirrorA, 5);
    host.powerCut();
    const { map } = host.resumed(mirrorA, `${20 * 8} clustered-disk /dev/log 8`).state;
    expect([map.regionCount, map.syncCount, map.isInSync(5)]).toEqual([20, 19, false]);
    expect(disk.headerRegions).toBe(20);
  });

  test('a version that is not known is left alone', () => {
    const { host, disk } = hostWithDisk(64);
    host.suspend(mirrorA);
    host.ask(DM_ULOG_DTR, mirrorA);
    disk.bytes.writeUInt32LE(3, 4);
    host.construct(mirrorA, '512 clustered-disk /dev/log 8');
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EINVAL);
    expect(disk.bytes.readUInt32LE(4)).toBe(3);
  });
});

describe('requests that come again', () => {
  test('fault 6: a repeated constructor is refused -> it succeeds, as RESUME does, and changes nothing', () => {
    const { host } = hostWithDisk(64);
    host.flush(mirrorA, 5);
    expect(host.construct(mirrorA, '512 clustered-disk /dev/log 8 nosync', { nul: true })?.error).toBe(0);
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [5])?.error).toBe(0);
    const state = host.state(mirrorA);
    expect([state.map.isHeld(5), state.map.isClean(5), state.marksUnknown, state.resumeCount]).toEqual([
      true,
      false,
      false,
      1,
    ]);
  });

  test('PRESUSPEND twice, POSTSUSPEND twice', () => {
    const host = hostWithCore();
    expect(host.ask(DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
  });

  test('a constructor of a log that was never resumed replaces it when it says something else', () => {
    const host = new Host();
    host.construct(mirrorA, '512 clustered-core 8');
    expect(host.construct(mirrorA, '1024 clustered-core 16')?.error).toBe(0);
    expect(host.state(mirrorA).geometry).toMatchObject({ regionCount: 64, regionSizeSectors: 16 });
    expect([...host.service.logs()]).toHaveLength(1);
  });
});

test('POSTSUSPEND without PRESUSPEND', () => {
  const { host } = hostWithDisk(64);
  host.mark(mirrorA, 1);
  host.clear(mirrorA, 1);
  expect(host.ask(DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
  expect(host.state(mirrorA).map.cleanCount).toBe(64);
});

test('RESUME after a lost POSTSUSPEND', () => {
  const host = hostWithCore();
  host.ask(DM_ULOG_PRESUSPEND, mirrorA);
  expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(host.state(mirrorA).lifeCycle).toBe(LifeCycle.active);
});

test('DTR of a log that serves leaves first; what is held stays dirty', () => {
  const { host, disk } = hostWithDisk(64);
  host.flush(mirrorA, 5);
  host.flush(mirrorA, 6);
  host.clear(mirrorA, 6);
  expect(host.ask(DM_ULOG_DTR, mirrorA)?.error).toBe(0);
  expect([...host.service.logs()]).toEqual([]);
  expect([disk.isCleanOnDisk(5), disk.isCleanOnDisk(6)]).toEqual([false, true]);
  expect(host.service.shutdown()).toBe(true);
});

test('DTR behind a RESUME that waits for the end of a leave: the log is gone, both are answered', () => {
  const { host, disk } = hostWithDisk();
  host.mark(mirrorA, 3);
  const leaving = host.send(DM_ULOG_POSTSUSPEND, mirrorA);
  host.turn();
  const resuming = host.send(DM_ULOG_RESUME, mirrorA);
  const destroying = host.send(DM_ULOG_DTR, mirrorA);
  host.turn();
  const answers = () => [leaving, resuming, destroying].map((seq) => host.answerTo(seq)?.error);
  expect(answers()).toEqual([undefined, undefined, undefined]);
  host.settle();
  expect(answers()).toEqual([0, -Errno.ENOENT, 0]);
  expect([...host.service.logs()]).toEqual([]);
  expect(disk.isCleanOnDisk(3)).toBe(false);
});

test('DTR while the constructor still opens its device', () => {
  const host = new Host();
  host.disks.set('/dev/log', new TestDisk(65536));
  const constructing = host.send(DM_ULOG_CTR, mirrorA, Buffer.from('512 clustered-disk /dev/log 8'));
  expect(host.service.shutdown()).toBe(false);
  const destroying = host.send(DM_ULOG_DTR, mirrorA);
  host.settle();
  expect([host.answerTo(constructing)?.error, host.answerTo(destroying)?.error]).toEqual([-Errno.ENOENT, 0]);
  expect(host.service.shutdown()).toBe(true);
});

test('fault 22: IN_SYNC answers a power of two -> exactly 1 or 0, for each bit of a word', () => {
  const host = hostWithCore(128, '');
  const answer = (region: number) => host.ask(DM_ULOG_IN_SYNC, mirrorA, [region])?.values;
  for (let region = 0; region < 127; region++) {
    expect(answer(region)).toEqual([0]);
    host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 1]);
    expect([answer(region), answer(region + 1)]).toEqual([[1], [0]]);
  }
});
