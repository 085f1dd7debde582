/** The first member of a log loads its device; what happens when that fails. */
import { expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { LifeCycle } from '../../ts/mirror/log-state.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { Group, groupWith } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';

/** RESUME of the first member has failed with its log device. */
function groupThatCannotLoad(): { group: Group; device: TestDisk } {
  const group = new Group([1, 2], { stickyMax: 0, logRetryMs: 1000 });
  const device = new TestDisk(1024 * 1024);
  group.disks.set('/dev/log', device);
  group.host(1).construct(mirrorA, '512 clustered-disk /dev/log 8 nosync');
  device.readErrno = Errno.EIO;
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EIO);
  expect(group.ask(1, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [1])?.values).toEqual([1, 0]);
  return { group, device };
}

test('the load is tried again by itself', () => {
  const { group, device } = groupThatCannotLoad();
  device.readErrno = 0;
  group.wait(2500);
  expect(group.host(1).state(mirrorA).lifeCycle).toBe(LifeCycle.active);
  expect(group.ask(1, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [1])?.values).toEqual([0, 64]);
});

test('a second RESUME tries at once, and hears how that went', () => {
  const { group, device } = groupThatCannotLoad();
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EIO);
  device.readErrno = 0;
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
});

test('so does the RESUME of a reconnect that the next daemon gets', () => {
  const { group, device } = groupThatCannotLoad();
  group.killDaemon(1);
  group.join(1);
  group.settle();
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EIO);
  device.readErrno = 0;
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
});

test('who loads begins anew when somebody comes to the group, or somebody else does', () => {
  const group = new Group([1, 2], { stickyMax: 0, logRetryMs: 1000 });
  const device = new TestDisk(1024 * 1024);
  group.disks.set('/dev/log', device);
  const text = '512 clustered-disk /dev/log 8 nosync';
  for (const node of [1, 2]) group.host(node).construct(mirrorA, text);
  device.readErrno = Errno.EIO;
  group.ask(2, DM_ULOG_RESUME, mirrorA);
  const first = group.host(1).send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  group.part(1, 'process-down');
  device.readErrno = 0;
  group.join(1);
  group.settle();
  group.wait(2500);
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).lifeCycle).toBe(LifeCycle.active);
  expect(group.host(1).answerTo(first)?.error).toBe(0);
});

test('R9: who has not resumed yet uses no log, whatever an earlier session of it left unclosed', () => {
  const { group, device } = groupThatCannotLoad();
  const ended = () =>
    group
      .host(2)
      .service.cluster?.hasEnded({ uuid: mirrorA.uuid, nodeName: 'node1', bootId: 'boot-1-1', writerEpoch: 9 });
  expect(ended()).toBe(true);
  device.readErrno = 0;
  group.wait(2500);
  expect(ended()).toBe(false);
});

test('who was refused the device is no member when somebody comes to the group: others would wait for it', () => {
  const device = new TestDisk(1024 * 1024);
  const text = '512 clustered-disk /dev/log 8 nosync';
  const elsewhere = new Group([9]);
  elsewhere.disks.set('/dev/log', device);
  elsewhere.resume(mirrorA, text, [9]);
  const group = new Group([1, 2]);
  group.disks.set('/dev/log', device);
  for (const node of [1, 2]) group.host(node).construct(mirrorA, text);
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EBUSY);
  group.part(2, 'process-down');
  group.join(2);
  group.settle();
  const table = () => group.host(2).service.cluster?.tables.get(mirrorA.uuid);
  expect([table()?.members ?? [], table()?.writer]).toEqual([[], -1]);
  elsewhere.ask(9, DM_ULOG_PRESUSPEND, mirrorA);
  expect(elsewhere.ask(9, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  // Its kernel has gone on with the log, and may have it from the other now.
  expect(group.host(1).state(mirrorA).lifeCycle).toBe(LifeCycle.active);
});

test('R6: who was about to be the first looks whether another has been it while its daemon was away', () => {
  const group = new Group([1, 2], { stickyMax: 0 });
  group.tellsQuorum = false;
  group.quorum(false);
  group.settle();
  const text = '512 clustered-core 8';
  for (const node of [1, 2]) group.host(node).construct(mirrorA, text);
  for (const node of [1, 2]) expect(group.ask(node, DM_ULOG_RESUME, mirrorA)).toBeUndefined();
  group.killDaemon(1);
  group.quorum(true);
  group.settle();
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  // The second's kernel copies, and nobody is left who has seen it begin.
  group.killDaemon(2);
  group.join(1);
  group.quorum(true);
  group.settle();
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)).toBeUndefined();
  group.join(2);
  group.quorum(true);
  group.settle();
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(group.host(1).state(mirrorA).recoveringNode).toBe(2);
});

test('what was its own business of one who has left for good since bars nobody who loads the log anew', () => {
  const text = '512 clustered-disk /dev/log 8 nosync';
  const { group } = groupWith(text, [1, 2]);
  group.ask(2, DM_ULOG_FLUSH, mirrorA, [5]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) group.ask(1, type, mirrorA);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR]) group.ask(2, type, mirrorA);
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 5]);
});

