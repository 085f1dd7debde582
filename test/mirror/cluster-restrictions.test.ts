/** Regions that one kernel alone may recover, because it writes to them without marks (R10), when those who knew of it are gone. */
import { describe, expect, test } from 'vitest';
import { restrictedMax } from '../../ts/base/limits.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { Restrictions } from '../../ts/mirror/restrictions.js';
import { type Group, groupWith } from './cluster-host.js';
import { recoverAll, suspend } from './cluster-kernel.js';
import { mirrorA } from './host.js';

const core = '4096 clustered-core 8 nosync';
const disk = '4096 clustered-disk /dev/log 8 nosync';

const work = (group: Group, node: number) => group.ask(node, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values;

function restartAll(group: Group): void {
  for (const node of [1, 2]) group.killDaemon(node);
  for (const node of [1, 2]) group.join(node);
  group.settle();
}

test.each([core, disk])('outlive the daemons of all: %s', (text) => {
  const { group } = groupWith(text, [1, 2]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [6, 0]);
  expect(work(group, 2)).toEqual([1, 6]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [6, 1]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  for (let times = 0; times < 2; times++) {
    restartAll(group);
    expect(work(group, 1)?.[0]).toBe(0);
  }
  expect(work(group, 2)).toEqual([1, 4]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 1]);
  restartAll(group);
  expect(group.host(1).state(mirrorA).map.syncCount).toBe(512);
});

test.each([core, disk])('hold up no write of their kernel, also when they are more than can be named: %s', (text) => {
  const { group } = groupWith(text.replace(' nosync', ''), [1, 2], { settings: { restrictedMax: 0 } });
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  // A suspend that nobody heard has ended its recovery, and waits for this write.
  expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [9])?.values?.[0]).toBe(0);
  expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [9])?.values).toEqual([1]);
  expect(group.ask(1, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [9])?.values?.[0]).toBe(1);
  expect(work(group, 1)?.[0]).toBe(0);
});

test.each([core, disk])('two kernels have found one: neither recovers it while both have their tables: %s', (text) => {
  const { group } = groupWith(text, [1, 2]);
  for (const node of [1, 2]) {
    group.ask(node, DM_ULOG_FLUSH, mirrorA, [4]);
    group.ask(node, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    group.ask(node, DM_ULOG_CLEAR_REGION, mirrorA, [4]);
  }
  for (const node of [1, 2]) expect(work(group, node)?.[0]).toBe(0);
  restartAll(group);
  for (const node of [1, 2]) expect(work(group, node)?.[0]).toBe(0);
  const next = { uuid: mirrorA.uuid, luid: 0x2000 };
  group.host(1).construct(next, text);
  suspend(group, 1);
  expect(group.ask(1, DM_ULOG_RESUME, next)?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, next)?.values?.[0]).toBe(0);
  group.ask(1, DM_ULOG_DTR, mirrorA);
  expect(work(group, 2)).toEqual([1, 4]);
});

test('more of them than a record names: nobody but that kernel recovers anything', () => {
  const regions = 1024;
  const { group } = groupWith(`${8 * regions} clustered-core 8 nosync`, [1, 2]);
  for (let region = 0; region < 300; region++) group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 0]);
  restartAll(group);
  // What was in sync stays so: a member has found it, and nobody recovers anything before it has said so.
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).map.syncCount).toBe(regions - 300);
  expect(work(group, 1)?.[0]).toBe(0);
  expect(work(group, 2)).toEqual([1, 0]);
});

test('recovered by who did not know of them: out of sync again when their kernel goes on', () => {
  const { group } = groupWith(disk, [2], { nodes: [1, 2] });
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  suspend(group, 2);
  group.resume(mirrorA, disk, [1]);
  expect(work(group, 1)).toEqual([1, 4]);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 1]);
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).map.isInSync(4)).toBe(false);
  expect(work(group, 1)?.[0]).toBe(0);
  expect(work(group, 2)).toEqual([1, 4]);
});

describe('of a node that has left', () => {
  function left(): Group {
    const { group } = groupWith(core, [1, 2]);
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    suspend(group, 2);
    expect(work(group, 1)?.[0]).toBe(0);
    group.cutPower(2);
    group.settle();
    expect(work(group, 1)?.[0]).toBe(0);
    return group;
  }

  test("are everybody's when it is booted anew", () => {
    const group = left();
    group.join(2);
    group.settle();
    expect(work(group, 1)).toEqual([1, 4]);
  });

  test('stay its own while it was only away', () => {
    const { group } = groupWith(core, [1, 2]);
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    suspend(group, 2);
    for (const go of [() => group.loseGroup(2), () => group.killDaemon(2)]) {
      go();
      group.join(2);
      group.settle();
      expect(work(group, 1)?.[0]).toBe(0);
    }
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(work(group, 2)).toEqual([1, 4]);
  });
});

