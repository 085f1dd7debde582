/** Members that went on without each other, and what is said of a node that is back by then. */
import { expect, test, vi } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { type Group, groupWith } from './cluster-host.js';
import { recoverAll, suspend, workOf } from './cluster-kernel.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';

/** Its kernel has copied the region, and nothing is written there. */
function endCopy(group: Group, node: number, region: number): void {
  group.ask(node, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 1]);
  group.ask(node, DM_ULOG_CLEAR_REGION, mirrorA, [region]);
}

test('R7: what is said of a node that is back in the same boot by then does not count', () => {
  const { group } = groupWith(core, [1, 2, 3]);
  group.ask(3, DM_ULOG_MARK_REGION, mirrorA, [5]);
  group.loseGroup(3);
  group.settle();
  group.host(1).service.confirmDead(3, null, group.host(1).nowMs);
  const dead = group.takeNext();
  expect(dead.message.type).toBe(MessageType.dead);
  group.join(3);
  group.settle();
  group.putNext(dead);
  group.settle();
  expect(group.host(3).log(mirrorA).replica.phase).toBe('following');
  for (const node of [1, 2, 3]) {
    const { map, owners } = group.host(node).state(mirrorA);
    expect([map.isInSync(5), owners.has(3, 5)]).toEqual([true, true]);
  }
});

test('a host that was booted begins a log whose user had no daemon then: nothing is known to be in sync when that is back', () => {
  const { group } = groupWith(core, [1], { nodes: [1, 2] });
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [5]);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
  group.killDaemon(1);
  group.cutPower(2);
  group.join(2);
  group.resume(mirrorA, '512 clustered-core 8', [2]);
  // What the kernel of node 1 writes to meanwhile is copied.
  recoverAll(group, 2);
  expect(group.host(2).state(mirrorA).map.isInSync(5)).toBe(true);
  group.join(1);
  group.settle();
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).map.syncCount).toBe(0);
  expect(group.host(2).reports.some(({ event }) => event === 'split-resync')).toBe(true);
});

test('who follows is killed before it hears that one is dead who may have gone on alone: what it has is in doubt', () => {
  const { group } = groupWith(core, [1, 2], { nodes: [1, 2, 3] });
  group.tellsQuorum = false;
  group.cutPower(2);
  group.settle();
  const host = group.host(3);
  host.service.confirmDead(2, null, host.nowMs);
  expect(group.next?.type).toBe(MessageType.dead);
  group.stepTo(3);
  group.killDaemon(1);
  group.join(1);
  group.settle();
  group.quorum(true);
  group.settle();
  const { replica, state } = group.host(1).log(mirrorA);
  expect([replica.phase, state.map.syncCount]).toEqual(['following', 0]);
});

/** Each of two goes on with quorum of its own, as two_node lets it; then they meet. Nothing of the meeting is delivered yet. */
function partAndMeet(group: Group, meanwhile: () => void): void {
  group.split([2]);
  group.settle();
  meanwhile();
  group.settle();
  group.heal();
}

test.each(['as new as the other one', 'newer'])(
  'R13: both went on, and the one whose copy counts, %s, is killed before it hears that: the other knows what that copy is worth',
  (age) => {
    const { group } = groupWith(core, [1, 2]);
    partAndMeet(group, () => {
      group.ask(2, DM_ULOG_FLUSH, mirrorA, [5]);
      group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [5]);
      if (age === 'newer') group.ask(1, DM_ULOG_PRESUSPEND, mirrorA);
    });
    expect([group.next?.type, group.next?.node]).toEqual([MessageType.report, 1]);
    while (group.awaits(MessageType.report)) group.stepTo(2);
    expect(group.host(2).log(mirrorA).replica.phase).toBe('copying');
    group.killDaemon(1);
    group.settle();
    group.join(1);
    group.settle();
    for (const node of [1, 2]) {
      const { replica, state } = group.host(node).log(mirrorA);
      expect([replica.phase, state.map.syncCount]).toEqual(['following', 0]);
    }
    expect(group.host(1).log(mirrorA).replica.rights.table?.doubt).toBe(false);
  },
);

/** Both went on, and the copy of node 1 counts, who takes the role over from node 2. The daemon of that one is killed before it hears it. */
function meetUnheard(group: Group): void {
  group.heal();
  while (group.awaits(MessageType.report)) group.stepTo(1);
  group.killDaemon(2);
  group.settle();
  expect(group.host(1).log(mirrorA).replica.writes).toBe(true);
}

