/** R9: a log device that another host has not closed is refused, however often and by whomever that is asked. */
import { expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
} from '../../ts/base/ulog-frames.js';
import { Group } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';

const disk = '512 clustered-disk /dev/log 8 nosync';

test('a host that has left the log and took it up again unheard is not over because another one asked twice', () => {
  const group = new Group([1, 2], { stickyMax: 0 });
  group.disks.set('/dev/log', new TestDisk(1024 * 1024));
  const before = { ...mirrorA, luid: 0x2000 };
  group.resume(before, disk, [1]);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
    expect(group.ask(1, type, before)?.error).toBe(0);
  // The daemon of 2 is stopped. 1 activates its mirror and writes.
  group.killDaemon(2);
  const log = { ...mirrorA, luid: 0x3000 };
  group.resume(log, disk, [1]);
  expect(group.ask(1, DM_ULOG_FLUSH, log, [5])?.error).toBe(0);
  // It is cut off, and lives. The daemon of 2 is started.
  group.loseGroup(1);
  group.join(2);
  group.settle();
  group.host(2).construct(mirrorA, disk);
  group.settle();
  const answers = [1, 2, 3].map(() => group.ask(2, DM_ULOG_RESUME, mirrorA)?.error);
  expect(answers).toEqual([-Errno.EBUSY, -Errno.EBUSY, -Errno.EBUSY]);
});

test('nor because other hosts asked: a mirror is activated on all of them', () => {
  const group = new Group([1, 2, 3], { stickyMax: 0 });
  group.disks.set('/dev/log', new TestDisk(1024 * 1024));
  const before = { ...mirrorA, luid: 0x2000 };
  group.resume(before, disk, [1]);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
    expect(group.ask(1, type, before)?.error).toBe(0);
  for (const node of [2, 3]) group.killDaemon(node);
  const log = { ...mirrorA, luid: 0x3000 };
  group.resume(log, disk, [1]);
  expect(group.ask(1, DM_ULOG_FLUSH, log, [5])?.error).toBe(0);
  group.loseGroup(1);
  for (const node of [2, 3]) group.join(node);
  group.settle();
  for (const node of [2, 3]) group.host(node).construct(mirrorA, disk);
  group.settle();
  // LVM activates a mirror on all hosts, once each.
  const answers = [2, 3].map((node) => group.ask(node, DM_ULOG_RESUME, mirrorA)?.error);
  expect(answers).toEqual([-Errno.EBUSY, -Errno.EBUSY]);
});
