/** R16: the log device fails and comes back; and a RESUME that finds it failed. */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_STATUS_INFO,
} from '../../ts/base/ulog-frames.js';
import { Host, hostWithDisk, LifeCycle, mirrorA, TestDisk } from './host.js';

const diskText = '512 clustered-disk /dev/log 8 nosync';
const retry = { settings: { logRetryMs: 1000 } };

function info(host: Host): string | undefined {
  return host.ask(DM_ULOG_STATUS_INFO, mirrorA)?.text;
}

describe('R16', () => {
  test('fault 25: status hides the failure -> it says D, flushes fail, and after the repair A; what was marked is on the device', () => {
    const { host, disk } = hostWithDisk(64, retry);
    disk.writeErrno = Errno.EIO;
    expect(host.flush(mirrorA, 5)?.error).toBe(-Errno.EIO);
    expect(info(host)).toBe('3 clustered-disk 253:7 D');
    expect(host.mark(mirrorA, 6)?.error).toBe(0);
    expect(host.flush(mirrorA)?.error).toBe(-Errno.EIO);
    host.wait(3500);
    expect(info(host)).toBe('3 clustered-disk 253:7 D');
    disk.bytes.fill(0, 0, 2048);
    disk.writeErrno = 0;
    host.wait(1500);
    expect(info(host)).toBe('3 clustered-disk 253:7 A');
    expect([disk.isCleanOnDisk(5), disk.isCleanOnDisk(6), disk.isCleanOnDisk(7)]).toEqual([false, false, true]);
    expect(disk.headerRegions).toBe(64);
    expect(host.flush(mirrorA)?.error).toBe(0);
    expect(host.service.counters).toMatchObject({ repairs: 1, logFailures: 1 });
  });

  test('a device that came back as another one is not written', () => {
    const { host, disk } = hostWithDisk(64, retry);
    disk.writeErrno = Errno.EIO;
    host.flush(mirrorA, 5);
    disk.writeErrno = 0;
    disk.identity = '8:16';
    const before = Buffer.from(disk.bytes);
    host.wait(5000);
    expect(disk.bytes.equals(before)).toBe(true);
    expect(info(host)).toBe('3 clustered-disk 253:7 D');
    disk.identity = '253:7';
    host.wait(1500);
    expect(info(host)).toBe('3 clustered-disk 253:7 A');
  });

  test('one that does not hold what was written stays failed', () => {
    const { host, disk } = hostWithDisk(64, retry);
    disk.writeErrno = Errno.EIO;
    host.flush(mirrorA, 5);
    disk.writeErrno = 0;
    host.nowMs += 1000;
    host.service.tick(host.nowMs);
    host.turn();
    disk.complete();
    disk.complete();
    disk.bytes.writeUInt8(0x55, 1030);
    host.settle();
    expect(info(host)).toBe('3 clustered-disk 253:7 D');
    host.wait(1500);
    expect(info(host)).toBe('3 clustered-disk 253:7 A');
  });

  test('a mark during the read back is written before its flush is answered', () => {
    const { host, disk } = hostWithDisk(64, retry);
    disk.writeErrno = Errno.EIO;
    host.flush(mirrorA, 5);
    disk.writeErrno = 0;
    host.nowMs += 1000;
    host.service.tick(host.nowMs);
    host.turn();
    disk.complete();
    disk.complete();
    host.send(10, mirrorA, [9]);
    host.settle();
    expect(info(host)).toBe('3 clustered-disk 253:7 A');
    expect([host.flush(mirrorA)?.error, disk.isCleanOnDisk(9)]).toEqual([0, false]);
  });

  test('failed at the suspend: POSTSUSPEND says so, and the next RESUME writes memory', () => {
    const { host, disk } = hostWithDisk(64, retry);
    disk.writeErrno = Errno.EIO;
    host.flush(mirrorA, 5);
    expect(host.ask(DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(-Errno.EIO);
    expect(host.state(mirrorA).lifeCycle).toBe(LifeCycle.pending);
    disk.writeErrno = 0;
    expect(disk.isCleanOnDisk(5)).toBe(true);
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect([disk.isCleanOnDisk(5), host.state(mirrorA).map.isInSync(5)]).toEqual([false, false]);
    expect(info(host)).toBe('3 clustered-disk 253:7 A');
  });

  test('failed at the suspend, reloaded: the new instance inherits what the old one knew', () => {
    const { host, disk } = hostWithDisk(64, retry);
    const next = { uuid: mirrorA.uuid, luid: 0x2000 };
    host.construct(next, diskText);
    disk.writeErrno = Errno.EIO;
    host.flush(mirrorA, 5);
    host.suspend(mirrorA);
    disk.writeErrno = 0;
    expect(host.ask(DM_ULOG_RESUME, next)?.error).toBe(0);
    expect([disk.isCleanOnDisk(5), host.state(next).map.isInSync(5)]).toEqual([false, false]);
  });

  test('a repeated RESUME succeeds all the same', () => {
    const { host, disk } = hostWithDisk(64, retry);
    disk.writeErrno = Errno.EIO;
    host.flush(mirrorA, 5);
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  });

  describe('what a kernel held when its FLUSH failed: it may not say which write failed on a leg', () => {
    function hostInDoubt() {
      const { host, disk } = hostWithDisk(64, retry);
      expect(host.flush(mirrorA, 5)?.error).toBe(0);
      disk.writeErrno = Errno.EIO;
      expect(host.flush(mirrorA, 6)?.error).toBe(-Errno.EIO);
      expect(host.ask(DM_ULOG_CLEAR_REGION, mirrorA, [5, 6])?.error).toBe(0);
      return { host, disk };
    }

    test('stays in sync while the device may have it as clean, for the kernel would write there without a mark', () => {
      const { map } = hostInDoubt().host.state(mirrorA);
      expect([map.isInSync(5), map.isInSync(6), map.isHeld(5), map.isHeld(6)]).toEqual([true, true, true, true]);
    });

    test('is resynced when the device is well again', () => {
      const { host, disk } = hostInDoubt();
      disk.writeErrno = 0;
      host.wait(1500);
      const { map } = host.state(mirrorA);
      expect([map.isInSync(5), map.isInSync(6), map.isInSync(7)]).toEqual([false, false, true]);
      expect([disk.isCleanOnDisk(5), disk.isCleanOnDisk(6), disk.isCleanOnDisk(7)]).toEqual([false, false, true]);
      // The kernel clears what it has recovered.
      host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 1]);
      host.ask(DM_ULOG_CLEAR_REGION, mirrorA, [5]);
      host.wait(6000);
      expect([map.isClean(5), map.isClean(6), map.isInSync(5)]).toEqual([true, false, true]);
    });

    test('is resynced by the next daemon, too', () => {
      const { host, disk } = hostInDoubt();
      host.restart();
      disk.writeErrno = 0;
      host.wait(1500);
      const { map } = host.state(mirrorA);
      expect([map.isInSync(5), map.isInSync(6), map.isInSync(7)]).toEqual([false, false, true]);
    });
  });

  test('flushes that wait are answered when the write fails', () => {
    const { host, disk } = hostWithDisk(64, retry);
    const first = host.send(DM_ULOG_FLUSH, mirrorA, [1]);
    host.turn();
    const second = host.send(DM_ULOG_FLUSH, mirrorA, [2]);
    host.turn();
    disk.writeErrno = Errno.ENOSPC;
    host.settle();
    expect([host.answerTo(first)?.error, host.answerTo(second)?.error]).toEqual([-Errno.EIO, -Errno.EIO]);
  });
});

