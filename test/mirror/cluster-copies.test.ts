/** What a kernel copies nobody else does, whatever members know of it, and its end counts once (R4, R6, R10). */

import { expect, test } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { type Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const inSync = '512 clustered-core 8 nosync';
const core = '512 clustered-core 8';
const disk = '512 clustered-disk /dev/log 8 nosync';

test.each([inSync, disk])('the report of a recovery that members had before counts once: %s', (text) => {
  const { group } = groupWith(text, [1, 2, 3]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 5]);
  // Its end reaches the others; the corosync of node 2 ends before it is handed back to its sender.
  group.host(2).send(DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 1]);
  const sent = group.takeNext();
  for (const node of [1, 3]) {
    group.putNext(sent);
    group.stepTo(node);
  }
  group.loseGroup(2, 'process-down');
  group.settle();
  expect(group.host(1).state(mirrorA).map.isInSync(5)).toBe(true);
  // Node 3 writes there and dies in the middle.
  expect(group.ask(3, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  group.cutPower(3);
  group.host(1).service.confirmDead(3, null, group.host(1).nowMs);
  group.settle();
  const inSync = (node: number) => group.host(node).state(mirrorA).map.isInSync(5);
  expect(inSync(1)).toBe(false);

  group.join(2);
  group.settle();
  expect([inSync(1), inSync(2)]).toEqual([false, false]);
});

/** Node 3 hears the end of node 1's copy of region 5, which is lost for all others, writes there, and dies in the middle of it. */
function groupThatDoubts(): Group {
  const { group } = groupWith(inSync, [1, 3]);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 5]);
  group.host(1).send(DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 1]);
  group.stepTo(3);
  group.loseGroup(1);
  group.settle();
  expect(group.ask(3, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  group.cutPower(3);
  return group;
}

/** Node 1 is alone, and its copy is the only one. */
function goesOnAlone(group: Group): void {
  group.join(1);
  group.settle();
  group.host(1).service.confirmDead(3, null, group.host(1).nowMs);
  group.settle();
}

test('R6: the end of a copy is said again to a log in doubt, and says nothing: the region is copied anew', () => {
  const group = groupThatDoubts();
  goesOnAlone(group);
  expect(group.host(1).reports.some(({ event }) => event === 'copy-outdated')).toBe(true);
  expect(group.host(1).answers.some(({ type, error }) => type === DM_ULOG_SET_REGION_SYNC && error === 0)).toBe(true);
  const { map, recoveringRegion } = group.host(1).state(mirrorA);
  expect([map.isInSync(5), recoveringRegion]).toEqual([false, -1]);
  expect(recovered(group)).toBe(64);
});

test('so also by a daemon that has begun since, and does not know that it was said', () => {
  const group = groupThatDoubts();
  group.killDaemon(1);
  goesOnAlone(group);
  expect(group.host(1).state(mirrorA).recoveryDoubted).toBe(true);
  // Once more: what its record says of that is all there is.
  group.killDaemon(1);
  group.join(1);
  group.settle();
  expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 1])?.error).toBe(0);
  expect(group.host(1).state(mirrorA).map.isInSync(5)).toBe(false);
  expect(recovered(group)).toBe(64);
});

/** Node 1 recovers what it is given; the regions in sync then. */
function recovered(group: Group): number {
  for (let left = 100; left > 0; left--) {
    const [some, region] = group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values ?? [];
    if (some !== 1) break;
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [region as number, 1]);
  }
  return group.host(1).state(mirrorA).map.syncCount;
}

test('R13: a region that a kernel was given where both sides had quorum is nobody else to copy, and its end says nothing', () => {
  const { group } = groupWith(core, [1, 2]);
  group.split([2]);
  group.settle();
  // Both kernels are given region 0; that of node 2 goes on with it for long.
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1])?.error).toBe(0);
  group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [0]);
  group.heal();
  group.settle();
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).map.syncCount).toBe(0);
  expect(group.host(1).reports.some(({ event }) => event === 'split-resync')).toBe(true);
  // Node 2 still reads the old and is about to write it.
  const given = group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values ?? [];
  expect(given).not.toEqual([1, 0]);
});

