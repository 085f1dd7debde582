/**
 * What a log device has missed goes along with the host that leaves last (R16), also where its daemon is killed on its way out. What it
 * has not missed is in sync as before.
 */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { type Group, groupWith } from './cluster-host.js';
import { suspend } from './cluster-kernel.js';
import { mirrorA } from './host.js';

const disk = '512 clustered-disk /dev/log 8 nosync';
const core = '512 clustered-core 8 nosync';
const nextTable = { ...mirrorA, luid: 0x9000 };

function leftWith({ killed, closedBefore, next }: { killed: boolean; closedBefore: boolean; next: number }) {
  const { group, device } = groupWith(disk, [1], { nodes: [1, 2] });
  if (closedBefore)
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_RESUME])
      expect(group.ask(1, type, mirrorA)?.error).toBe(0);
  // The log device fails, then a leg in a write.
  device.writeErrno = Errno.EIO;
  group.ask(1, DM_ULOG_FLUSH, mirrorA, [9]);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [9, 0]);
  expect(group.host(1).state(mirrorA).map.isInSync(9)).toBe(false);
  group.ask(1, DM_ULOG_PRESUSPEND, mirrorA);
  const seq = group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
  if (killed) {
    group.killDaemon(1);
    group.join(1);
    group.settle();
    group.ask(1, DM_ULOG_POSTSUSPEND, mirrorA);
  } else {
    group.settle();
    expect(group.host(1).answerTo(seq)).toBeDefined();
  }
  group.settle();
  device.writeErrno = 0;
  if (next === 2) group.host(2).construct(mirrorA, disk);
  expect(group.ask(next, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  const { map } = group.host(next).state(mirrorA);
  return [map.isInSync(9), map.isClean(9), device.isCleanOnDisk(9)];
}

describe.each([1, 2])('host %s has the log next', (next) => {
  test.each([
    { closedBefore: false, killed: false },
    { closedBefore: false, killed: true },
    { closedBefore: true, killed: false },
    { closedBefore: true, killed: true },
  ])('an earlier session was closed: $closedBefore; the daemon is killed: $killed', (how) => {
    expect(leftWith({ ...how, next })).toEqual([false, false, false]);
  });
});

/** Its kernel asks again of the next one. */
function killedBeforeAnswer(group: Group): void {
  expect(group.ask(1, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
  group.killDaemon(1);
  group.settle();
  group.join(1);
  group.settle();
  expect(group.ask(1, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
}

const resumes = [core, disk].flatMap((text) =>
  [
    { users: [1], node: 1, log: mirrorA },
    { users: [1], node: 1, log: nextTable },
    { users: [1], node: 2, log: nextTable },
    { users: [1, 2], node: 1, log: mirrorA },
    { users: [1, 2], node: 1, log: nextTable },
    { users: [1, 2], node: 2, log: mirrorA },
    { users: [1, 2], node: 2, log: nextTable },
  ].map((how) => ({ ...how, text, what: how.log === nextTable ? 'a new table' : 'the same table' })),
);

test.each(resumes)(
  'R2: the daemon of the last user (of $users) is killed on its way out: node $node resumes $what, all in sync: $text',
  ({ text, users, node, log }) => {
    const { group } = groupWith(text, users, { nodes: [1, 2, 3] });
    if (users.length > 1) suspend(group, 2);
    killedBeforeAnswer(group);
    if (log === nextTable) {
      for (const user of users) expect(group.ask(user, DM_ULOG_DTR, mirrorA)?.error).toBe(0);
      group.host(node).construct(nextTable, text);
    }
    expect(group.ask(node, DM_ULOG_RESUME, log)?.error).toBe(0);
    expect(group.host(node).state(log).map.syncCount).toBe(64);
  },
);

test.each([core, disk])('R2: nor is anything resynced that the other user writes meanwhile: %s', (text) => {
  const { group } = groupWith(text, [1, 2], { nodes: [1, 2, 3] });
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
  killedBeforeAnswer(group);
  expect(group.host(2).state(mirrorA).map.syncCount).toBe(64);
});
