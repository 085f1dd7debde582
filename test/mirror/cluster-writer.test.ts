/** R8: one host at a time writes a log device, whatever leaves, comes back or begins anew while a write is under way. */
import { describe, expect, test } from 'vitest';
import { DM_ULOG_FLUSH, DM_ULOG_POSTSUSPEND, DM_ULOG_PRESUSPEND, DM_ULOG_RESUME } from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { StorePhase } from '../../ts/mirror/store-owner.js';
import { Group, groupWith } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';

const disk = '512 clustered-disk /dev/log 8 nosync';

const phaseOf = (group: Group, node: number) => group.host(node).log(mirrorA).replica.phase;
const storeOf = (group: Group, node: number) => group.host(node).log(mirrorA).life.store;

test('who leaves when its last write has ended takes the role up no more, though it was cut off meanwhile', () => {
  const { group, device } = groupWith(disk, [1, 2]);
  group.host(1).send(DM_ULOG_FLUSH, mirrorA, [5]);
  group.talk();
  expect(storeOf(group, 1)?.writing).toBe(true);
  group.host(1).send(DM_ULOG_PRESUSPEND, mirrorA);
  group.talk();
  const left = group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
  group.loseGroup(1);
  group.talk();
  group.join(1);
  group.talk();
  expect([phaseOf(group, 1), group.host(1).answerTo(left), device.waiting.length]).toEqual(['following', undefined, 1]);

  // Only the write: what its end begins is seen before any of it is done.
  device.complete();
  group.talk();
  expect(group.host(1).answerTo(left)?.error).toBe(0);
  expect(storeOf(group, 1)?.phase).toBe(StorePhase.closed);
  expect(group.host(2).service.cluster?.tables.get(mirrorA.uuid)?.writer).toBe(2);
  group.settle();
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [9])?.error).toBe(0);
});

test('who leaves out of a load has left when nothing of it is on its way to the device', () => {
  const { group, device } = groupWith(disk, [], { nodes: [1, 2] });
  for (const node of [1, 2]) group.host(node).construct(mirrorA, disk);
  group.host(1).send(DM_ULOG_RESUME, mirrorA);
  const second = group.host(2).send(DM_ULOG_RESUME, mirrorA);
  group.talk();
  while (storeOf(group, 1)?.writing !== true) {
    if (!device.complete()) throw new Error('the load has stopped');
    group.talk();
  }
  group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
  group.talk();
  expect([phaseOf(group, 2), device.waiting.length]).toEqual(['waiting', 1]);
  group.settle();
  expect(group.host(2).answerTo(second)?.error).toBe(0);
});

test('who has left and comes anew loads nothing by the role that it gives away with that', () => {
  const { group } = groupWith(disk, [], { nodes: [1, 2] });
  for (const node of [1, 2]) group.host(node).construct(mirrorA, disk);
  group.quorum(false);
  for (const node of [1, 2]) group.host(node).send(DM_ULOG_RESUME, mirrorA);
  group.talk();
  expect(group.host(1).service.cluster?.tables.get(mirrorA.uuid)?.writer).toBe(1);

  group.quorum(true);
  group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
  group.host(1).send(DM_ULOG_RESUME, mirrorA);
  while (group.awaits(MessageType.join)) {
    expect(phaseOf(group, 1)).toBe('waiting');
    group.step();
  }
  group.talk();
  expect([1, 2].map((node) => phaseOf(group, node))).toEqual(['waiting', 'loading']);
});

