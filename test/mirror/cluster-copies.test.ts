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
import { groupWith } from './cluster-host.js';
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
