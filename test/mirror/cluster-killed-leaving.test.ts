/**
 * R2, R3: a daemon that is killed on its way out of a log has its record, and may be the only one that knows what was out of sync there. Nobody
 * asks it: who has an older copy does not go on as if that were all.
 */
import { expect, test } from 'vitest';
import {
  DM_ULOG_FLUSH,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { type Group, groupWith } from './cluster-host.js';
import { suspend } from './cluster-kernel.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';

/** A leg fails a write of node 2, which is alone by now. */
function failsOnNode2(group: Group): void {
  group.quorum(true, [2, 3]);
  group.settle();
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0])?.error).toBe(0);
}

/** Its kernel has suspended, and nobody has heard that it leaves. */
function killedLeaving(group: Group, node: number): void {
  expect(group.ask(node, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  group.host(node).send(DM_ULOG_POSTSUSPEND, mirrorA);
  group.killDaemon(node);
}

const returns = [core, disk].flatMap((text) =>
  (['corosync', 'daemon'] as const).flatMap((away) =>
    (['its daemon was not killed', 'both are back together', 'its daemon is back first'] as const).map((how) => ({
      text,
      away,
      how,
    })),
  ),
);

test.each(returns)(
  'what node 2 has put out of sync while the $away of node 1 was away is so there, too: $how, $text',
  ({ text, away, how }) => {
    const { group } = groupWith(text, [2, 1], { nodes: [1, 2, 3] });
    if (away === 'corosync') group.loseGroup(1, 'process-down');
    else group.killDaemon(1);
    group.settle();
    failsOnNode2(group);
    if (how === 'its daemon was not killed') suspend(group, 2);
    else killedLeaving(group, 2);
    const back = { 'both are back together': [[1, 2]], 'its daemon is back first': [[2], [1]] } as const;
    if (how === 'its daemon was not killed') group.join(1);
    else
      for (const nodes of back[how]) {
        for (const node of nodes) group.join(node);
        group.settle();
        group.wait(3000);
      }
    group.settle();
    group.wait(5000);
    expect(group.host(1).state(mirrorA).map.isInSync(5)).toBe(false);
  },
);

const orders = [core, disk].flatMap((text) =>
  [
    [2, 1],
    [1, 2],
  ].map((order) => ({ text, order })),
);

test.each(orders)('both are killed on their way out, and back in the order $order: $text', ({ text, order }) => {
  const { group } = groupWith(text, [2, 1], { nodes: [1, 2, 3] });
  expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [9, 0])?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  group.loseGroup(1, 'process-down');
  group.settle();
  group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
  group.host(1).settle();
  group.killDaemon(1);
  failsOnNode2(group);
  killedLeaving(group, 2);
  group.settle();
  for (const node of order) {
    group.join(node);
    group.settle();
  }
  group.wait(3000);
  expect(group.ask(1, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  const { map } = group.host(1).state(mirrorA);
  expect([map.isInSync(5), map.isInSync(9)]).toEqual([false, false]);
});
