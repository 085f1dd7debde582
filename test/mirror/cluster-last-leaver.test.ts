/** What the last host that had a log knew, and the next one has to be told or to doubt. */

import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { Group, groupWith } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';

const disk = '512 clustered-disk /dev/log 8 nosync';
const core = '512 clustered-core 8 nosync';

function leave(group: Group, node: number, log = mirrorA): void {
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
    expect(group.ask(node, type, log)?.error).toBe(0);
}

test.each([1, 2])(
  'what the last host of a core log had out of sync is not forgotten when it is booted: node %i',
  (next) => {
    const { group } = groupWith(core, [1, 2]);
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
    leave(group, 2);
    leave(group, 1);
    group.cutPower(1);
    group.join(1);
    group.settle();
    group.resume(mirrorA, core, [next]);
    expect(group.host(next).state(mirrorA).map.isInSync(5)).toBe(false);
  },
);

test.each([1, 2])('nor when all daemons were started anew meanwhile: node %i', (next) => {
  const { group } = groupWith(core, [1, 2]);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
  leave(group, 2);
  leave(group, 1);
  for (const node of [1, 2]) group.killDaemon(node);
  for (const node of [1, 2]) group.join(node);
  group.settle();
  group.resume(mirrorA, core, [next]);
  expect(group.host(next).state(mirrorA).map.isInSync(5)).toBe(false);
});

test.each([core, '512 clustered-disk /dev/log 8 nosync'])(
  'a table that was suspended while another host had the log does not count for the last: %s',
  (text) => {
    const { group, device } = groupWith(text, [1], { nodes: [1, 2] });
    // The log device fails for the last write of node 1, and works again for node 2.
    device.writeErrno = 5;
    group.ask(1, DM_ULOG_FLUSH, mirrorA, [3]);
    group.ask(1, DM_ULOG_PRESUSPEND, mirrorA);
    group.ask(1, DM_ULOG_POSTSUSPEND, mirrorA);
    device.writeErrno = 0;
    group.resume(mirrorA, text, [2]);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0])?.error).toBe(0);
    leave(group, 2);
    for (const node of [1, 2]) group.killDaemon(node);
    for (const node of [1, 2]) group.join(node);
    group.settle();
    expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.host(1).state(mirrorA).map.isInSync(5)).toBe(false);
  },
);

test('nor when the host that had it is booted, and the daemon of the other is started anew meanwhile', () => {
  const { group } = groupWith(core, [1], { nodes: [1, 2] });
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) expect(group.ask(1, type, mirrorA)?.error).toBe(0);
  group.resume(mirrorA, core, [2]);
  expect(group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0])?.error).toBe(0);
  leave(group, 2);
  group.cutPower(2);
  group.killDaemon(1);
  for (const node of [1, 2]) group.join(node);
  group.settle();
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(group.host(1).state(mirrorA).map.isInSync(5)).toBe(false);
});

test.each([2, 3])(
  'R16: what the last host could not write when it left is not in sync for the next one: node %i',
  (next) => {
    const { group, device } = groupWith(disk, [1, 2], { nodes: [1, 2, 3] });
    // Two sides go on with quorum: nothing is believed when they meet, and the log device has failed by then.
    group.split([2]);
    group.settle();
    group.ask(1, DM_ULOG_FLUSH, mirrorA, [5]);
    device.writeErrno = 5;
    group.heal();
    group.settle();
    const inSync = (node: number) => group.host(node).state(mirrorA).map.syncCount;
    for (const node of [2, 1]) {
      group.ask(node, DM_ULOG_PRESUSPEND, mirrorA);
      group.ask(node, DM_ULOG_POSTSUSPEND, mirrorA);
    }
    device.writeErrno = 0;
    if (next === 3) group.host(3).construct(mirrorA, disk);
    expect(group.ask(next, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(inSync(next)).toBe(0);
  },
);

const next = { uuid: mirrorA.uuid, luid: 0x2000 };

test.each([
  ['512 clustered-disk /dev/log 8 nosync', '512 clustered-disk /dev/log2 8 nosync'],
  ['512 clustered-core 8 nosync', '512 clustered-disk /dev/log2 8 nosync'],
  ['512 clustered-disk /dev/log 8 nosync', '512 clustered-core 8 nosync'],
])('what the last host had out of sync is not forgotten with a new log device: %s, then %s', (before, after) => {
  const { group } = groupWith(before, [1, 2]);
  group.disks.set('/dev/log2', Object.assign(new TestDisk(65_536, '253:8'), { minor: 8 }));
  for (const node of [1, 2]) expect(group.host(node).construct(next, after)?.error).toBe(0);
  leave(group, 1);
  // The other host is still at work, and a leg fails for it.
  expect(group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0])?.error).toBe(0);
  leave(group, 2);
  expect(group.ask(1, DM_ULOG_RESUME, next)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_RESUME, next)?.error).toBe(0);
  for (const node of [1, 2]) expect(group.host(node).state(next).map.isInSync(5)).toBe(false);
});