test('what a copy that was given up knew of others bars nobody who loads the log instead', () => {
  const text = '1024 clustered-disk /dev/log 8 nosync';
  const { group } = groupWith(text, [1], { nodes: [1, 2, 3], settings: { chunkRegions: 64 } });
  group.ask(1, DM_ULOG_FLUSH, mirrorA, [5]);
  group.host(2).construct(mirrorA, text);
  const resume = group.host(2).send(DM_ULOG_RESUME, mirrorA);
  while (!group.awaits(MessageType.chunk)) group.step();
  group.step();
  expect(group.host(2).state(mirrorA).owners.has(1, 5)).toBe(true);
  // Somebody comes, so the copy begins again; and before that who had the log dies.
  group.killDaemon(3);
  group.join(3);
  group.cutPower(1);
  group.settle();
  group.host(2).service.confirmDead(1, null, group.host(2).nowMs);
  group.settle();
  expect(group.host(2).answerTo(resume)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 5]);
});

test('who has given a load up keeps the role while its last write is under way, whoever comes to the group (R8)', () => {
  const group = new Group([1, 2, 3], { stickyMax: 0 });
  group.killDaemon(3);
  const device = new TestDisk(1024 * 1024);
  group.disks.set('/dev/log', device);
  const text = '512 clustered-disk /dev/log 8 nosync';
  for (const node of [1, 2]) group.host(node).construct(mirrorA, text);
  const host = group.host(1);
  host.send(DM_ULOG_RESUME, mirrorA);
  const store = () => host.log(mirrorA).life.store;
  while (store()?.writing !== true) {
    if (!group.step() && !device.complete()) throw new Error('nothing is written');
    host.turn();
  }
  // Its kernel gives up, and the write hangs.
  const left = host.send(DM_ULOG_POSTSUSPEND, mirrorA);
  host.turn();
  const waits = group.host(2).send(DM_ULOG_RESUME, mirrorA);
  group.host(2).turn();
  group.join(3);
  const begun = device.waiting.length;
  for (let steps = 0; steps < 100; steps++) {
    group.step();
    for (const node of [1, 2, 3]) group.host(node).turn();
  }
  expect(group.host(2).service.cluster?.tables.get(mirrorA.uuid)?.writer).toBe(1);
  expect(device.waiting.length).toBe(begun);
  group.settle();
  expect(host.answerTo(left)?.error).toBe(-Errno.EIO);
  expect(group.host(2).answerTo(waits)?.error).toBe(0);
});

test.each([
  ['before the log device is read', false],
  ['while it is read', true],
])('a host that knows better than the log device comes %s', (_, late) => {
  const table = (luid: number) => ({ ...mirrorA, luid });
  const disk = '512 clustered-disk /dev/log 8 nosync';
  const group = new Group([1, 2, 3], { stickyMax: 0 });
  const device = new TestDisk(1024 * 1024);
  group.disks.set('/dev/log', device);
  const end = (luid: number) => {
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
      expect(group.ask(1, type, table(luid))?.error).toBe(0);
  };
  group.resume(table(1), disk, [1]);
  end(1);
  group.resume(table(2), '512 clustered-core 8 nosync', [1]);
  expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, table(2), [5, 0])?.error).toBe(0);
  end(2);
  for (const node of [1, 2]) group.cutPower(node);
  group.killDaemon(3);
  for (const node of [1, 2]) group.join(node);
  group.settle();
  if (!late) {
    group.join(3);
    group.settle();
  }
  const one = group.host(1);
  one.construct(table(3), disk);
  group.settle();
  const seq = one.send(DM_ULOG_RESUME, table(3));
  group.talk();
  if (late) {
    // Open, header: the bits are being read.
    device.complete();
    one.turn();
    device.complete();
    one.turn();
    expect(one.log(table(3)).replica.phase).toBe('loading');
    group.join(3);
    group.talk();
  }
  group.settle();
  expect(one.answerTo(seq)?.error).toBe(0);
  expect(one.state(table(3)).map.isInSync(5)).toBe(false);
});

test('the daemon that loads it is killed: its kernel has had no answer, and another host is not kept out', () => {
  const text = '512 clustered-disk /dev/log 8 nosync';
  const group = new Group([1, 2, 3], { stickyMax: 0 });
  const device = new TestDisk(1024 * 1024);
  group.disks.set('/dev/log', device);
  for (const node of [1, 2]) group.host(node).construct(mirrorA, text);
  group.settle();
  const two = group.host(2);
  two.send(DM_ULOG_RESUME, mirrorA);
  group.talk();
  // Its session is on the device, and nobody has heard yet that it is ready.
  const hasSession = () => device.bytes.subarray(512, 1024).some((byte) => byte !== 0);
  while (device.waiting.length > 0 && !hasSession()) {
    device.complete();
    two.turn();
  }
  expect(hasSession()).toBe(true);
  const seq = group.host(1).send(DM_ULOG_RESUME, mirrorA);
  group.killDaemon(2);
  group.settle();
  expect(group.host(1).answerTo(seq)?.error).toBe(0);
  group.join(2);
  group.settle();
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).lifeCycle).toBe(LifeCycle.active);
});

