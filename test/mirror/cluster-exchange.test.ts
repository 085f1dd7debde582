/** What daemons tell each other when somebody comes, and what follows from the going of others meanwhile. */
import { expect, test } from 'vitest';
import {
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
} from '../../ts/base/ulog-frames.js';
import { memberOf } from '../../ts/mirror/member-table.js';
import { Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';

test.each([0, 1])(
  'one of two that may have gone on alone and is dead then is not trusted: met %i times before',
  (times) => {
    const { group } = groupWith(core, [1, 2]);
    group.part(2, 'node-down');
    group.settle();
    for (let i = 0; i < times; i++) {
      // They hear each other again, and not for long enough to say what they know.
      group.join(2);
      group.part(2, 'node-down');
      group.settle();
    }
    const one = group.host(1);
    expect(memberOf(one.log(mirrorA).replica.rights.table, 2)?.needed).toBe(true);
    one.service.confirmDead(2, null, one.nowMs);
    group.settle();
    expect(one.state(mirrorA).map.syncCount).toBe(0);
  },
);

test('R8: the role of a writer whose process ends then passes on', () => {
  const { group } = groupWith(disk, [1, 2], { nodes: [1, 2, 3] });
  group.killDaemon(3);
  group.settle();
  group.join(3);
  group.part(1, 'process-down');
  group.settle();
  expect(group.host(2).log(mirrorA).replica.rights.table?.writer).toBe(2);
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
});

test('R13: what who comes was told of quorum before it came takes nothing from those who have it', () => {
  const group = new Group([1, 2]);
  group.resume(mirrorA, core.replace('nosync', 'sync'), [1]);
  group.tellsQuorum = false;
  group.part(2, 'process-down');
  group.settle();
  group.join(2);
  // By whose word there is quorum is decided behind what both know: the newcomer's is of before.
  group.quorum(false, [2]);
  group.settle();
  expect(group.host(1).service.cluster?.orderedQuorate).toBe(true);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  // A loss of which it is told behind that is everybody's.
  group.quorum(false, [2]);
  group.settle();
  expect(group.host(1).service.cluster?.orderedQuorate).toBe(false);
});

/**
 * Nodes 1 and 2 went on without node 3, and the newest table is that of node 2, which has no part in the log any more. Node 1 was booted
 * anew, has the log with node 3 since, and is alone with node 2 now.
 */
function newestTableIsOld(leaves: boolean, restarted: boolean): Group {
  const { group } = groupWith(core, [1], { nodes: [1, 2, 3] });
  group.loseGroup(3);
  for (const quorate of [false, true, false, true]) {
    group.settle();
    group.quorum(quorate);
  }
  group.settle();
  if (leaves) for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) group.ask(1, type, mirrorA);
  group.loseGroup(2);
  group.settle();
  group.cutPower(1);
  group.join(3);
  group.join(1);
  group.settle();
  group.resume(mirrorA, core, [3, 1]);
  for (const node of [1, 3]) group.ask(node, DM_ULOG_MARK_REGION, mirrorA, [4 + node]);
  for (const node of [1, 3]) expect(group.ask(node, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
  group.tellsQuorum = false;
  group.loseGroup(3);
  group.quorum(false, [1]);
  group.settle();
  if (restarted) group.killDaemon(1);
  group.join(2);
  if (restarted) group.join(1);
  group.quorum(true, [1, 2]);
  group.settle();
  return group;
}

test.each([
  [false, false],
  [true, false],
  [false, true],
  [true, true],
])(
  'a table of before a boot: who came to the log since is waited for, and what this boot has marked stays: %s %s',
  (leaves, restarted) => {
    const group = newestTableIsOld(leaves, restarted);
    const { replica, state } = group.host(1).log(mirrorA);
    expect(replica.following).toBe(false);
    group.cutPower(3);
    group.join(3);
    group.quorum(true);
    group.settle();
    expect(replica.phase).toBe('following');
    expect([state.owners.has(1, 5), state.map.isClean(5)]).toEqual([true, false]);
    expect([state.owners.has(3, 7), state.map.isClean(7), state.map.isInSync(7)]).toEqual([false, false, false]);
  },
);

test('a doubt of before a boot: what this boot has marked stays', () => {
  const group = new Group([1, 2, 3], { stickyMax: 0 });
  group.killDaemon(3);
  group.resume(mirrorA, core, [1, 2]);
  for (const quorate of [false, true, false, true]) {
    group.quorum(quorate);
    group.settle();
  }
  group.cutPower(1);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) group.ask(2, type, mirrorA);
  group.loseGroup(2);
  group.join(3);
  group.join(1);
  group.settle();
  group.resume(mirrorA, core, [1]);
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [5]);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
  group.tellsQuorum = false;
  group.loseGroup(3);
  group.quorum(false, [1]);
  group.settle();
  group.join(2);
  group.quorum(true, [1, 2]);
  group.settle();
  const { replica, state } = group.host(1).log(mirrorA);
  expect(replica.phase).toBe('following');
  expect([state.owners.has(1, 5), state.map.isClean(5)]).toEqual([true, false]);
});

test.each([core, disk])(
  'who goes before daemons have spoken had the log last all the same: nobody begins without it: %s',
  (text) => {
    const { group, device } = groupWith(text, [1, 2], { nodes: [1, 2, 3] });
    const isClean = (region: number) =>
      device.writes > 0 ? device.isCleanOnDisk(region) : group.host(1).state(mirrorA).map.isClean(region);
    group.cutPower(3);
    group.settle();
    group.killDaemon(1);
    group.settle();
    // Node 2 goes on, and its kernel writes.
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    if (device.writes > 0) expect(isClean(5)).toBe(false);
    group.join(1);
    // Its daemon is killed before it has said what it knows.
    group.killDaemon(2);
    // And a host that was booted comes before they have: daemons begin to speak once more.
    group.join(3);
    group.settle();
    expect(group.host(1).log(mirrorA).replica.phase).toBe('waiting');
    group.wait(5000);
    if (device.writes > 0) expect(isClean(5)).toBe(false);
    // Its host dies with it: what it wrote differs.
    group.cutPower(2);
    group.join(2);
    group.settle();
    group.wait(5000);
    expect(group.host(1).state(mirrorA).map.isInSync(5)).toBe(false);
  },
);
