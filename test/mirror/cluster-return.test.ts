/** Daemons, nodes and the group that go away and come back. */
import { expect, test, vi } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { LifeCycle } from '../../ts/mirror/log-state.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { groupWith } from './cluster-host.js';
import { restartDaemon, resume, suspend, suspendAndResume } from './cluster-kernel.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';

test.each([core, disk])('a daemon that was killed takes a copy and announces its marks: %s', (text) => {
  const { group } = groupWith(text, [1, 2]);
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [3]);
  group.killDaemon(1);
  group.settle();
  group.ask(2, DM_ULOG_MARK_REGION, mirrorA, [9]);
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
  group.join(1);
  group.settle();
  const { replica, state } = group.host(1).log(mirrorA);
  expect(replica.phase).toBe('following');
  expect([state.map.isClean(3), state.map.isClean(9), state.map.isClean(4)]).toEqual([false, false, true]);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
  group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [3]);
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).map.isClean(3)).toBe(true);
});

test.each([core, disk])('all daemons killed at once: the marks of all kernels survive: %s', (text) => {
  const { group } = groupWith(text, [1, 2, 3]);
  for (const node of [1, 2, 3]) group.ask(node, DM_ULOG_MARK_REGION, mirrorA, [node]);
  for (const node of [1, 2, 3]) group.killDaemon(node);
  group.join(2);
  group.settle();
  // The others may have gone on.
  expect(group.host(2).log(mirrorA).replica.following).toBe(false);
  group.join(3);
  group.join(1);
  group.settle();
  for (const node of [1, 2, 3]) {
    const { replica, state } = group.host(node).log(mirrorA);
    expect([node, replica.phase]).toEqual([node, 'following']);
    expect([0, 1, 2, 3, 4].map((region) => state.map.isClean(region))).toEqual([true, false, false, false, true]);
    expect([1, 2, 3].map((owner) => state.owners.has(owner, owner))).toEqual([true, true, true]);
  }
  group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [2]);
  for (const node of [1, 2, 3]) expect(group.host(node).state(mirrorA).map.isClean(2)).toBe(true);
});

test('R7: a lost node keeps its marks and the writer its role until it is known dead', () => {
  const { group, device } = groupWith(disk, [1, 2, 3]);
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [5]);
  group.cutPower(1);
  group.settle();
  group.ask(2, DM_ULOG_MARK_REGION, mirrorA, [6]);
  const flush = group.host(2).send(DM_ULOG_FLUSH, mirrorA);
  group.settle();
  expect(group.host(2).answerTo(flush)).toBeUndefined();
  expect(group.host(2).state(mirrorA).owners.has(1, 5)).toBe(true);
  group.host(3).service.confirmDead(1, null, group.host(3).nowMs);
  group.settle();
  expect(group.host(2).answerTo(flush)?.error).toBe(0);
  expect(device.isCleanOnDisk(6)).toBe(false);
  for (const node of [2, 3]) {
    const { map, owners } = group.host(node).state(mirrorA);
    expect([map.isInSync(5), map.isClean(5), owners.has(1, 5)]).toEqual([false, false, false]);
  }
});

test('R7: a node that comes back with another boot id has died', () => {
  const { group } = groupWith(core, [1, 2]);
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [5]);
  group.cutPower(1);
  group.settle();
  expect(group.host(2).state(mirrorA).map.isInSync(5)).toBe(true);
  group.join(1);
  group.settle();
  expect(group.host(2).state(mirrorA).map.isInSync(5)).toBe(false);
  expect(
    group
      .host(2)
      .log(mirrorA)
      .replica.rights.table?.members.map(({ node }) => node),
  ).toEqual([2]);
});