describe('who left last without closing the log reads it again (R8): another has had it since', () => {
  /** `order` is that in which they leave. */
  function reuse(how: 'in order' | 'at once' | 'the device fails') {
    const { group, device } = groupWith(disk, [1, 2]);
    for (const node of [2, 1]) group.ask(node, DM_ULOG_PRESUSPEND, mirrorA);
    for (const node of [2, 1]) {
      if (how === 'the device fails' && node === 1) device.writeErrno = Errno.EIO;
      group.host(node).send(DM_ULOG_POSTSUSPEND, mirrorA);
      if (how !== 'at once') group.settle();
    }
    group.settle();
    device.writeErrno = 0;
    group.loseGroup(1);
    group.settle();
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    // It dies in that write, and boots.
    group.cutPower(2);
    for (const node of [2, 1]) {
      group.join(node);
      group.settle();
    }
    expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    const { map } = group.host(1).state(mirrorA);
    return [map.isInSync(5), map.isClean(5), device.isCleanOnDisk(5)];
  }

  test.each(['in order', 'at once', 'the device fails'] as const)('%s', (how) => {
    expect(reuse(how)).toEqual([false, false, false]);
  });
});

test('a log device of before the log was kept in memory says nothing of who died with marks meanwhile', () => {
  const table = (luid: number) => ({ ...mirrorA, luid });
  const group = new Group([1, 2, 3], { stickyMax: 0 });
  group.disks.set('/dev/log', new TestDisk(1024 * 1024));
  group.resume(table(1), disk, [1]);
  leave(group, 1, table(1));
  group.resume(table(2), core, [1, 2]);
  expect(group.ask(2, DM_ULOG_FLUSH, table(2), [5])?.error).toBe(0);
  group.cutPower(2);
  group.settle();
  leave(group, 1, table(2));
  group.host(1).service.confirmDead(2, null, group.host(1).nowMs);
  group.settle();
  group.resume(table(3), disk, [1]);
  const { map } = group.host(1).state(table(3));
  expect([map.isInSync(5), map.isClean(5)]).toEqual([false, false]);
});

test.each([true, false])('a table whose end was heard late, or never, is not the one that left last: %s', (heard) => {
  const table = (luid: number) => ({ ...mirrorA, luid });
  const group = new Group([1, 2], { stickyMax: 0 });
  const ask = (luid: number, ...types: number[]) => {
    for (const type of types) expect(group.ask(1, type, table(luid))?.error).toBe(0);
  };
  group.resume(table(1), core, [1]);
  // It is loaded anew, and the daemon is killed when the DTR of the table before comes.
  group.host(1).construct(table(2), core);
  ask(1, DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND);
  group.resume(table(2), core, [1]);
  if (heard) ask(1, DM_ULOG_DTR);
  group.killDaemon(1);
  group.join(1);
  group.settle();
  expect(group.host(1).state(table(2)).map.syncCount).toBe(64);
  expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, table(2), [5, 0])?.error).toBe(0);
  leave(group, 1, table(2));
  group.resume(table(3), core, [1]);
  expect(group.host(1).state(table(3)).map.isInSync(5)).toBe(false);
});

test('nor does a table that gets its address inherit anything of it', () => {
  const table = (luid: number) => ({ ...mirrorA, luid });
  const group = new Group([1, 2], { stickyMax: 0 });
  const ask = (luid: number, type: number, payload: readonly number[] = []) =>
    expect(group.ask(1, type, table(luid), payload)?.error).toBe(0);
  const one = group.host(1);
  group.resume(table(1), core, [1]);
  ask(1, DM_ULOG_FLUSH, [5]);
  one.construct(table(2), core);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) ask(1, type);
  group.resume(table(2), core, [1]);
  // The DTR of the first one is lost.
  one.construct(table(1), core);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) ask(2, type);
  ask(1, DM_ULOG_RESUME);
  expect([one.state(table(1)).map.heldCount, one.state(table(1)).resumeCount]).toEqual([0, 1]);
});

