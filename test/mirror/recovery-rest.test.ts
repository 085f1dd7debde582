/** R11: a kernel that was told of no resync work asks no more while nobody uses it. Who sees that it is made to ask again, and when. */
import { expect, test } from 'vitest';
import {
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { type Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8';
const none = [0, 0];

function groupOutOfSync(): Group {
  const { group } = groupWith(core, [1, 2], { nodes: [1, 2, 3] });
  return group;
}

/** Which of the two was to be restarted. */
const restarts = (group: Group) => [1, 2].map((node) => group.host(node).restarts.length > 0);

function asksForWork(group: Group, node: number) {
  return group.ask(node, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values;
}

test('told of none while the group had no quorum: the lowest is restarted when it has it again', () => {
  const group = groupOutOfSync();
  group.quorum(false);
  group.settle();
  for (const node of [1, 2]) expect(asksForWork(group, node)).toEqual(none);
  expect(restarts(group)).toEqual([false, false]);
  group.quorum(true);
  group.settle();
  expect(restarts(group)).toEqual([true, false]);
  expect(group.host(1).log(mirrorA).recoveryRest).toBe('told-none');
  // It asks by itself: nothing is left to do.
  expect(asksForWork(group, 1)).toEqual([1, 0]);
  expect([1, 2].map((node) => group.host(node).log(mirrorA).recoveryRest)).toEqual([null, null]);
});

test('who has asked since is left alone', () => {
  const group = groupOutOfSync();
  expect(asksForWork(group, 1)).toEqual([1, 0]);
  group.quorum(false);
  group.quorum(true);
  group.settle();
  expect(restarts(group)).toEqual([false, false]);
});

test.each([
  ['suspends and leaves', (group: Group) => group.ask(1, DM_ULOG_POSTSUSPEND, mirrorA)],
  [
    'is dead',
    (group: Group) => {
      group.cutPower(1);
      group.join(1);
      group.settle();
    },
  ],
])('the one that recovers %s: the other, which was told of none, is restarted', (_how, ends) => {
  const group = groupOutOfSync();
  expect(asksForWork(group, 1)).toEqual([1, 0]);
  expect(asksForWork(group, 2)).toEqual(none);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1]);
  group.ask(1, DM_ULOG_PRESUSPEND, mirrorA);
  expect(restarts(group)).toEqual([false, false]);
  ends(group);
  expect(restarts(group)).toEqual([false, true]);
});

test('what a dead daemon left assigned is given back: who was told of none meanwhile is restarted', () => {
  const group = groupOutOfSync();
  group.acknowledges = false;
  group.host(1).send(DM_ULOG_GET_RESYNC_WORK, mirrorA);
  group.settle();
  group.killDaemon(1);
  group.acknowledges = true;
  group.settle();
  for (const node of [1, 2]) expect(asksForWork(group, node)).toEqual(none);
  group.join(1);
  group.settle();
  expect(group.host(2).state(mirrorA).recoveringRegion).toBe(-1);
  expect(restarts(group)[0]).toBe(true);
  expect(group.host(1).log(mirrorA).recoveryRest).toBe('told-none');
});

test('nobody is restarted for what the search would not find: recovery failed there, or another kernel holds it', () => {
  const { group } = groupWith('16 clustered-core 8', [1, 2], { nodes: [1, 2, 3] });
  group.ask(2, DM_ULOG_MARK_REGION, mirrorA, [1]);
  expect(asksForWork(group, 1)).toEqual([1, 0]);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 0]);
  expect(asksForWork(group, 1)).toEqual(none);
  group.quorum(false);
  group.quorum(true);
  group.settle();
  expect(restarts(group)).toEqual([false, false]);
});

test('R10: what only one may recover that one is restarted for', () => {
  const { group } = groupWith(`${core} nosync`, [1, 2], { nodes: [1, 2, 3] });
  // Region 4 has not been in sync since node 2 said so; the other is all that is latched.
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  for (const node of [1, 2]) group.host(node).state(mirrorA).inSyncLatched = false;
  group.quorum(false);
  group.settle();
  for (const node of [1, 2]) expect(asksForWork(group, node)).toEqual(none);
  group.quorum(true);
  group.settle();
  expect(restarts(group)).toEqual([false, true]);
});