test('what is dirty on the device and marked anew by whose copy is older than the device is out of sync', () => {
  const { group, device } = groupWith(disk, [1, 2]);
  group.killDaemon(2);
  group.settle();
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
  expect(device.isCleanOnDisk(7)).toBe(false);
  group.cutPower(1);
  // Its kernel writes there, too, and its copy does not know yet that another has.
  const flush = group.host(2).send(DM_ULOG_FLUSH, mirrorA, [7, 9]);
  group.join(2);
  group.settle();
  group.host(2).service.confirmDead(1, null, group.host(2).nowMs);
  // Its marks are known before the device is read.
  group.talk();
  group.settle();
  expect(group.host(2).answerTo(flush)?.error).toBe(0);
  const { map } = group.host(2).state(mirrorA);
  expect([7, 9].map((region) => [map.isClean(region), map.isInSync(region)])).toEqual([
    [false, false],
    [false, true],
  ]);
});

test('who gives the role back takes it up no more before that is delivered, whatever copy it has by then', () => {
  const { group, device } = groupWith(disk, [1, 2]);
  group.host(1).send(DM_ULOG_FLUSH, mirrorA, [5]);
  group.talk();
  group.loseGroup(1);
  group.talk();
  group.join(1);
  while (!group.awaits(MessageType.chunk)) {
    if (!group.step()) throw new Error('no copy is on its way');
    for (const host of group.hosts.values()) host.turn();
  }
  // The write that was under way ends when the copy has been sent, and not before.
  expect([phaseOf(group, 1), device.waiting.length]).toEqual(['copying', 1]);
  device.complete();
  expect(group.awaits(MessageType.retired)).toBe(true);
  while (group.awaits(MessageType.chunk)) group.step();
  expect(phaseOf(group, 1)).toBe('announcing');
  // The device is faster than the stream.
  while (device.waiting.length > 0 && storeOf(group, 1)?.writing !== true) device.complete();
  while (group.awaits(MessageType.retired)) group.step();
  expect(group.host(1).service.cluster?.tables.get(mirrorA.uuid)?.writer).toBe(2);
  expect(storeOf(group, 1)?.writing).toBe(false);
  group.settle();
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [9])?.error).toBe(0);
  expect([5, 9].map((region) => device.isCleanOnDisk(region))).toEqual([false, false]);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
});

describe('a daemon that has lost its corosync, which says that it is gone, with a write under way', () => {
  /** `late` ends the write of node 1. */
  function lost(): ReturnType<typeof groupWith> & { late: (() => void) | undefined } {
    const { group, device } = groupWith(disk, [1, 2]);
    group.host(1).send(DM_ULOG_FLUSH, mirrorA, [5]);
    group.talk();
    const late = device.waiting.shift();
    group.loseGroup(1, 'process-down');
    group.settle();
    return { group, device, late };
  }

  /** Node 2 is the writer and has marked 9; the write of node 1 ends behind that, and undoes it. */
  function undone(): ReturnType<typeof groupWith> {
    const { group, device, late } = lost();
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [9])?.error).toBe(0);
    expect(device.isCleanOnDisk(9)).toBe(false);
    late?.();
    expect(device.isCleanOnDisk(9)).toBe(true);
    return { group, device };
  }

  test('comes back: what it has undone is written again', () => {
    const { group, device } = undone();
    group.join(1);
    group.settle();
    expect([5, 9].map((region) => device.isCleanOnDisk(region))).toEqual([false, false]);
  });

  test('is killed, and the next one comes', () => {
    const { group, device } = undone();
    group.killDaemon(1);
    group.join(1);
    group.settle();
    expect(device.isCleanOnDisk(9)).toBe(false);
  });

  test('dies with its host', () => {
    const { group, device } = undone();
    group.cutPower(1);
    group.host(2).service.confirmDead(1, null, group.host(2).nowMs);
    group.settle();
    expect(device.isCleanOnDisk(9)).toBe(false);
  });

  test('comes back before that write has ended', () => {
    const { group, device, late } = lost();
    group.join(1);
    group.settle();
    // It might land behind what the writer of now writes.
    const flush = group.host(2).send(DM_ULOG_FLUSH, mirrorA, [9]);
    group.settle();
    expect(group.host(2).answerTo(flush)).toBeUndefined();
    late?.();
    group.settle();
    expect(group.host(2).answerTo(flush)?.error).toBe(0);
    expect([5, 9].map((region) => device.isCleanOnDisk(region))).toEqual([false, false]);
  });
});