test('two nodes whose regions did not fit: neither recovers what the other writes', () => {
  const restrictions = new Restrictions(restrictedMax);
  restrictions.onlyNode(1);
  restrictions.onlyNode(2);
  expect([1, 2, 3].map((node) => restrictions.allow(node, 5))).toEqual([false, false, false]);
  const copy = new Restrictions(restrictedMax);
  copy.take(restrictions.list());
  copy.removeNode(1);
  expect([1, 2, 3].map((node) => copy.allow(node, 5))).toEqual([false, true, false]);
});

test('R10: PRESUSPEND that nobody else has heard of is not answered by what they acknowledge of another view', () => {
  const { group } = groupWith('64 clustered-core 8', [1, 2]);
  const halt = group.host(2).send(DM_ULOG_PRESUSPEND, mirrorA);
  group.stepTo(2);
  group.loseGroup(2);
  group.settle();
  expect(work(group, 1)).toEqual([1, 0]);
  group.join(2);
  // Node by node and message by message: the hosts end their turns in between.
  for (let steps = 0; steps < 100; steps++) {
    for (const node of [1, 2]) group.host(node).turn();
    expect(group.host(2).answerTo(halt)).toBeUndefined();
    if (!group.step()) break;
  }
  group.settle();
  expect(group.host(2).answerTo(halt)).toBeUndefined();
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1]);
  expect(group.host(2).answerTo(halt)?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
});

test.each([core, disk])('outlive a time in which nobody has the log, with the table of whose they are: %s', (text) => {
  const { group } = groupWith(text, [1, 2]);
  group.ask(2, DM_ULOG_FLUSH, mirrorA, [4]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  for (const node of [2, 1]) suspend(group, node);
  expect(group.ask(1, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(work(group, 1)?.[0]).toBe(0);
  // Its kernel has the same table still.
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(work(group, 1)?.[0]).toBe(0);
  expect(work(group, 2)).toEqual([1, 4]);
});

test('a host that never knew copies one while its kernel is let in: it is out of sync again, and that kernel its own', () => {
  const { group } = groupWith(disk, [2], { nodes: [1, 2] });
  group.ask(2, DM_ULOG_FLUSH, mirrorA, [4]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  suspend(group, 2);
  group.resume(mirrorA, disk, [1]);
  expect(work(group, 1)).toEqual([1, 4]);
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values?.[0]).toBe(1);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 1]);
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).map.isInSync(4)).toBe(false);
  expect(work(group, 1)?.[0]).toBe(0);
  expect(work(group, 2)).toEqual([1, 4]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 1]);
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).map.isInSync(4)).toBe(true);
});

test('R10: a table that is gone restricts nobody, also when the daemon is killed as soon as DTR is answered', () => {
  const { group } = groupWith('128 clustered-core 8 nosync', [1, 2]);
  const one = group.host(1);
  expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0])?.error).toBe(0);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) expect(group.ask(1, type, mirrorA)?.error).toBe(0);
  const gone = one.send(DM_ULOG_DTR, mirrorA);
  one.turn();
  expect(one.answerTo(gone)?.error).toBe(0);
  group.killDaemon(1);
  group.settle();
  group.join(1);
  group.settle();
  // What device-mapper has is looked at, too.
  for (const look of [0, 10_000, 20_000]) {
    one.nowMs += look;
    one.service.tables(new Set(), one.nowMs, one.nowMs);
    group.settle();
  }
  group.wait(20_000);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 5]);
  expect(group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 1])?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [5])?.values[0]).toBe(0);
});

test('R10, R2: a host whose record was lost and whose tables do not name the log restricts nobody any more', () => {
  const { group } = groupWith('128 clustered-core 8 nosync', [1, 2]);
  const one = group.host(1);
  expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0])?.error).toBe(0);
  group.part(1, 'process-down');
  one.powerCut(false);
  group.join(1);
  group.settle();
  for (const look of [10_000, 10_000, 10_000]) {
    one.nowMs += look;
    one.service.tables(new Set(), one.nowMs, one.nowMs);
    group.settle();
  }
  const table = group.host(2).service.cluster?.tables.get(mirrorA.uuid);
  expect(table?.members.map(({ node }) => node)).toEqual([2]);
  for (let copied = 0; copied < 16; copied++) {
    const [found = 0, region = 0] = group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values ?? [];
    if (found === 1) group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 1]);
  }
  expect(group.host(2).state(mirrorA).map.syncCount).toBe(16);
});

