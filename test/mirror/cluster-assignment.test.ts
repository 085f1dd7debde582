/** A region that members have assigned to a kernel which was not told of it (R6): it must not be left to nobody. */
import { expect, test } from 'vitest';
import {
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { type Group, groupWith } from './cluster-host.js';
import { restartDaemon, workOf } from './cluster-kernel.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8';

/** Region 0 is assigned to node 1, whose kernel waits for the answer. */
function groupWithAssignment(): { group: Group; seq: number } {
  const { group } = groupWith(core, [1, 2]);
  group.acknowledges = false;
  const seq = group.host(1).send(DM_ULOG_GET_RESYNC_WORK, mirrorA);
  group.settle();
  expect(group.host(1).answerTo(seq)).toBeUndefined();
  expect(group.host(2).state(mirrorA).recoveringNode).toBe(1);
  return { group, seq };
}

test('the daemon is killed, and the next one says "none" while it has no group: others recover, and may suspend', () => {
  const { group } = groupWithAssignment();
  group.killDaemon(1);
  group.acknowledges = true;
  group.settle();
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  group.join(1);
  group.settle();
  expect(group.host(2).state(mirrorA).recoveringRegion).toBe(-1);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  expect(group.host(1).state(mirrorA).recoveringNode).toBe(2);
});

test('the daemons of all are killed, and it says "none" before its copy counts: the region is found again', () => {
  const { group } = groupWithAssignment();
  for (const node of [2, 1]) {
    group.killDaemon(node);
    group.settle();
  }
  group.acknowledges = true;
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  for (const node of [1, 2]) {
    group.join(node);
    group.settle();
  }
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
});

test('another kernel finds it out of sync before it is handed out: it is not, and the kernel that asked has another one', () => {
  const { group, seq } = groupWithAssignment();
  group.host(2).send(DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 0]);
  group.settle();
  expect(group.host(1).answerTo(seq)).toBeUndefined();
  group.acknowledges = true;
  group.acknowledge();
  group.settle();
  expect(group.host(1).answerTo(seq)?.values).toEqual([1, 1]);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
});

test('so it is where the kernel reconnects: what it holds is known with its first request behind RESUME', () => {
  const { group } = groupWithAssignment();
  group.killDaemon(1);
  group.acknowledges = true;
  const one = group.host(1);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  one.construct(mirrorA, core, { nul: true });
  group.join(1);
  group.settle();
  expect(group.host(2).state(mirrorA).recoveringRegion).toBe(0);
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [3])?.error).toBe(0);
  expect(group.host(2).state(mirrorA).recoveringRegion).toBe(-1);
});

test('given back, and the group is lost before that is delivered: it is given back at the next return', () => {
  const { group } = groupWithAssignment();
  group.killDaemon(1);
  group.acknowledges = true;
  group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA);
  group.join(1);
  while (group.host(1).log(mirrorA).replica.phase !== 'announcing') group.step();
  expect(group.host(2).state(mirrorA).recoveringNode).toBe(1);
  group.loseGroup(1);
  group.settle();
  expect(group.host(2).state(mirrorA).recoveringRegion).toBe(0);
  group.join(1);
  group.settle();
  expect(group.host(2).state(mirrorA).recoveringRegion).toBe(-1);
  expect(group.ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
});

test('quorum is lost while the kernel waits for work: there is none, since it does nothing else meanwhile, and what was assigned is given back', () => {
  const { group, seq } = groupWithAssignment();
  group.quorum(false);
  group.settle();
  const again = group.host(1).send(DM_ULOG_GET_RESYNC_WORK, mirrorA);
  group.acknowledges = true;
  group.acknowledge();
  group.settle();
  expect(group.host(1).answerTo(seq) ?? group.host(1).answerTo(again)).toMatchObject({ values: [0, 0] });
  expect(group.host(2).state(mirrorA).recoveringRegion).toBe(-1);
  group.quorum(true);
  group.settle();
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
});

