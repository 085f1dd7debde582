/** R9: a log that another host has not closed. */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_DTR,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
} from '../../ts/base/ulog-frames.js';
import { Host, hostWithDisk, mirrorA, type TestDisk } from './host.js';

const diskText = '512 clustered-disk /dev/log 8';

function other(disk: TestDisk, settings: { forceForeignSession?: boolean } = {}): Host {
  const host = new Host({ nodeName: 'beta', settings });
  host.disks.set('/dev/log', disk);
  host.construct(mirrorA, diskText);
  return host;
}

describe('R9', () => {
  test('RESUME is refused, nothing is written, and a write of the kernel waits', () => {
    const { host: first, disk } = hostWithDisk();
    first.flush(mirrorA, 5);
    const before = Buffer.from(disk.bytes);
    const host = other(disk);
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EBUSY);
    expect(disk.bytes.equals(before)).toBe(true);
    expect(host.reports.at(-1)).toMatchObject({ event: 'resume-refused', text: expect.stringContaining('alpha') });
    expect(host.ask(DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [1])?.values).toEqual([1, 0]);
    host.wait(60_000);
    expect(disk.bytes.equals(before)).toBe(true);
    expect(host.ask(DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(-Errno.EIO);
    expect(host.ask(DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [1])?.values).toEqual([0, 64]);
    host.ask(DM_ULOG_POSTSUSPEND, mirrorA);
    expect(host.ask(DM_ULOG_DTR, mirrorA)?.error).toBe(0);
  });

  test('unless forced', () => {
    const { host: first, disk } = hostWithDisk();
    first.flush(mirrorA, 5);
    const host = other(disk, { forceForeignSession: true });
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(host.state(mirrorA).map.isInSync(5)).toBe(false);
  });

  test('a closed one is taken over, and so is a log without a session record', () => {
    const { host: first, disk } = hostWithDisk();
    first.suspend(mirrorA);
    expect(other(disk).ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    disk.bytes.fill(0, 512, 1024);
    expect(other(disk).ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  });

  test('a torn one is no information', () => {
    const { disk } = hostWithDisk();
    disk.bytes.writeUInt8(disk.bytes.readUInt8(600) ^ 1, 600);
    expect(other(disk).ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  });

  test('our own host comes back after a crash', () => {
    const { host } = hostWithDisk();
    host.powerCut();
    expect(host.resumed(mirrorA, diskText).state.map.syncCount).toBe(64);
  });
});
