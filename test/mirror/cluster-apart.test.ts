/** Members that went on without each other, and what is said of a node that is back by then. */
import { expect, test } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_MARK_REGION,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { type Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';

/** The node recovers everything that it is given. */
function recoverAll(group: Group, node: number): void {
  for (;;) {
    const [found, region = 0] = group.ask(node, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values ?? [];
    if (found !== 1) return;
    group.ask(node, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 1]);
    group.ask(node, DM_ULOG_CLEAR_REGION, mirrorA, [region]);
  }
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