test('a load that has lost its corosync so, with a write under way: who loads behind it writes again what that undoes', () => {
  const group = new Group([1, 2], { stickyMax: 0 });
  const device = new TestDisk(1024 * 1024);
  group.disks.set('/dev/log', device);
  for (const node of [1, 2]) group.host(node).construct(mirrorA, disk);
  group.settle();
  const one = group.host(1);
  one.send(DM_ULOG_RESUME, mirrorA);
  group.talk();
  while (one.log(mirrorA).life.store?.writing !== true) {
    device.complete();
    group.talk();
  }
  const late = device.waiting.shift();
  group.loseGroup(1, 'process-down');
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  late?.();
  one.settle();
  expect(device.isCleanOnDisk(5)).toBe(true);
  group.join(1);
  group.settle();
  expect(device.isCleanOnDisk(5)).toBe(false);
});

test('a load that is judged while its last writer introduces itself does not write over what that one writes', () => {
  const { group, device } = groupWith(disk, [1], { nodes: [1, 2, 3] });
  const one = group.host(1);
  group.killDaemon(1);
  for (const node of [2, 3]) group.cutPower(node);
  for (const node of [2, 3]) group.join(node);
  group.settle();
  const host = group.host(2);
  host.construct(mirrorA, disk);
  group.settle();
  const refused = host.ask(DM_ULOG_RESUME, mirrorA);
  group.settle();
  // Node 1 has not closed the log, and is not there.
  expect(host.answers.filter(({ error }) => error === -16)).toHaveLength(1);
  expect(refused?.error ?? -16).toBe(-16);
  // Its kernel tries again in the moment in which the daemon of node 1 comes.
  host.send(DM_ULOG_RESUME, mirrorA);
  group.talk();
  expect(host.log(mirrorA).replica.phase).toBe('loading');
  device.complete();
  host.turn();
  group.join(1);
  device.complete();
  host.turn();
  device.complete();
  host.turn();
  // The last write of the load is on its way now, or there was none.
  const late = device.waiting.splice(0);
  group.talk();
  const seq = one.send(DM_ULOG_FLUSH, mirrorA, [5]);
  for (let i = 0; i < 20; i++) {
    group.talk();
    device.complete();
    one.turn();
  }
  expect(one.answerTo(seq)?.error).toBe(0);
  expect(device.isCleanOnDisk(5)).toBe(false);
  device.waiting.push(...late);
  group.settle();
  group.wait(5000);
  expect(device.isCleanOnDisk(5)).toBe(false);
});

test('a join of before a leave begins no load: that of the resume behind it is on its way (R8)', () => {
  const { group, device } = groupWith(disk, [2, 3]);
  const [two, three] = [group.host(2), group.host(3)];
  for (const node of [2, 3])
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) expect(group.ask(node, type, mirrorA)?.error).toBe(0);
  group.part(2, 'process-down');
  two.powerCut(false);
  group.join(2);
  group.settle();
  two.construct(mirrorA, disk, { nul: true });
  // The RESUME of the reconnect; a suspend of another thread, its resume; and the group is slow.
  for (const type of [DM_ULOG_RESUME, DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) two.send(type, mirrorA);
  const joined = three.send(DM_ULOG_RESUME, mirrorA);
  two.send(DM_ULOG_RESUME, mirrorA);
  while (group.step());
  expect([storeOf(group, 2)?.phase, storeOf(group, 3)?.phase]).toEqual([StorePhase.closed, StorePhase.opening]);
  group.settle();
  expect(three.answerTo(joined)?.error).toBe(0);
  expect(group.ask(3, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  expect(device.isCleanOnDisk(5)).toBe(false);
});