test('R4, R6: a region that a kernel copies is nobody else to copy, though the copy that counts knows nothing of it', () => {
  const { group } = groupWith(core, [1, 2, 3]);
  group.loseGroup(1);
  group.settle();
  // Known to nodes 2 and 3.
  expect(group.ask(3, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  expect(group.host(2).state(mirrorA).recoveringNode).toBe(3);
  // Node 3 takes a copy of node 2's when that dies; the older one of node 1 is the only one that is whole.
  group.loseGroup(3);
  group.settle();
  group.join(3);
  while (!group.awaits(MessageType.chunk)) if (!group.step()) throw new Error('nothing is copied');
  expect(group.host(3).log(mirrorA).replica.phase).toBe('copying');
  group.cutPower(2);
  group.join(1);
  group.settle();
  group.host(1).service.confirmDead(2, null, group.host(1).nowMs);
  group.settle();
  expect([1, 3].map((node) => group.host(node).log(mirrorA).replica.phase)).toEqual(['following', 'following']);
  const given = group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values ?? [];
  expect(given).not.toEqual([1, 0]);
});

test('R10: what another kernel writes without marks is not in sync for a moment either', () => {
  const { group } = groupWith(disk, [2], { nodes: [1, 2] });
  group.ask(2, DM_ULOG_FLUSH, mirrorA, [4]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [4]);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) expect(group.ask(2, type, mirrorA)?.error).toBe(0);
  group.resume(mirrorA, disk, [1]);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
  // Node 2 comes with the table that it had, and says what it has found; node 1 still copies it.
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values?.[0]).toBe(1);
  group.host(1).send(DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 1]);
  group.step();
  // Its kernel goes on, there without a mark, and it dies before its daemon has said so once more.
  const asked = group.host(2).send(DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4]);
  group.host(2).service.endTurn(group.host(2).nowMs);
  const letIn = group.host(2).answerTo(asked)?.values?.[0] === 0;
  group.cutPower(2);
  group.host(1).service.confirmDead(2, null, group.host(1).nowMs);
  group.settle();
  expect([letIn, group.host(1).state(mirrorA).map.isInSync(4)]).not.toEqual([true, true]);
});

test('the end of a copy in doubt that comes while a copy of the log is taken is said once', () => {
  const { group } = groupWith('128 clustered-core 8', [1, 2, 3]);
  const one = group.host(1);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  // Both sides go on: what either has done says nothing any more.
  group.split([2]);
  group.settle();
  group.heal();
  group.settle();
  for (const node of [1, 2, 3]) expect(group.host(node).state(mirrorA).recoveryDoubted).toBe(true);
  group.killDaemon(1);
  group.settle();
  group.join(1);
  while (group.next?.type !== MessageType.want) group.step();
  const end = one.send(DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1]);
  // The question, the end of the copy, the answer: no turn of any host is needed.
  group.settle();
  expect(one.answerTo(end)?.error).toBe(0);
  for (const node of [1, 2, 3]) expect(group.host(node).state(mirrorA).map.isInSync(0)).toBe(false);
});

test('two sides went on: the end of a copy that only the other side had handed out says nothing', () => {
  const { group } = groupWith('128 clustered-core 8', [1, 2]);
  group.split([2]);
  group.settle();
  // Node 1 copies the region, and writes it; node 2 still copies it, on its own.
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1])?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [0])?.error).toBe(0);
  group.heal();
  while (group.next?.type !== MessageType.want) group.step();
  expect(group.host(2).log(mirrorA).replica.phase).toBe('copying');
  expect(group.host(1).state(mirrorA).map.syncCount).toBe(0);
  const end = group.host(2).send(DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1]);
  group.settle();
  expect(group.host(2).answerTo(end)?.error).toBe(0);
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).map.isInSync(0)).toBe(false);
});

test('a daemon is killed when all have heard the end of a copy and its kernel has not: it says nothing a second time', () => {
  const { group } = groupWith('128 clustered-core 8', [1, 2, 3]);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  group.host(1).send(DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1]);
  // All hear it; the daemon of its sender is killed before the answer leaves.
  group.step();
  group.killDaemon(1);
  group.settle();
  expect(group.host(2).state(mirrorA).map.isInSync(0)).toBe(true);
  // Node 3 writes there, and its host dies in the middle of it.
  expect(group.ask(3, DM_ULOG_FLUSH, mirrorA, [0])?.error).toBe(0);
  group.cutPower(3);
  group.host(2).service.confirmDead(3, null, group.host(2).nowMs);
  group.settle();
  expect(group.host(2).state(mirrorA).map.isInSync(0)).toBe(false);
  // The kernel sends its request again, to a daemon that has only just come.
  group.join(1);
  while (group.host(1).log(mirrorA).replica.phase !== 'copying') group.step();
  const end = group.host(1).send(DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1]);
  group.settle();
  expect(group.host(1).answerTo(end)?.error).toBe(0);
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).map.isInSync(0)).toBe(false);
});