test('R8: a new writer finds on disk what only the dead one knew', () => {
  const { group, device } = groupWith(disk, [1, 2]);
  // The dead writer had written a mark that nobody else was delivered.
  device.bytes[1024 + 2] = (device.bytes[1024 + 2] as number) & ~0x10;
  group.cutPower(1);
  group.host(2).service.confirmDead(1, null, group.host(2).nowMs);
  group.settle();
  const { map } = group.host(2).state(mirrorA);
  expect([map.isClean(20), map.isInSync(20), map.isClean(21)]).toEqual([false, false, true]);
  expect(device.isCleanOnDisk(20)).toBe(false);
});

test('R10: a suspend waits for the recovery of another node', () => {
  const { group } = groupWith('64 clustered-core 8', [1, 2]);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  const halt = group.host(2).send(DM_ULOG_PRESUSPEND, mirrorA);
  group.settle();
  expect(group.host(2).answerTo(halt)).toBeUndefined();
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1]);
  expect(group.host(2).answerTo(halt)?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  expect(group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 1]);
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
});

test('R8: one of two that may both go on recovers nothing without the writer: he goes on, too', () => {
  const { group } = groupWith('512 clustered-disk /dev/log 8', [1, 2]);
  group.part(1, 'node-down');
  group.settle();
  expect(group.host(2).service.cluster?.orderedQuorate).toBe(true);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  group.host(2).service.confirmDead(1, null, group.host(2).nowMs);
  group.settle();
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
});

test('a log that its last host left without quorum is closed when that is there', () => {
  const { group } = groupWith(disk, [1]);
  group.quorum(false);
  group.settle();
  expect(group.ask(1, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  const leave = group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
  group.settle();
  expect(group.host(1).answerTo(leave)).toBeUndefined();
  group.quorum(true);
  group.settle();
  expect(group.host(1).answerTo(leave)?.error).toBe(0);
});

test('R9: all hosts die: the log is read when the one that wrote it last is back', () => {
  const { group } = groupWith(disk, [1, 2]);
  for (const node of [1, 2]) group.cutPower(node);
  group.join(2);
  group.settle();
  group.host(2).construct(mirrorA, disk);
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EBUSY);
  group.join(1);
  group.settle();
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
});

test('R13: without quorum new marks wait and repeats go on', () => {
  const { group } = groupWith(core, [1, 2]);
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [1]);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
  group.quorum(false);
  group.settle();
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [1]);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [2]);
  const flush = group.host(1).send(DM_ULOG_FLUSH, mirrorA);
  group.settle();
  expect(group.host(1).answerTo(flush)).toBeUndefined();
  group.quorum(true);
  group.settle();
  expect(group.host(1).answerTo(flush)?.error).toBe(0);
});

test('R8: who has the role and quorum says that it may write: it may begin until it hears that the role is given away', () => {
  const { group } = groupWith(disk, [1, 2]);
  const writing = (node: number) => group.host(node).log(mirrorA).report()?.writing;
  expect([writing(1), writing(2)]).toEqual([true, false]);
  group.quorum(false);
  group.settle();
  expect(writing(1)).toBe(false);
});

test('the group is lost under a daemon and comes back', () => {
  const { group } = groupWith(disk, [1, 2]);
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [1]);
  group.loseGroup(1);
  group.settle();
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [2]);
  const flush = group.host(1).send(DM_ULOG_FLUSH, mirrorA);
  group.settle();
  expect(group.host(1).answerTo(flush)).toBeUndefined();
  group.join(1);
  group.settle();
  expect(group.host(1).answerTo(flush)?.error).toBe(0);
  expect(group.host(2).state(mirrorA).owners.has(1, 2)).toBe(true);
});