test('outlive a suspend beside which daemons meet: who is here in the same boot has the same table again', () => {
  const { group } = groupWith(core, [2, 3], { nodes: [1, 2, 3] });
  group.part(1, 'node-down');
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  suspend(group, 2);
  group.host(2).send(DM_ULOG_RESUME, mirrorA);
  while (!group.awaits(MessageType.want)) group.step();
  group.join(1);
  while (!group.awaits(MessageType.want)) group.step();
  const third = group.host(3);
  const seq = third.send(DM_ULOG_GET_RESYNC_WORK, mirrorA);
  for (; third.answerTo(seq) === undefined; third.turn()) group.step();
  expect(third.answerTo(seq)?.values[0]).toBe(0);
  group.settle();
  expect(work(group, 3)?.[0]).toBe(0);
});

test.each([core, disk])('outlive daemons that end while the log is suspended: %s', (text) => {
  const { group } = groupWith(text, [1, 2]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
  suspend(group, 2);
  restartAll(group);
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(work(group, 1)?.[0]).toBe(0);
  expect(work(group, 2)).toEqual([1, 5]);
});

test.each([core, disk])('that were lost with their record bind all others, also behind another daemon: %s', (text) => {
  const { group } = groupWith(text, [2], { nodes: [1, 2] });
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  group.part(2, 'process-down');
  group.host(2).powerCut(false);
  group.join(2);
  group.host(2).construct(mirrorA, text, { nul: true });
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  suspend(group, 2);
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  group.killDaemon(2);
  group.join(2);
  group.settle();
  group.resume(mirrorA, text, [1]);
  expect(group.host(1).state(mirrorA).map.isInSync(4)).toBe(false);
  expect(work(group, 1)?.[0]).toBe(0);
});

test('end with a new table whose daemon is killed before anybody has heard of it', () => {
  const { group } = groupWith(core, [1, 2]);
  const next = { uuid: mirrorA.uuid, luid: 0x2000 };
  for (const node of [1, 2]) group.ask(node, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
  for (const node of [1, 2]) {
    const host = group.host(node);
    host.construct(next, core);
    suspend(group, node);
    host.send(DM_ULOG_RESUME, next);
    group.killDaemon(node);
    group.join(node);
    expect(group.ask(node, DM_ULOG_RESUME, next)?.error).toBe(0);
    group.ask(node, DM_ULOG_DTR, mirrorA);
  }
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, next)?.values).toEqual([1, 5]);
});

test.each(['8192 clustered-core 8 nosync', '8192 clustered-disk /dev/log 8 nosync'])(
  'R10: two hosts have each found other regions, more than their records name: each recovers its own, once: %s',
  (text) => {
    const { group } = groupWith(text, [1, 2]);
    const each = 300;
    for (let i = 0; i < each; i++) {
      group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [i, 0]);
      group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [500 + i, 0]);
    }
    for (let round = 0; round < each; round++) {
      for (const node of [1, 2]) {
        const [found, region = 0] = work(group, node) ?? [];
        expect([found, region]).toEqual([1, node === 1 ? round : 500 + round]);
        group.ask(node, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 1]);
        group.ask(node, DM_ULOG_CLEAR_REGION, mirrorA, [region]);
      }
    }
    const { map } = group.host(1).state(mirrorA);
    expect(map.syncCount).toBe(map.regionCount);
  },
);

test('the table of a host that had left goes while nobody follows: others recover what it had found', () => {
  const { group } = groupWith(core, [1, 2, 3, 5]);
  group.ask(3, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  suspend(group, 3);
  group.tellsQuorum = false;
  group.split([5]);
  // Quorum comes from a host that runs no daemon.
  group.quorum(false, [1, 2, 3]);
  group.settle();
  group.quorum(true, [1, 2, 3]);
  group.settle();
  expect(group.host(1).log(mirrorA).replica.following).toBe(false);
  group.ask(3, DM_ULOG_DTR, mirrorA);
  group.settle();
  group.cutPower(5);
  group.host(1).service.confirmDead(5, null, group.host(1).nowMs);
  group.settle();
  expect(recoverAll(group, 1)).toContain(4);
});
