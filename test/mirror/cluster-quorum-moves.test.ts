/**
 * R8, R13: quorum goes from one side of a broken network to the other, and back: with a host that is booted anew, with the vote of one
 * that runs no daemon, or by the word of a quorum device. What the other side promised meanwhile is not lost with those who did.
 */
import { expect, test } from 'vitest';
import {
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { Group } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';

const disk = '512 clustered-disk /dev/log 8 nosync';
const core = '512 clustered-core 8 nosync';

function groupOf(nodes: readonly number[], users: readonly number[], text = disk): Group {
  const group = new Group(nodes, { stickyMax: 0 });
  group.tellsQuorum = false;
  group.disks.set('/dev/log', new TestDisk(1024 * 1024));
  group.quorum(true);
  group.settle();
  group.resume(mirrorA, text, users);
  return group;
}

/** These have quorum now, or have none. */
function decide(group: Group, nodes: readonly number[], quorate: boolean): void {
  group.quorum(quorate, nodes);
  group.settle();
  group.wait(1000);
}

/** Its kernel writes there: the answer to its FLUSH, if there is one. */
function write(group: Group, node: number, region: number): number | undefined {
  group.ask(node, DM_ULOG_MARK_REGION, mirrorA, [region]);
  return group.ask(node, DM_ULOG_FLUSH, mirrorA, [region])?.error;
}

const isInSync = (group: Group, node: number, region: number) =>
  group.host(node).log(mirrorA).state.map.isInSync(region);

/** Node 4, which does not use the log, goes over to node 1; the network is broken between that and node 3. */
const goesOver = {
  'a quorum device': (group: Group) => {
    decide(group, [3, 4], false);
    decide(group, [1], true);
  },
  'a host that is booted anew': (group: Group) => {
    group.cutPower(4);
    decide(group, [3], false);
    group.rewire((node) => (node === 3 ? 0 : 1));
    group.join(4);
    decide(group, [1, 4], true);
  },
  'a host without a daemon': (group: Group) => {
    group.killDaemon(4);
    decide(group, [3], false);
    group.rewire((node) => (node === 3 ? 0 : 1));
    decide(group, [1], true);
  },
} as const;

const ways = Object.keys(goesOver) as (keyof typeof goesOver)[];

test.each(ways.flatMap((by) => [true, false].map((back) => [by, back] as const)))(
  'the writer has quorum behind the others, by %s, marks what one of them has marked, and dies; is back: %s',
  (by, back) => {
    const group = groupOf([1, 3, 4], [1, 3]);
    expect(write(group, 3, 7)).toBe(0);
    group.split([1]);
    decide(group, [1], false);
    decide(group, [3, 4], true);
    goesOver[by](group);
    expect(write(group, 1, 7)).toBe(0);
    group.cutPower(1);
    if (by === 'a host without a daemon') group.join(4);
    group.heal();
    group.settle();
    decide(group, [3, 4], true);
    if (back) {
      group.join(1);
      group.quorum(true);
    } else group.host(3).service.confirmDead(1, null, group.host(3).nowMs);
    group.settle();
    group.wait(5000);
    expect(isInSync(group, 3, 7)).toBe(false);
  },
);

/** The log goes over from node 1 to node 2, of which node 3 does not hear, and node 1 loses its power. */
function movesOn(group: Group, text: string, lost: readonly number[], stay: readonly number[]): void {
  group.split(lost);
  decide(group, lost, false);
  decide(group, stay, true);
  group.resume(mirrorA, text, [2]);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
    expect(group.ask(1, type, mirrorA)?.error).toBe(0);
  expect(write(group, 2, 5)).toBe(0);
  group.cutPower(1);
  decide(
    group,
    stay.filter((node) => node !== 1),
    false,
  );
  // It is booted on the other side.
  group.rewire((node) => (node !== 1 && stay.includes(node) ? 1 : 0));
  group.join(1);
}

test.each([disk, core].flatMap((text) => [true, false].map((anew) => [text, anew] as const)))(
  'who was away waits for a host that has left the log since, goes on when that is booted anew, and dies: %s (the daemon of who has it is started anew: %s)',
  (text, anew) => {
    const group = groupOf([1, 2, 3], [1, 3], text);
    movesOn(group, text, [3], [1, 2]);
    if (anew) {
      group.killDaemon(2);
      group.join(2);
      group.settle();
    }
    decide(group, [1, 3], true);
    expect(write(group, 3, 9)).toBe(0);
    group.cutPower(1);
    group.cutPower(3);
    group.heal();
    group.join(1);
    decide(group, [1, 2], true);
    group.join(3);
    group.quorum(true);
    group.settle();
    group.wait(5000);
    expect(isInSync(group, 2, 9)).toBe(false);
  },
);

test.each([disk, core])('the same, and a host that was with it is there: %s', (text) => {
  const group = groupOf([1, 2, 3, 4, 5], [1, 3], text);
  movesOn(group, text, [3, 4], [1, 2, 5]);
  decide(group, [1, 3, 4], true);
  expect(write(group, 3, 9)).toBe(0);
  group.cutPower(3);
  decide(group, [1, 4], false);
  group.heal();
  decide(group, [1, 2, 4, 5], true);
  group.join(3);
  group.quorum(true);
  group.settle();
  group.wait(5000);
  expect(isInSync(group, 2, 9)).toBe(false);
});

test.each(
  [disk, core].flatMap((text) =>
    ['with quorum', 'before', 'with its daemon anew'].map((when) => [text, when] as const),
  ),
)('the same, the host that was with it dies, and it comes back alive: %s, %s', (text, when) => {
  const group = groupOf([1, 2, 3], [1, 3], text);
  movesOn(group, text, [3], [1, 2]);
  decide(group, [1, 3], true);
  group.resume(mirrorA, text, [1]);
  expect(write(group, 1, 9)).toBe(0);
  group.cutPower(1);
  decide(group, [3], false);
  if (when === 'before') group.heal();
  else {
    group.rewire((node) => (node === 3 ? 1 : 0));
    group.join(1);
    decide(group, [1, 2], true);
    if (when === 'with its daemon anew') {
      group.killDaemon(3);
      group.join(3);
      group.settle();
    }
    group.heal();
  }
  group.quorum(true);
  group.settle();
  if (when === 'before') group.join(1);
  group.quorum(true);
  group.settle();
  group.wait(5000);
  for (const node of [2, 3]) expect(isInSync(group, node, 9)).toBe(false);
});

test.each(['is cut off again', 'dies'])(
  'the same, and who had the log all the time writes over what it has promised: it %s, and all lose their power',
  (what) => {
    const group = groupOf([1, 2, 3], [1, 3]);
    movesOn(group, disk, [3], [1, 2]);
    decide(group, [1, 3], true);
    expect(write(group, 3, 9)).toBe(0);
    group.cutPower(1);
    if (what === 'dies') group.cutPower(3);
    else decide(group, [3], false);
    group.rewire((node) => (node === 3 ? 1 : 0));
    group.join(1);
    decide(group, [1, 2], true);
    write(group, 2, 11);
    for (const node of what === 'dies' ? [1, 2] : [1, 2, 3]) group.cutPower(node);
    group.heal();
    for (const node of [1, 2, 3]) group.join(node);
    group.quorum(true);
    group.settle();
    group.resume(mirrorA, disk, [2]);
    group.wait(5000);
    expect(isInSync(group, 2, 9)).toBe(false);
  },
);

test.each([disk, core])(
  'who was away goes on with the last one it waited for, and both come back booted at once: %s',
  (text) => {
    const group = groupOf([1, 2, 3], [1, 3], text);
    group.split([3]);
    decide(group, [3], false);
    decide(group, [1, 2], true);
    group.resume(mirrorA, text, [2]);
    expect(write(group, 2, 5)).toBe(0);
    group.killDaemon(1);
    group.settle();
    group.cutPower(1);
    decide(group, [2], false);
    group.rewire((node) => (node === 2 ? 1 : 0));
    group.join(1);
    decide(group, [1, 3], true);
    expect(write(group, 3, 9)).toBe(0);
    for (const node of [1, 3]) group.cutPower(node);
    group.heal();
    for (const node of [3, 1]) group.join(node);
    group.quorum(true);
    group.settle();
    group.wait(5000);
    expect(isInSync(group, 2, 9)).toBe(false);
  },
);

test.each([false, true])(
  'R8: a writer whose role nobody else has heard of reads the device again when it may write: another one had the role meanwhile (it dies: %s)',
  (dies) => {
    const group = groupOf([1, 2, 3], [3, 1, 2]);
    const [one, two] = [group.host(1), group.host(2)];
    group.cutPower(3);
    decide(group, [1, 2], true);
    group.acknowledges = false;
    one.service.confirmDead(3, null, one.nowMs);
    group.stepTo(1);
    one.settle();
    group.split([2]);
    group.acknowledges = true;
    decide(group, [1], false);
    decide(group, [2], true);
    two.service.confirmDead(3, null, two.nowMs);
    group.settle();
    expect(write(group, 2, 5)).toBe(0);
    if (dies) group.cutPower(2);
    else decide(group, [2], false);
    decide(group, [1], true);
    expect(one.log(mirrorA).replica.writes).toBe(true);
    expect(one.reports.some(({ event }) => event === 'take-over-unheard')).toBe(true);
    expect(isInSync(group, 1, 5)).toBe(false);
  },
);

test('R4, R6, R8: the writer went on with others, and dies: who takes the role without quorum waits for those others', () => {
  const group = groupOf([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]);
  const three = group.host(3);
  group.split([3]);
  decide(group, [3], false);
  decide(group, [1, 2, 4, 5], true);
  group.ask(4, DM_ULOG_SET_REGION_SYNC, mirrorA, [7, 0]);
  expect(group.ask(4, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 7]);
  expect(write(group, 4, 5)).toBe(0);
  for (const node of [1, 2]) group.cutPower(node);
  decide(group, [4, 5], false);
  for (const node of [2, 1]) three.service.confirmDead(node, null, three.nowMs);
  group.settle();
  // They are booted on its side.
  group.rewire((node) => (node <= 3 ? 0 : 1));
  for (const node of [1, 2]) group.join(node);
  decide(group, [1, 2, 3], true);
  expect(write(group, 3, 6)).toBeUndefined();
  expect(group.ask(3, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0] ?? 0).toBe(0);
  for (const node of [4, 5]) three.service.confirmDead(node, null, three.nowMs);
  group.settle();
  expect(write(group, 3, 6)).toBe(0);
  for (const region of [5, 7]) expect(isInSync(group, 3, region)).toBe(false);
});

test('R8: the writer went on without those who have quorum again: who activates the mirror waits until its device was read', () => {
  const group = groupOf([1, 2, 3], [1, 3]);
  group.split([1]);
  decide(group, [1], false);
  decide(group, [2, 3], true);
  group.cutPower(2);
  decide(group, [3], false);
  group.rewire((node) => (node === 3 ? 0 : 1));
  group.join(2);
  decide(group, [1, 2], true);
  expect(write(group, 1, 5)).toBe(0);
  // It dies, and nobody says so.
  group.part(1, 'node-down');
  group.heal();
  decide(group, [2, 3], true);
  const two = group.host(2);
  two.construct(mirrorA, disk);
  group.settle();
  const resumed = two.send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  group.wait(1000);
  expect(two.answerTo(resumed)).toBeUndefined();
  group.host(3).service.confirmDead(1, null, group.host(3).nowMs);
  group.settle();
  expect(two.answerTo(resumed)?.error).toBe(0);
  expect(isInSync(group, 2, 5)).toBe(false);
});

test('R8: who took the role of a dead writer without quorum takes it from nobody who has it, with a write under way, when they meet', () => {
  const group = groupOf([1, 2, 3], [1, 2, 3]);
  group.split([3]);
  decide(group, [3], false);
  decide(group, [1, 2], true);
  group.cutPower(1);
  decide(group, [2], false);
  for (const node of [2, 3]) group.host(node).service.confirmDead(1, null, group.host(node).nowMs);
  group.settle();
  group.rewire((node) => (node === 3 ? 1 : 0));
  group.join(1);
  decide(group, [1, 2], true);
  expect(group.host(2).log(mirrorA).replica.writes).toBe(true);
  group.heal();
  while (group.host(2).service.cluster?.exchanging) group.step();
  expect(group.host(2).log(mirrorA).replica.rights.table?.writer).toBe(2);
});