test.each([core, disk])('the last to leave closes the log, and whoever comes next has its bits: %s', (text) => {
  const { group } = groupWith(text, [1, 2]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [7, 0]);
  for (const node of [1, 2]) {
    expect(group.ask(node, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    expect(group.ask(node, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
  }
  for (const node of [2, 1]) expect(group.ask(node, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  for (const node of [1, 2]) {
    const { map } = group.host(node).state(mirrorA);
    expect([map.isInSync(6), map.isInSync(7)]).toEqual([true, false]);
  }
});

test('R12: a region below a hint that the kernel was told stays in sync for it, also behind a restart', () => {
  const { group } = groupWith('64 clustered-core 8', [1, 2]);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1]);
  expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [5])?.values).toEqual([1, 1]);
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [0]);
  group.cutPower(1);
  group.host(2).service.confirmDead(1, null, group.host(2).nowMs);
  group.settle();
  expect(group.host(2).state(mirrorA).map.isInSync(0)).toBe(false);
  expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [0])?.values).toEqual([1]);
  expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [3])?.values).toEqual([0]);
  group.killDaemon(2);
  group.join(2);
  group.settle();
  expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [0])?.values).toEqual([1]);
});

test('R12: the hint of before has ended when a resume is stored, should the daemon be killed right behind that', () => {
  const { group } = groupWith(core, [1, 2]);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [60, 0]);
  suspendAndResume(group, 2);
  expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [62])?.values).toEqual([0, 60]);
  suspend(group, 2);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [20, 0]);
  const state = group.host(2).state(mirrorA);
  const { set } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(state), 'lifeCycle') ?? {};
  const store = vi.spyOn(state, 'lifeCycle', 'set').mockImplementation((value) => {
    set?.call(state, value);
    if (value === LifeCycle.active) throw new Error('killed');
  });
  group.host(2).send(DM_ULOG_RESUME, mirrorA);
  expect(() => group.settle()).toThrow('killed');
  store.mockRestore();
  restartDaemon(group, 2);
  resume(group, 2);
  expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [20])?.values).toEqual([1, 20]);
});

test('R7: a member that died while nobody had a copy that counts leaves nothing clean that it held', () => {
  const { group } = groupWith(core, [1, 2]);
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [5]);
  group.killDaemon(2);
  group.cutPower(1);
  group.join(2);
  group.settle();
  // It may have gone on.
  expect(group.host(2).log(mirrorA).replica.following).toBe(false);
  group.join(1);
  group.settle();
  const { map } = group.host(2).state(mirrorA);
  expect(group.host(2).log(mirrorA).replica.phase).toBe('following');
  expect([map.isClean(5), map.isInSync(5)]).toEqual([false, false]);
});

test.each([core, disk])(
  'what the last to follow found out of sync after another daemon had gone stays so: %s',
  (text) => {
    const { group } = groupWith(text, [1, 2]);
    group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [3]);
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
    group.killDaemon(2);
    group.settle();
    expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [3, 0])?.error).toBe(0);
    // And what it has only marked then.
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
    group.ask(1, DM_ULOG_PRESUSPEND, mirrorA);
    group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [3]);
    group.ask(1, DM_ULOG_POSTSUSPEND, mirrorA);
    const resume = group.host(1).send(DM_ULOG_RESUME, mirrorA);
    group.settle();
    group.join(2);
    group.settle();
    expect(group.host(1).answerTo(resume)?.error).toBe(0);
    group.wait(3000);
    for (const node of [1, 2]) {
      const { map, owners } = group.host(node).state(mirrorA);
      expect([map.isClean(3), map.isInSync(3), owners.has(1, 3)]).toEqual([false, false, false]);
      expect([map.isClean(7), map.isInSync(7)]).toEqual([false, false]);
    }
  },
);

test('a region that was put out of sync without quorum is so on the side that counts before that is answered', () => {
  const { group } = groupWith(core, [1, 2]);
  group.part(1, 'node-down');
  group.quorum(false, [2]);
  group.settle();
  const seq = group.host(2).send(DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  group.settle();
  expect(group.host(2).state(mirrorA).map.isInSync(4)).toBe(false);
  expect(group.host(2).answerTo(seq)).toBeUndefined();
  group.join(1);
  group.settle();
  expect(group.host(2).answerTo(seq)?.error).toBe(0);
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).map.isInSync(4)).toBe(false);
});

