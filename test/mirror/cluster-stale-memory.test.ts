/**
 * What a host knows of a log may be older than what others knew who had it last: its memory of a log whose device failed there, and
 * what the constructor of a core log says.
 */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const disk = '512 clustered-disk /dev/log 8 nosync';

test('R8: the host that left with a failed device and comes first again reads what others have marked', () => {
  const { group, device } = groupWith(disk, [1], { nodes: [1, 2] });
  device.writeErrno = Errno.EIO;
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [3])?.error).toBe(-Errno.EIO);
  group.ask(1, DM_ULOG_PRESUSPEND, mirrorA);
  expect(group.ask(1, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(-Errno.EIO);
  expect(group.host(1).state(mirrorA).logFailed).toBe(true);
  device.writeErrno = 0;

  group.resume(mirrorA, disk, [2]);
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [9])?.error).toBe(0);
  group.cutPower(2);
  group.host(1).service.confirmDead(2, null, group.host(1).nowMs);
  group.settle();

  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  const { map } = group.host(1).state(mirrorA);
  expect([map.isClean(9), map.isInSync(9), device.isCleanOnDisk(9)]).toEqual([false, false, false]);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [11])?.error).toBe(0);
});

test('R8: a copy in doubt whose device had failed reads it before it writes it', () => {
  const { group, device } = groupWith(disk, [1, 2, 3]);
  device.writeErrno = Errno.EIO;
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [3])?.error).toBe(-Errno.EIO);
  expect(group.host(3).state(mirrorA).logFailed).toBe(true);
  group.loseGroup(3);
  group.settle();
  device.writeErrno = 0;
  group.wait(4000);
  expect(group.host(2).state(mirrorA).logFailed).toBe(false);
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);

  // Both die, and only the older copy is left.
  for (const node of [1, 2]) group.cutPower(node);
  for (const node of [3, 1, 2]) {
    group.join(node);
    group.settle();
  }
  group.wait(4000);
  const { map, logFailed } = group.host(3).state(mirrorA);
  expect(group.host(3).log(mirrorA).replica.phase).toBe('following');
  expect([map.isClean(7), map.isInSync(7), device.isCleanOnDisk(7)]).toEqual([false, false, false]);
  expect(logFailed).toBe(false);
  expect(group.ask(3, DM_ULOG_FLUSH, mirrorA, [11])?.error).toBe(0);
});

describe('R8: what others left out of sync stands on a device that cannot be read', () => {
  /** Host 3 was lost before region 7 went out of sync, and comes back alone. */
  function outdated(): ReturnType<typeof groupWith> {
    const made = groupWith(disk, [1, 2], { nodes: [1, 2, 3] });
    const { group, device } = made;
    // The kernel of host 3 is not told for good that all is in sync.
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 0]);
    group.resume(mirrorA, disk, [3]);
    expect(group.ask(3, DM_ULOG_IN_SYNC, mirrorA, [7])?.values).toEqual([1]);
    group.loseGroup(3);
    group.settle();
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [7, 0]);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
    for (const node of [1, 2]) group.cutPower(node);
    device.readErrno = Errno.EIO;
    group.join(3);
    group.settle();
    for (const node of [1, 2]) group.host(3).service.confirmDead(node, null, group.host(3).nowMs);
    return made;
  }

  test('nothing is in sync until it can be', () => {
    const { group, device } = outdated();
    group.settle();
    expect(group.ask(3, DM_ULOG_IN_SYNC, mirrorA, [7])?.values).toEqual([0]);
    // What is resynced meanwhile stays so at the next try.
    const work = group.ask(3, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values[1] as number;
    group.ask(3, DM_ULOG_SET_REGION_SYNC, mirrorA, [work, 1]);
    group.wait(4000);
    const { map } = group.host(3).state(mirrorA);
    expect([map.isInSync(work), map.isInSync(7)]).toEqual([true, false]);

    device.readErrno = 0;
    group.wait(4000);
    expect(group.ask(3, DM_ULOG_FLUSH, mirrorA, [11])?.error).toBe(0);
    expect(map.isInSync(7)).toBe(false);
  });

  test('that nobody knows it is said again when it was lost with the group', () => {
    const { group, device } = outdated();
    const host = group.host(3);
    for (let left = 1000; group.next?.type !== MessageType.unknownDirty; left--) {
      if (left === 0) throw new Error('nobody says that the device is unread');
      if (group.step()) continue;
      host.turn();
      device.complete();
    }
    group.loseGroup(3);
    group.join(3);
    group.wait(4000);
    expect(group.ask(3, DM_ULOG_IN_SYNC, mirrorA, [7])?.values).toEqual([0]);
  });
});