test('loses its group while it reads the device that a dead writer left: it closes the log when it has one again', () => {
  const { group, device } = groupWith('512 clustered-disk /dev/log 8 nosync', [1, 2]);
  const second = group.host(2);
  expect(group.ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  group.cutPower(1);
  group.settle();
  // What nobody but the device knows comes through the stream.
  device.bytes[1024] = 0xfe;
  second.service.confirmDead(1, null, second.nowMs);
  group.step();
  const seq = second.send(DM_ULOG_POSTSUSPEND, mirrorA);
  second.settle();
  expect(group.awaits(MessageType.unknownDirty)).toBe(true);
  group.loseGroup(2);
  second.settle();
  expect(second.answerTo(seq)).toBeUndefined();
  group.join(2);
  group.settle();
  expect(second.answerTo(seq)?.error).toBe(0);
  expect(device.isCleanOnDisk(0)).toBe(false);
});

test.each([core, disk])('the last host leaves before it hears what it has itself put out of sync: %s', (text) => {
  const { group } = groupWith(text, [1], { nodes: [1, 2] });
  group.host(1).send(DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
  group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
  // The next one waits already, by a path to another log device.
  group.disks.set('/dev/other', new TestDisk(1024 * 1024));
  group.host(2).construct(mirrorA, text.replace('/dev/log', '/dev/other'));
  group.host(2).send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  expect(group.host(2).state(mirrorA).map.isInSync(5)).toBe(false);
});

test.each(['at once', 'one after the other'])(
  'what a failing device has not is with the last host, when all leave %s',
  (how) => {
    const { group, device } = groupWith(disk, [1, 2]);
    device.writeErrno = Errno.EIO;
    group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [9]);
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA)?.error).toBe(-Errno.EIO);
    group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [9]);
    for (const node of [1, 2]) expect(group.ask(node, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    for (const node of [1, 2]) {
      group.host(node).send(DM_ULOG_POSTSUSPEND, mirrorA);
      if (how !== 'at once') group.settle();
    }
    group.settle();
    expect(group.host(2).state(mirrorA).map.isInSync(9)).toBe(false);
    device.writeErrno = 0;
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.host(2).state(mirrorA).map.isInSync(9)).toBe(false);
    expect(device.isCleanOnDisk(9)).toBe(false);
  },
);

test.each([
  [2, 1, true],
  [2, 1, false],
  [1, 2, true],
])(
  'cut off as it suspends: what it left out of sync is known when it is back: node %i, and %i begins, which had it before: %s',
  (user, next, before) => {
    const { group } = groupWith(core, before ? [next] : [user], { nodes: [1, 2, 3] });
    if (before) {
      leave(group, next);
      group.resume(mirrorA, core, [user]);
    }
    group.ask(user, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
    expect(group.ask(user, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    group.tellsQuorum = false;
    group.split([user]);
    group.quorum(false, [user]);
    group.quorum(true, next === 1 ? [1, 3] : [2, 3]);
    group.settle();
    for (const type of [DM_ULOG_POSTSUSPEND, DM_ULOG_DTR]) expect(group.ask(user, type, mirrorA)?.error).toBe(0);
    group.heal();
    group.settle();
    group.quorum(true);
    group.settle();
    group.resume(mirrorA, core, [next]);
    expect(group.host(next).state(mirrorA).map.isInSync(5)).toBe(false);
  },
);

test.each([core, disk])(
  'nothing is resynced where the daemon of the only other user is started anew meanwhile: %s',
  (text) => {
    const { group } = groupWith(text, [1, 2], { nodes: [1, 2, 3] });
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [5]);
    group.wait(5000);
    group.killDaemon(2);
    group.settle();
    leave(group, 1);
    group.join(2);
    group.settle();
    const { map } = group.host(2).state(mirrorA);
    expect([group.host(2).log(mirrorA).replica.phase, map.syncCount]).toEqual(['following', map.regionCount]);
  },
);

test('of two other users, with daemons that are started anew, neither knows what the other had marked: all is in doubt', () => {
  const { group } = groupWith(core, [1, 2, 3]);
  group.killDaemon(2);
  group.settle();
  expect(group.ask(3, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  group.killDaemon(3);
  group.settle();
  leave(group, 1);
  group.join(2);
  group.settle();
  group.cutPower(3);
  group.join(3);
  group.settle();
  expect(group.host(2).state(mirrorA).map.isInSync(5)).toBe(false);
});