test('R8: a new writer says nothing before it has read what is on the device', () => {
  const { group } = groupWith(disk, [1, 2]);
  group.killDaemon(2);
  group.settle();
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
  group.ask(1, DM_ULOG_PRESUSPEND, mirrorA);
  group.ask(1, DM_ULOG_POSTSUSPEND, mirrorA);
  group.join(2);
  // Every message, and nothing of the device.
  while (group.step());
  const table = () => group.host(1).service.cluster?.tables.get(mirrorA.uuid);
  expect([table()?.writer, table()?.writerDied]).toEqual([2, true]);
  group.settle();
  expect(table()?.writerDied).toBe(false);
  expect(group.host(2).state(mirrorA).map.isInSync(7)).toBe(false);
});

test('R1: who leaves others with the log has written nothing: a flush that waits then is not safe', () => {
  const { group } = groupWith(disk, [1, 2]);
  group.acknowledges = false;
  const flush = group.host(2).send(DM_ULOG_FLUSH, mirrorA, [5]);
  group.settle();
  expect(group.host(2).answerTo(flush)).toBeUndefined();
  expect(group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
  expect(group.host(2).answerTo(flush)?.error).toBe(-Errno.EIO);
});

test('R1: what an earlier writer has said does not count: it may have cleaned what nobody else was told to clean', () => {
  const { group, device } = groupWith(disk, [1, 2, 3]);
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
  // The release of the second was delivered to the writer alone, and its host dies then.
  const byte = 1024 + (7 >> 3);
  device.bytes[byte] = (device.bytes[byte] as number) | 0x80;
  group.cutPower(1);
  group.settle();
  const flush = group.host(3).send(DM_ULOG_FLUSH, mirrorA, [7]);
  group.settle();
  expect(group.host(3).answerTo(flush)).toBeUndefined();
  group.host(2).service.confirmDead(1, null, group.host(2).nowMs);
  // The next has the role, and has written nothing yet.
  while (group.step());
  group.host(3).turn();
  expect(group.host(3).answerTo(flush)).toBeUndefined();
  expect(device.isCleanOnDisk(7)).toBe(true);
  group.settle();
  expect(group.host(3).answerTo(flush)?.error).toBe(0);
  expect(device.isCleanOnDisk(7)).toBe(false);
});

test.each([core, disk])('R2: a daemon that is killed while it learns of a death learns of it again: %s', (text) => {
  const { group } = groupWith(text, [1, 2], { nodes: [1, 2, 3] });
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  group.cutPower(2);
  group.settle();
  group.join(2);
  // Of the reports that tell of the death the last one reaches the third host alone.
  while (group.next?.type !== MessageType.report || group.next.node !== 3) group.step();
  group.stepTo(3);
  group.killDaemon(1);
  group.tamper = ({ type }) => {
    if (type === MessageType.ready) throw new Error('killed');
  };
  group.join(1);
  expect(() => group.settle()).toThrow('killed');
  group.tamper = null;
  group.killDaemon(1);
  group.join(1);
  group.settle();
  const { replica, state } = group.host(1).log(mirrorA);
  expect([replica.phase, state.map.isClean(5), state.map.isInSync(5)]).toEqual(['following', false, false]);
});

test.each([core, disk])(
  'who was falsely confirmed dead is known also when all other daemons were started anew: %s',
  (text) => {
    const { group } = groupWith(text, [1, 2], { nodes: [1, 2, 3] });
    group.ask(2, DM_ULOG_FLUSH, mirrorA, [5]);
    group.loseGroup(2);
    group.settle();
    group.host(1).service.confirmDead(2, null, group.host(1).nowMs);
    group.settle();
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 5]);
    expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 1])?.error).toBe(0);
    for (const nodes of [[1], [1, 3]]) {
      for (const node of nodes) group.killDaemon(node);
      for (const node of nodes) group.join(node);
      group.settle();
    }
    expect(group.host(1).state(mirrorA).map.isInSync(5)).toBe(true);
    group.join(2);
    group.settle();
    expect(group.host(1).state(mirrorA).map.isInSync(5)).toBe(false);
  },
);