test.each([false, true])(
  'R8: the writer is killed before it hears that another one writes, who dies, too: it waits for that one, and all is resynced (device unreadable at first: %s)',
  (unreadable) => {
    const { group, device } = groupWith(disk, [2, 1]);
    group.split([2]);
    group.settle();
    meetUnheard(group);
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
    group.cutPower(1);
    if (unreadable) {
      device.readErrno = Errno.EIO;
      group.join(2);
      group.settle();
      group.killDaemon(2);
      group.settle();
      device.readErrno = 0;
    }
    group.join(2);
    group.settle();
    const two = group.host(2);
    const { replica } = two.log(mirrorA);
    expect(replica.phase).toBe('waiting');
    two.service.confirmDead(1, null, two.nowMs);
    group.settle();
    expect([replica.phase, replica.writes, two.state(mirrorA).map.syncCount]).toEqual(['following', true, 0]);
  },
);

test('R8: somebody unheard has written the device, and the role goes round before anybody has read it: all is resynced', () => {
  const { group } = groupWith(disk, [2, 1, 3]);
  group.split([2, 3]);
  group.settle();
  group.heal();
  while (group.awaits(MessageType.report)) group.stepTo(1);
  for (const node of [2, 3]) group.killDaemon(node);
  group.settle();
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
  group.cutPower(1);
  for (const node of [2, 3]) group.join(node);
  group.talk();
  group.host(2).service.confirmDead(1, null, group.host(2).nowMs);
  group.talk();
  // Each begins to read as the next one's daemon is killed.
  for (const node of [2, 3, 2]) {
    group.killDaemon(node);
    group.talk();
    group.join(node);
    group.talk();
  }
  group.settle();
  for (const node of [2, 3]) {
    const { replica, state } = group.host(node).log(mirrorA);
    expect([replica.phase, state.map.isInSync(5)]).toEqual(['following', false]);
  }
});

test('R6: what somebody unheard has written under the copy of a kernel is not in sync when that ends', () => {
  const { group } = groupWith(disk.replace('nosync', 'sync'), [2, 1]);
  const copyUntil = (last: number) => {
    for (let region = -1; region !== last; ) {
      if (region >= 0) endCopy(group, 2, region);
      region = workOf(group, 2)?.[1] ?? -1;
    }
  };
  copyUntil(40);
  endCopy(group, 2, 40);
  // From now on the kernel of node 1 asks of none of them whether another one recovers it.
  expect(group.ask(1, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [50])?.values?.[1]).toBe(41);
  group.split([2]);
  group.settle();
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
  copyUntil(5);
  meetUnheard(group);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  group.cutPower(1);
  group.join(2);
  group.settle();
  endCopy(group, 2, 5);
  group.settle();
  expect(group.host(2).state(mirrorA).map.isInSync(5)).toBe(false);
});

test.each([
  [1, 2, false],
  [2, 1, false],
  [1, 2, true],
  [2, 1, true],
])(
  'R13: both went on, and node %i has left in order before they meet: node %i resyncs everything (restarted: %s)',
  (leaver, stays, restarted) => {
    const { group } = groupWith('512 clustered-core 8 sync', [1, 2]);
    group.split([2]);
    group.settle();
    // Its copy of region 0 goes on while the other one has recovered that, and writes there.
    expect(workOf(group, stays)).toEqual([1, 0]);
    recoverAll(group, leaver);
    expect(group.ask(leaver, DM_ULOG_FLUSH, mirrorA, [0])?.error).toBe(0);
    group.ask(leaver, DM_ULOG_CLEAR_REGION, mirrorA, [0]);
    group.wait(5000);
    suspend(group, leaver);
    if (restarted) group.killDaemon(leaver);
    endCopy(group, stays, 0);
    group.heal();
    if (restarted) group.join(leaver);
    group.settle();
    expect(group.host(stays).state(mirrorA).map.syncCount).toBe(0);
    expect(group.host(stays).reports.some(({ event }) => event === 'split-resync')).toBe(true);
  },
);

test('R13: who has resynced what others did apart says so, and a later meeting resyncs nothing', () => {
  const { group } = groupWith(core, [1, 2]);
  partAndMeet(group, () => {});
  group.settle();
  expect(group.host(1).state(mirrorA).map.syncCount).toBe(0);
  recoverAll(group, 1);
  recoverAll(group, 2);
  const { regionCount } = group.host(1).state(mirrorA).map;
  expect(group.host(1).state(mirrorA).map.syncCount).toBe(regionCount);
  for (const node of [1, 2]) {
    group.killDaemon(node);
    group.settle();
    group.join(node);
    group.settle();
  }
  expect(group.host(1).state(mirrorA).map.syncCount).toBe(regionCount);
});