describe('a device that cannot be read at RESUME', () => {
  test('fault 31: a failed RESUME is success -> it fails, writes wait, and nothing is lost when the device is back', () => {
    const { host, disk } = hostWithDisk(64, retry);
    host.flush(mirrorA, 5);
    host.powerCut();
    host.construct(mirrorA, diskText);
    disk.readErrno = Errno.EIO;
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EIO);
    expect(host.ask(DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [1])?.values).toEqual([1, 0]);
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [1])?.values).toEqual([0]);
    expect(host.flush(mirrorA)?.error).toBe(-Errno.EIO);
    disk.readErrno = 0;
    host.wait(1500);
    expect(host.ask(DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [1])?.values).toEqual([0, 5]);
    expect(host.state(mirrorA).map.syncCount).toBe(63);
  });

  test('after PRESUSPEND its writes end, under the next daemon too, and a later RESUME holds them back again', () => {
    const { host, disk } = hostWithDisk(64, retry);
    host.powerCut();
    host.construct(mirrorA, diskText);
    disk.readErrno = Errno.EIO;
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EIO);
    expect(host.ask(DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(-Errno.EIO);
    const answers = () => [
      host.ask(DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [1])?.values,
      host.ask(DM_ULOG_IN_SYNC, mirrorA, [1])?.values,
    ];
    expect(answers()).toEqual([[0, 64], [1]]);
    host.restart();
    expect(answers()).toEqual([[0, 64], [1]]);
    expect(host.ask(DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(-Errno.EIO);
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EIO);
    expect(answers()).toEqual([[1, 0], [0]]);
  });

  test('after PRESUSPEND a reconnect is let go: an error would fail its question, and a write go out without a mark', () => {
    const { host, disk } = hostWithDisk(64, retry);
    host.powerCut();
    host.construct(mirrorA, diskText);
    disk.readErrno = Errno.EIO;
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EIO);
    expect(host.ask(DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(-Errno.EIO);
    host.restart();
    host.construct(mirrorA, diskText, { nul: true });
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [1])?.values).toEqual([1]);
    expect(host.flush(mirrorA, 1)?.error).toBe(-Errno.EIO);
    expect(host.ask(DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(-Errno.EIO);
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EIO);
  });

  test('a load that ends after PRESUSPEND leaves the log halted: its kernel hears of no region out of sync any more', () => {
    const { host, disk } = hostWithDisk(64, retry);
    host.flush(mirrorA, 1);
    host.powerCut();
    host.construct(mirrorA, diskText);
    disk.readErrno = Errno.EIO;
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EIO);
    expect(host.ask(DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(-Errno.EIO);
    expect(host.ask(DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [1])?.values).toEqual([0, 64]);
    disk.readErrno = 0;
    host.wait(1500);
    expect(host.state(mirrorA).lifeCycle).toBe(LifeCycle.halted);
    expect(host.state(mirrorA).map.isInSync(1)).toBe(false);
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [1])?.values).toEqual([1]);
    expect(host.ask(DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values[0]).toBe(0);
    expect(host.flush(mirrorA, 1)?.error).toBe(0);
    expect(host.ask(DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [1])?.values).toEqual([0]);
  });

  test('a kernel of unknown marks waits for RESUME, and after PRESUSPEND every RESUME lets it go', () => {
    const { host, disk } = hostWithDisk(64, retry);
    host.powerCut();
    host.construct(mirrorA, diskText, { nul: true });
    disk.readErrno = Errno.EIO;
    const waits = host.send(DM_ULOG_RESUME, mirrorA);
    host.settle();
    expect(host.answerTo(waits)).toBeUndefined();
    expect(host.ask(DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(-Errno.EIO);
    expect(host.answerTo(waits)?.error).toBe(0);
    // Another thread of it reconnects only now. An error would fail its question, and a write go out without a mark.
    host.construct(mirrorA, diskText, { nul: true });
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_IN_SYNC, mirrorA, [1])?.values).toEqual([1]);
    expect(host.flush(mirrorA, 1)?.error).toBe(-Errno.EIO);
    expect(host.ask(DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(-Errno.EIO);
    expect(host.ask(DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(-Errno.EINVAL);
  });

  test('a second RESUME tries at once; DTR gives up', () => {
    const { host, disk } = hostWithDisk(64, retry);
    host.powerCut();
    host.construct(mirrorA, diskText);
    disk.openErrno = Errno.ENXIO;
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.ENXIO);
    disk.openErrno = 0;
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    host.powerCut();
    host.construct(mirrorA, diskText);
    disk.openErrno = Errno.ENXIO;
    host.ask(DM_ULOG_RESUME, mirrorA);
    expect(host.ask(DM_ULOG_DTR, mirrorA)?.error).toBe(0);
    expect(host.service.shutdown()).toBe(true);
  });
});

test('the first write of a new log never claims bits that nobody wrote', () => {
  const host = new Host();
  const disk = new TestDisk(1024 * 1024);
  disk.bytes.fill(0xff);
  host.disks.set('/dev/log', disk);
  host.construct(mirrorA, '800000 clustered-disk /dev/log 8');
  host.send(DM_ULOG_RESUME, mirrorA);
  const claims: number[] = [];
  for (host.turn(); disk.waiting.length > 0; host.turn()) {
    disk.complete();
    if (disk.bytes.readUInt32LE(0) === 0x4d695272) claims.push(disk.headerRegions);
  }
  // Bits, header, session.
  expect(claims).toEqual([0, 100_000, 100_000]);
  expect(disk.bytes.subarray(1024, 1024 + 12_500).every((byte) => byte === 0)).toBe(true);
});
