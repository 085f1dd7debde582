/**
 * R8, R9: who leaves last leaves the log device open where another host is lost, and what stands there counts. When it is known what became
 * of that host, what it had marked is copied, and nothing else.
 */
import { expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { type Group, groupWith } from './cluster-host.js';
import { recoverAll, suspend } from './cluster-kernel.js';
import { mirrorA } from './host.js';

const disk = '512 clustered-disk /dev/log 8 nosync';
const next = { ...mirrorA, luid: 0x9000 };
const last = { ...mirrorA, luid: 0xa000 };

type End = 'is back' | 'is confirmed dead';

/** What became of a host that lost its power. */
function ends(group: Group, node: number, end: End, by: number): void {
  if (end === 'is back') group.join(node);
  else group.host(by).service.confirmDead(node, null, group.host(by).nowMs);
  group.settle();
}

function facts(group: Group, node: number, log: typeof mirrorA) {
  const { map } = group.host(node).state(log);
  return [map.isInSync(7), map.syncCount];
}

const deactivations = [1, 2].flatMap((dying) =>
  (
    [
      ['is back', 'the host that left', 3],
      ['is back', 'the host that died', 3],
      ['is confirmed dead', 'the host that left', 3],
      ['is back', 'the host that left', 2],
      ['is back', 'the host that died', 2],
    ] as const
  ).map(([end, resumes, hosts]) => ({ dying, end, resumes, hosts })),
);

test.each(deactivations)(
  'of $hosts hosts node $dying dies, the other one deactivates the mirror, node $dying $end: $resumes activates it',
  ({ dying, end, resumes, hosts }) => {
    const stays = 3 - dying;
    const { group, device } = groupWith(disk, [1, 2], { nodes: hosts === 3 ? [1, 2, 3] : [1, 2] });
    expect(group.ask(dying, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
    group.cutPower(dying);
    group.settle();
    suspend(group, stays);
    expect(group.ask(stays, DM_ULOG_DTR, mirrorA)?.error).toBe(0);
    expect(device.isCleanOnDisk(7)).toBe(false);
    ends(group, dying, end, stays);
    const node = resumes === 'the host that left' ? stays : dying;
    group.resume(next, disk, [node]);
    expect(facts(group, node, next)).toEqual([false, 63]);
  },
);

const reloads = [1, 2].flatMap((dying) =>
  [mirrorA, next].map((log) => ({ dying, log, what: log === next ? 'a new table' : 'the same table' })),
);

test.each(reloads)(
  'node $dying dies, the other one suspends the mirror and resumes $what before that is known',
  ({ dying, log }) => {
    const stays = 3 - dying;
    const { group } = groupWith(disk, [1, 2], { nodes: [1, 2, 3] });
    expect(group.ask(dying, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
    group.cutPower(dying);
    group.settle();
    const host = group.host(stays);
    if (log === next) host.construct(next, disk);
    suspend(group, stays);
    const seq = host.send(DM_ULOG_RESUME, log);
    group.settle();
    group.wait(3000);
    // The lost host may have gone on.
    expect(host.answerTo(seq)).toBeUndefined();
    ends(group, dying, 'is back', stays);
    expect(host.answerTo(seq)?.error).toBe(0);
    expect(facts(group, stays, log)).toEqual([false, 63]);
  },
);

test('but what the writer did not live to confirm need not stand there', () => {
  const { group } = groupWith(disk, [1, 2], { nodes: [1, 2, 3] });
  group.cutPower(1);
  group.settle();
  const seq = group.host(2).send(DM_ULOG_FLUSH, mirrorA, [7]);
  group.settle();
  expect(group.host(2).answerTo(seq)).toBeUndefined();
  suspend(group, 2);
  ends(group, 1, 'is confirmed dead', 2);
  group.resume(next, disk, [3]);
  expect(facts(group, 3, next)).toEqual([false, 0]);
});

test.each(['in order', 'with a log device that cannot be written'])(
  'the last host left with a region out of sync, %s, has recovered it since, and dies',
  (how) => {
    const { group, device } = groupWith(disk, [1], { nodes: [1, 2, 3] });
    expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0])?.error).toBe(0);
    if (how !== 'in order') {
      device.writeErrno = 5;
      group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [9]);
      group.ask(1, DM_ULOG_FLUSH, mirrorA);
      group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [9]);
    }
    group.ask(1, DM_ULOG_PRESUSPEND, mirrorA);
    group.ask(1, DM_ULOG_POSTSUSPEND, mirrorA);
    group.ask(1, DM_ULOG_DTR, mirrorA);
    device.writeErrno = 0;
    group.resume(mirrorA, disk, [1]);
    recoverAll(group, 1);
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
    group.wait(5000);
    group.cutPower(1);
    group.settle();
    ends(group, 1, 'is confirmed dead', 2);
    group.resume(mirrorA, disk, [2]);
    expect(facts(group, 2, mirrorA)).toEqual([false, 63]);
  },
);

test.each([
  ['is back', 1],
  ['is confirmed dead', 1],
  ['is back', 2],
] as const)(
  'R9: a host dies while it activates a mirror whose log was closed in order, and %s: node %i activates it',
  (end, node) => {
    const { group, device } = groupWith(disk, [1], { nodes: [1, 2, 3] });
    suspend(group, 1);
    expect(group.ask(1, DM_ULOG_DTR, mirrorA)?.error).toBe(0);
    // What LVM says of a mirror that it knows to be in sync says nothing here: the device does.
    const table = disk.replace(' nosync', '');
    group.host(2).construct(next, table);
    group.host(2).send(DM_ULOG_RESUME, next);
    group.talk();
    // It is about to read the log device.
    const { writes } = device;
    device.waiting.length = 0;
    group.cutPower(2);
    group.settle();
    expect(device.writes).toBe(writes);
    ends(group, 2, end, 1);
    group.resume(last, table, [node]);
    expect(group.host(node).state(last).map.syncCount).toBe(64);
  },
);

test('who leaves last could not write the device, and a daemon is back that was away all the time: every region is resynced', () => {
  const { group, device } = groupWith(disk, [1, 2]);
  group.killDaemon(2);
  group.settle();
  device.writeErrno = Errno.EIO;
  group.ask(1, DM_ULOG_FLUSH, mirrorA, [7]);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [7, 0]);
  group.settle();
  suspend(group, 1);
  group.ask(1, DM_ULOG_DTR, mirrorA);
  group.settle();
  device.writeErrno = 0;
  group.join(2);
  group.settle();
  const { replica, state } = group.host(2).log(mirrorA);
  expect([replica.phase, state.map.isInSync(7)]).toEqual(['following', false]);
});