test('R8: a kernel begins only when the device of a dead writer was read: it would take for in sync what only that knows', () => {
  const { group, device } = groupWith(disk, [1, 2], { nodes: [1, 2, 3] });
  group.host(3).construct(mirrorA, disk);
  group.settle();
  device.readErrno = Errno.EIO;
  group.cutPower(1);
  // What the dead one marked, and nobody else has.
  device.bytes[1024] = (device.bytes[1024] as number) & ~(1 << 5);
  group.host(2).service.confirmDead(1, null, group.host(2).nowMs);
  group.settle();
  const resume = group.host(3).send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  expect(group.host(3).answerTo(resume)).toBeUndefined();

  device.readErrno = 0;
  group.wait(10_000);
  expect(group.host(3).answerTo(resume)?.error).toBe(0);
  const { map } = group.host(3).state(mirrorA);
  expect([map.isClean(5), map.isInSync(5), map.isInSync(6)]).toEqual([false, false, true]);
});

test('R8: that the device of a dead writer was read is said again when somebody came meanwhile', () => {
  const { group } = groupWith(disk, [1, 2], { nodes: [1, 2, 3] });
  group.cutPower(1);
  group.host(2).service.confirmDead(1, null, group.host(2).nowMs);
  const table = () => group.host(3).service.cluster?.tables.get(mirrorA.uuid);
  for (let limit = 100; group.next?.type !== MessageType.durable; limit--) {
    if (limit === 0) throw new Error('the device is not read');
    if (!group.step()) for (const host of group.hosts.values()) host.settle();
  }
  expect(table()?.writerDied).toBe(true);
  group.join(1);
  group.settle();
  expect([table()?.writer, table()?.writerDied]).toEqual([2, false]);
});

test('R16: whose kernel is still in doubt does not say that the device fails to who takes its copy', () => {
  const { group, device } = groupWith(disk, [1, 2]);
  device.writeErrno = Errno.EIO;
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [3])?.error).toBe(-Errno.EIO);
  group.killDaemon(2);
  device.writeErrno = 0;
  group.wait(6000);
  expect(group.host(1).state(mirrorA).logFailed).toBe(false);
  // It does not know yet whether it has quorum, so nothing of its kernel goes out of sync.
  group.tellsQuorum = false;
  group.join(2);
  group.settle();
  expect(group.host(2).state(mirrorA).logFailed).toBe(true);
  group.killDaemon(1);
  group.join(1);
  group.settle();
  expect(group.host(1).state(mirrorA).logFailed).toBe(false);
  group.quorum(true);
  group.wait(6000);
  expect([1, 2].map((node) => group.host(node).state(mirrorA).logFailed)).toEqual([false, false]);
});

test.each([true, false])(
  'a reload that another host begins believes `nosync` only where all was in sync: %s',
  (allInSync) => {
    const group = new Group([1, 2, 3], { stickyMax: 0 });
    const core = '512 clustered-core 8 nosync';
    const next = { uuid: mirrorA.uuid, luid: 0x2000 };
    group.resume(mirrorA, core, [1, 2]);
    for (const node of [1, 2, 3]) group.host(node).construct(next, core);
    const suspend = (node: number) => {
      group.ask(node, DM_ULOG_PRESUSPEND, mirrorA);
      group.ask(node, DM_ULOG_POSTSUSPEND, mirrorA);
    };
    suspend(2);
    // A leg has failed there.
    if (!allInSync) group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [7, 0]);
    suspend(1);
    for (const node of [3, 2, 1]) expect(group.ask(node, DM_ULOG_RESUME, next)?.error).toBe(0);
    for (const node of [1, 2, 3]) expect(group.host(node).state(next).map.isInSync(7)).toBe(allInSync);
  },
);
