/**
 * A core log that nobody uses: what the host that left it last remembers counts only where somebody has been where there is quorum ever
 * since. Others may have had it meanwhile, and have died in a write (R3, R6).
 */
import { expect, test } from 'vitest';
import { DM_ULOG_FLUSH, DM_ULOG_POSTSUSPEND, DM_ULOG_PRESUSPEND, DM_ULOG_RESUME } from '../../ts/base/ulog-frames.js';
import { type Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';

/** 1 and 2 suspend, 1 is the last; then the daemons of `away` are gone, 2 alone uses the log and dies in a write. */
function usedMeanwhile(nodes: readonly number[], away: readonly number[]): Group {
  const { group } = groupWith(core, [1, 2], { nodes });
  for (const node of [2, 1])
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) expect(group.ask(node, type, mirrorA)?.error).toBe(0);
  for (const node of away) group.killDaemon(node);
  group.settle();
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  group.cutPower(2);
  group.settle();
  return group;
}

function inSyncOn(group: Group, node: number): boolean {
  expect(group.ask(node, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  return group.host(node).state(mirrorA).map.isInSync(5);
}

test('the dead host has booted and meets the one that comes', () => {
  const group = usedMeanwhile([1, 2], [1]);
  for (const node of [2, 1]) {
    group.join(node);
    group.settle();
  }
  expect(inSyncOn(group, 1)).toBe(false);
});

test('the dead host stays off: the one that left last comes alone', () => {
  const group = usedMeanwhile([1, 2], [1]);
  group.join(1);
  group.settle();
  expect(inSyncOn(group, 1)).toBe(false);
});

test('the one that left last is there first, alone and with quorum, then the dead one boots', () => {
  const group = usedMeanwhile([1, 2], [1]);
  for (const node of [1, 2]) {
    group.join(node);
    group.settle();
  }
  expect(inSyncOn(group, 1)).toBe(false);
});

test('two daemons of three are started anew meanwhile: both know what was before', () => {
  const group = usedMeanwhile([1, 2, 3], [1, 3]);
  for (const node of [1, 3]) {
    group.join(node);
    group.settle();
  }
  expect(inSyncOn(group, 1)).toBe(false);
});

test.each([false, true])('a doubt is not forgotten by the next daemon: killed %s', (killed) => {
  const group = usedMeanwhile([1, 2], [1]);
  for (const node of [2, 1]) {
    group.join(node);
    group.settle();
  }
  const doubt = () => group.host(1).service.cluster?.tables.get(mirrorA.uuid)?.doubt;
  expect(doubt()).toBe(true);
  expect(group.host(1).unusedLogs.get(mirrorA.uuid)).toContain('"doubt":true');
  // The other daemon goes away, this one is started anew.
  group.part(2, 'leave');
  group.settle();
  if (killed) {
    group.killDaemon(1);
    group.join(1);
    group.settle();
  }
  expect(doubt()).toBe(true);
  expect(inSyncOn(group, 1)).toBe(false);
});

test('somebody was there all the time', () => {
  const group = usedMeanwhile([1, 2, 3], [1]);
  group.join(1);
  group.settle();
  group.host(3).service.confirmDead(2, null, group.host(3).nowMs);
  group.settle();
  expect(inSyncOn(group, 1)).toBe(false);
});

test('a daemon that is started anew beside others forgets nothing', () => {
  const { group } = groupWith(core, [1, 2]);
  for (const node of [2, 1])
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) group.ask(node, type, mirrorA);
  group.killDaemon(1);
  group.join(1);
  group.settle();
  expect(inSyncOn(group, 1)).toBe(true);
});

test('two hosts come one behind the other, before quorum was said anew: nobody was away', () => {
  const { group } = groupWith(core, [1, 2], { nodes: [1, 2, 3, 4] });
  for (const node of [1, 2])
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) expect(group.ask(node, type, mirrorA)?.error).toBe(0);
  for (const node of [3, 4]) group.cutPower(node);
  group.settle();
  group.join(3);
  const exchanging = () => group.host(1).service.cluster?.exchanging;
  while (exchanging()) expect(group.step()).toBe(true);
  group.join(4);
  group.settle();
  expect(group.host(2).service.cluster?.tables.get(mirrorA.uuid)?.doubt).toBe(false);
  expect(inSyncOn(group, 2)).toBe(true);
});