/** Node 2 loads the log device, which has answered so often, or until it has written once; and how often that was. */
function loading(text: string, answers = Number.POSITIVE_INFINITY) {
  const group = new Group([1, 2, 3], { stickyMax: 0 });
  const device = new TestDisk(1024 * 1024);
  group.disks.set('/dev/log', device);
  for (const node of [1, 2]) group.host(node).construct(mirrorA, text);
  group.settle();
  group.host(2).send(DM_ULOG_RESUME, mirrorA);
  group.talk();
  let answered = 0;
  for (; answered < answers && device.waiting.length > 0 && device.writes === 0; answered++) {
    device.complete();
    group.host(2).turn();
  }
  return { group, device, answered };
}

test('R8: what it had under way lands behind what another host wrote: once it is known dead everything is written again', () => {
  const text = '512 clustered-disk /dev/log 8 nosync';
  const { group, device } = loading(text, loading(text).answered - 1);
  expect([device.writes, device.waiting.length]).toEqual([0, 1]);
  // Its corosync is stopped in order, and its daemon lives.
  group.loseGroup(2, 'process-down');
  const late = device.waiting.shift();
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  late?.();
  group.cutPower(2);
  group.host(1).service.confirmDead(2, null, group.host(1).nowMs);
  group.settle();
  group.wait(60_000);
  for (const node of [1, 3]) group.cutPower(node);
  for (const node of [1, 2, 3]) group.join(node);
  group.settle();
  group.resume(mirrorA, text, [1]);
  expect(group.host(1).state(mirrorA).map.isInSync(5)).toBe(false);
});

test.each(['all have heard that it is the first', 'it has quorum again'])('nothing is written before %s', (until) => {
  const group = new Group([1, 2], { stickyMax: 0 });
  const device = new TestDisk(1024 * 1024);
  group.disks.set('/dev/log', device);
  group.host(1).construct(mirrorA, '512 clustered-disk /dev/log 8 nosync');
  group.acknowledges = false;
  const seq = group.host(1).send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  expect(group.host(1).log(mirrorA).life.store?.merges).toBe(true);
  if (until === 'it has quorum again') {
    group.quorum(false);
    group.acknowledges = true;
    group.acknowledge();
    group.settle();
  }
  expect([device.writes, group.host(1).answerTo(seq)]).toEqual([0, undefined]);
  group.acknowledges = true;
  group.acknowledge();
  group.quorum(true);
  group.settle();
  expect([device.writes > 0, group.host(1).answerTo(seq)?.error]).toEqual([true, 0]);
});

test('a host that is being cut off hears that it is the last one, and not that another has come: it does not close the log device', () => {
  const { group } = groupWith('512 clustered-disk /dev/log 8 nosync', [1, 2]);
  const device = group.disks.get('/dev/log') as TestDisk;
  const ends = [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR];
  for (const type of ends.slice(0, 1)) for (const node of [1, 2]) expect(group.ask(node, type, mirrorA)?.error).toBe(0);
  group.host(2).send(DM_ULOG_POSTSUSPEND, mirrorA);
  group.host(2).turn();
  const own = group.takeNext();
  expect(group.ask(1, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
  group.putNext(own);
  group.acknowledges = false;
  group.stepTo(2);
  const before = device.writes;
  for (let i = 0; i < 20; i++) group.host(2).settle();
  expect(device.writes).toBe(before);
});

test.each([true, false])(
  'R8: who waits with what it has read reads again when it has quorum anew: another host had the log meanwhile (and closed it: %s)',
  (closed) => {
    const group = new Group([1, 2], { stickyMax: 0 });
    group.disks.set('/dev/log', new TestDisk(1024 * 1024));
    for (const node of [1, 2]) group.host(node).construct(mirrorA, '512 clustered-disk /dev/log 8 nosync');
    group.settle();
    group.tellsQuorum = false;
    group.acknowledges = false;
    const one = group.host(1);
    const resumed = one.send(DM_ULOG_RESUME, mirrorA);
    one.settle();
    group.stepTo(1);
    one.settle();
    expect(one.log(mirrorA).replica.phase).toBe('loading');
    group.split([2]);
    group.acknowledges = true;
    group.quorum(true, [2]);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0])?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
    if (closed) for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) group.ask(2, type, mirrorA);
    group.quorum(false, [2]);
    group.quorum(true, [1]);
    group.settle();
    expect(one.answerTo(resumed)?.error).toBe(closed ? 0 : -Errno.EBUSY);
    if (closed) expect(one.state(mirrorA).map.isInSync(5)).toBe(false);
  },
);