test.each([core, '512 clustered-disk /dev/log 8 sync'])(
  'who is cut off in that moment is told of none, and others are given it: %s',
  (text) => {
    const { group } = groupWith(text, [1, 2, 3]);
    const seq = group.host(3).send(DM_ULOG_GET_RESYNC_WORK, mirrorA);
    group.acknowledges = false;
    while (group.awaits(MessageType.assign)) group.step();
    group.settle();
    expect(group.host(3).answerTo(seq)).toBeUndefined();
    group.tellsQuorum = false;
    group.split([3]);
    group.acknowledges = true;
    group.quorum(false, [3]);
    group.quorum(true, [1, 2]);
    group.settle();
    group.acknowledge();
    group.settle();
    expect(group.host(3).answerTo(seq)?.values).toEqual([0, 0]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
    group.heal();
    group.quorum(true);
    group.settle();
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  },
);

test('what the kernel does recover stays its own when its daemon is killed', () => {
  const { group } = groupWithAssignment();
  group.acknowledge();
  group.settle();
  group.acknowledges = true;
  group.killDaemon(1);
  group.settle();
  group.join(1);
  group.settle();
  expect(group.host(2).state(mirrorA).recoveringNode).toBe(1);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
});

test('R13: who has not heard yet whether it has quorum hands out when it has: a kernel that is told of none may not ask again', () => {
  const { group } = groupWith('512 clustered-core 8 nosync', [1, 2], { nodes: [1, 2, 3] });
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  group.tellsQuorum = false;
  group.part(3, 'node-down');
  group.quorum(true, [1]);
  group.settle();
  const work = group.host(2).send(DM_ULOG_GET_RESYNC_WORK, mirrorA);
  group.settle();
  expect(group.host(2).answerTo(work)).toBeUndefined();
  group.quorum(true, [2]);
  group.settle();
  expect(group.host(2).answerTo(work)?.values).toEqual([1, 4]);
});

test('R6: what a kernel has copied while it was cut off is given back, also when the daemon is killed before that is delivered', () => {
  const { group } = groupWith('128 clustered-core 8', [1, 2, 3]);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  group.tellsQuorum = false;
  group.split([2]);
  group.quorum(false, [2]);
  group.quorum(true, [1, 3]);
  group.settle();
  expect(group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1])?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  group.heal();
  while (group.host(2).log(mirrorA).replica.phase !== 'announcing') group.step();
  group.killDaemon(2);
  group.settle();
  group.join(2);
  group.settle();
  group.quorum(true);
  group.settle();
  group.wait(20_000);
  expect(group.ask(3, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
});

test('a host that dies while its kernel copies leaves the region to the others, in this search already (R6)', () => {
  const { group } = groupWith(core, [1, 2]);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  group.cutPower(1);
  group.host(2).service.confirmDead(1, null, group.host(2).nowMs);
  group.settle();
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
});

test('the kernel asks again without a group and hears "none": what it asked before assigns nothing to it', () => {
  const { group } = groupWith(core, [1, 2]);
  const one = group.host(1);
  const seq = one.send(DM_ULOG_GET_RESYNC_WORK, mirrorA);
  group.loseGroup(1);
  group.settle();
  expect(one.answerTo(seq)).toBeUndefined();
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  group.join(1);
  group.settle();
  expect(group.host(2).state(mirrorA).recoveringRegion).toBe(-1);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
});

test('R6: what a daemon says of a region that its kernel has been given meanwhile ends no copy', () => {
  const { group } = groupWith(core, [1, 2]);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  group.tamper = (message) => {
    if (message.type !== MessageType.inSync) return;
    message.flag = 2;
    message.regions[0] = 0;
  };
  group.host(1).send(DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
  group.settle();
  for (const node of [1, 2]) expect(group.host(node).log(mirrorA).state.recoveringRegion).toBe(0);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
});

test.each([1, 64])(
  'asked while what is held is announced, %s regions a step: its daemon is killed while it copies, and nobody else is given that region',
  (announceRegions) => {
    const { group } = groupWith('1024 clustered-core 8', [1, 2], { settings: { announceRegions } });
    for (let region = 20; region < 40; region++) group.ask(1, DM_ULOG_FLUSH, mirrorA, [region]);
    group.killDaemon(1);
    group.settle();
    group.join(1);
    const one = group.host(1);
    while (one.log(mirrorA).replica.phase !== 'announcing')
      if (!group.step()) for (const host of group.hosts.values()) host.turn();
    const seq = one.send(DM_ULOG_GET_RESYNC_WORK, mirrorA);
    group.settle();
    expect(one.answerTo(seq)?.values).toEqual([1, 0]);
    restartDaemon(group, 1);
    expect(workOf(group, 2)).toEqual([0, 0]);
  },
);

test('so it is where it asked twice, the first time before quorum was lost', () => {
  const { group } = groupWith(core, [1, 2]);
  const one = group.host(1);
  one.send(DM_ULOG_GET_RESYNC_WORK, mirrorA);
  // Nothing is delivered for longer than the kernel waits.
  group.quorum(false, [1]);
  expect(one.answerTo(one.send(DM_ULOG_GET_RESYNC_WORK, mirrorA))?.values).toEqual([0, 0]);
  group.quorum(true, [1]);
  const seq = one.send(DM_ULOG_GET_RESYNC_WORK, mirrorA);
  group.settle();
  if (one.answerTo(seq)?.values[0] !== 1) expect(workOf(group, 1)).toEqual([1, 0]);
  restartDaemon(group, 1);
  expect(workOf(group, 2)).toEqual([0, 0]);
});

test('asked again, since the answer came late, and told of none for want of quorum: what it was given before goes back', () => {
  const { group } = groupWith(core, [1, 2]);
  expect(workOf(group, 1)).toEqual([1, 0]);
  group.acknowledges = false;
  const seq = group.host(1).send(DM_ULOG_GET_RESYNC_WORK, mirrorA);
  group.settle();
  group.quorum(false);
  group.settle();
  group.acknowledges = true;
  group.acknowledge();
  group.settle();
  expect(group.host(1).answerTo(seq)?.values).toEqual([0, 0]);
  group.quorum(true);
  group.settle();
  expect(group.ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
});