test('R6: what a kernel copies that went on apart nobody else is given, and its writes wait for no suspend', () => {
  const { group } = groupWith('512 clustered-core 8 sync', [1, 2]);
  let copied = -1;
  partAndMeet(group, () => {
    [, copied = -1] = group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values ?? [];
    group.killDaemon(1);
    group.join(1);
  });
  expect(copied).toBe(0);
  while (group.awaits(MessageType.report) || group.awaits(MessageType.quorum)) group.step();
  expect(group.host(1).log(mirrorA).replica.phase).toBe('copying');
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).not.toEqual([1, copied]);
  expect(group.host(1).log(mirrorA).replica.phase).toBe('following');
  // Its rounds go on without a question for work: it copies.
  for (let round = 0; round < 3; round++) {
    expect(group.ask(1, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [7])?.values?.[0]).toBe(1);
    group.ask(1, DM_ULOG_GET_SYNC_COUNT, mirrorA);
  }
  expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [copied, 1])?.error).toBe(0);
  expect(group.host(2).state(mirrorA).map.isInSync(copied)).toBe(false);
  recoverAll(group, 1);
  expect(group.host(2).state(mirrorA).map.isInSync(copied)).toBe(true);
});

test('R4: what was assigned as they parted and not handed out is not handed out when they meet: the other may write there', () => {
  const { group } = groupWith('512 clustered-disk /dev/log 8 sync', [2, 1]);
  expect(group.host(1).log(mirrorA).replica.rights.writer.node).toBe(2);
  const host = group.host(1);
  const asked = host.send(DM_ULOG_GET_RESYNC_WORK, mirrorA);
  host.turn();
  expect(group.next?.type).toBe(MessageType.assign);
  // It is the last that the first delivers, and the other never has it.
  group.stepTo(1);
  group.acknowledges = false;
  group.split([2]);
  group.settle();
  expect([host.answerTo(asked), host.state(mirrorA).recoveringRegion]).toEqual([undefined, 0]);
  const flush = group.host(2).send(DM_ULOG_FLUSH, mirrorA, [0]);
  group.heal();
  group.settle();
  group.acknowledges = true;
  group.acknowledge();
  group.settle();
  expect(group.host(2).answerTo(flush)?.error).toBe(0);
  expect(host.state(mirrorA).owners.has(2, 0)).toBe(true);
  expect(host.answerTo(asked)?.values).not.toEqual([1, 0]);
});

test('R6: a daemon is killed as it takes a copy: what its kernel copies is noted before anything of that is stored', () => {
  const { group } = groupWith('512 clustered-core 8 sync', [1, 2]);
  let killed = false;
  partAndMeet(group, () => {
    for (const node of [1, 2]) expect(group.ask(node, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
    expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1])?.error).toBe(0);
    group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [0]);
  });
  // SIGKILL behind the store of the recovery that the others know.
  const state = group.host(2).state(mirrorA);
  const { set } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(state), 'recoveringRegion') ?? {};
  const store = vi.spyOn(state, 'recoveringRegion', 'set').mockImplementation((value) => {
    set?.call(state, value);
    throw new Error('killed');
  });
  try {
    group.settle();
  } catch (error) {
    killed = (error as Error).message === 'killed';
  }
  store.mockRestore();
  expect(killed).toBe(true);
  group.killDaemon(2);
  group.settle();
  group.join(2);
  group.settle();
  expect(group.host(2).log(mirrorA).replica.phase).toBe('following');
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).not.toEqual([1, 0]);
});

test.each(['512 clustered-core 8 nosync', '512 clustered-disk /dev/log 8 nosync'])(
  'a host that leaves while it is away has forgotten nothing: nothing is resynced: %s',
  (text) => {
    const { group } = groupWith(text, [2, 1]);
    group.loseGroup(2);
    group.settle();
    // PRESUSPEND came when no daemon ran.
    group.host(2).restart(false);
    const suspend = group.host(2).send(DM_ULOG_POSTSUSPEND, mirrorA);
    group.settle();
    expect(group.host(2).answerTo(suspend)).toBeUndefined();
    group.killDaemon(2);
    group.join(2);
    group.settle();
    const { map } = group.host(1).state(mirrorA);
    expect(map.syncCount).toBe(map.regionCount);
  },
);

test.each([core, disk])(
  'both sides went on, and the daemon of one is killed on its way out of the log: nothing is known to be in sync: %s',
  (text) => {
    const { group } = groupWith(text, [1, 2]);
    group.split([1]);
    group.settle();
    expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [9, 0])?.error).toBe(0);
    group.ask(1, DM_ULOG_PRESUSPEND, mirrorA);
    group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
    group.host(1).settle();
    expect(group.awaits(MessageType.leave)).toBe(true);
    group.killDaemon(1);
    group.join(1);
    group.heal();
    group.settle();
    expect(group.host(2).state(mirrorA).map.isInSync(9)).toBe(false);
  },
);
