/**
 * R8, R13: nobody promises anything of a disk log without its writer. Where that one was there all the time nobody else can have gone on,
 * and of a host that died only what it had marked is resynced.
 */
import { expect, test } from 'vitest';
import { DM_ULOG_FLUSH, DM_ULOG_POSTSUSPEND, DM_ULOG_PRESUSPEND, DM_ULOG_RESUME } from '../../ts/base/ulog-frames.js';
import { Group } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';

const disk = '512 clustered-disk /dev/log 8 nosync';

/** The first of `users` writes the log; regions 5 and 7 are marked by the first two. */
function groupOf(nodes: readonly number[], users: readonly number[]): Group {
  const group = new Group(nodes, { stickyMax: 0 });
  group.tellsQuorum = false;
  group.disks.set('/dev/log', new TestDisk(1024 * 1024));
  group.quorum(true);
  group.settle();
  group.resume(mirrorA, disk, users);
  const [writer, other] = users as [number, number];
  expect(group.host(writer).log(mirrorA).replica.writes).toBe(true);
  expect(group.ask(writer, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  expect(group.ask(other, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
  group.settle();
  return group;
}

/** These have quorum now, or have none. */
function decide(group: Group, nodes: readonly number[], quorate: boolean): void {
  group.quorum(quorate, nodes);
  group.settle();
}

/** `lost`: the region that the dead host had marked. */
function bits(group: Group, lost: number) {
  const { replica, state } = group.host(1).log(mirrorA);
  return { phase: replica.phase, lostInSync: state.map.isInSync(lost), inSync: state.map.syncCount };
}

test.each([
  [[1, 2], 'no third host'],
  [[1, 2, 3], 'a third one that is off'],
])(
  'of %j a host that does not write the log loses its power, and the writer its quorum by that (%s): only its marks are resynced',
  (nodes) => {
    const group = groupOf(nodes, [1, 2]);
    if (nodes.length === 3) group.part(3, 'leave');
    group.settle();
    group.cutPower(2);
    decide(group, [1], false);
    group.wait(60_000);
    group.join(2);
    decide(group, [1, 2], true);
    expect(bits(group, 7)).toEqual({ phase: 'following', lostInSync: false, inSync: 63 });
  },
);

test.each([
  [[1, 2], 'is confirmed dead', 63],
  [[1, 2], 'is back', 63],
  // Where the writer died, what node 1 has marked is dirty on the device, too.
  [[2, 1], 'is confirmed dead', 62],
  [[2, 1], 'is back', 62],
] as const)(
  'one host is off in order (users of the log: %j), another one loses its power; the first is back, and then the second %s',
  (users, end, inSync) => {
    const group = groupOf([1, 2, 3], users);
    group.part(3, 'leave');
    group.settle();
    group.cutPower(2);
    decide(group, [1], false);
    group.wait(60_000);
    group.join(3);
    decide(group, [1, 3], true);
    group.wait(10_000);
    if (end === 'is back') {
      group.join(2);
      group.quorum(true);
    } else group.host(1).service.confirmDead(2, null, group.host(1).nowMs);
    group.settle();
    group.wait(5000);
    expect(bits(group, users[0] === 2 ? 5 : 7)).toEqual({ phase: 'following', lostInSync: false, inSync });
  },
);

test.each([
  ['alone', 'is back'],
  ['with others', 'is back'],
  ['alone', 'is confirmed dead'],
  ['with others', 'is confirmed dead'],
])(
  'the role comes to a host without quorum, another one has it meanwhile where there is some, and dies: the first has quorum again %s, and the second %s',
  (how, end) => {
    const group = groupOf([1, 2, 3, 4, 5], [1, 2, 3]);
    group.split([1, 2]);
    decide(group, [1, 2], false);
    decide(group, [3, 4, 5], true);
    group.killDaemon(1);
    group.settle();
    // Its next daemon comes to the other side.
    group.rewire((node) => (node === 2 ? 1 : 0));
    group.join(1);
    decide(group, [1, 3, 4, 5], true);
    group.wait(3000);
    expect(group.ask(3, DM_ULOG_FLUSH, mirrorA, [9])?.error).toBe(0);
    group.cutPower(1);
    group.cutPower(3);
    decide(group, [4, 5], false);
    if (how === 'alone') decide(group, [2], true);
    group.heal();
    decide(group, [2, 4, 5], true);
    group.wait(5000);
    for (const node of [1, 3]) {
      if (end === 'is back') group.join(node);
      else group.host(2).service.confirmDead(node, null, group.host(2).nowMs);
    }
    group.settle();
    group.wait(5000);
    const { replica, state } = group.host(2).log(mirrorA);
    expect([replica.phase, state.map.isInSync(9)]).toEqual(['following', false]);
  },
);

test.each(['is confirmed dead', 'is back'])(
  'a host loses its power, the others load their tables anew, one after the other, and it %s: only its marks are resynced',
  (end) => {
    const group = groupOf([1, 2, 3], [1, 3, 2]);
    expect(group.ask(3, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
    group.cutPower(3);
    decide(group, [1, 2], true);
    for (const node of [2, 1]) {
      for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND])
        expect(group.ask(node, type, mirrorA)?.error).toBe(0);
      expect(group.ask(node, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    }
    if (end === 'is back') {
      group.join(3);
      group.quorum(true);
    } else group.host(1).service.confirmDead(3, null, group.host(1).nowMs);
    group.settle();
    group.wait(5000);
    expect(bits(group, 7)).toMatchObject({ phase: 'following', lostInSync: false });
    expect(bits(group, 7).inSync).toBeGreaterThanOrEqual(62);
  },
);
