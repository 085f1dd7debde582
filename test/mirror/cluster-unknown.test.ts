/** A member whose state was lost while its kernel goes on (R3), among others. */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import { quietMsMax } from '../../ts/base/limits.js';
import {
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { LifeCycle } from '../../ts/mirror/log-state.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { type Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';

/** Two hosts have the log; the state of the second is lost under its kernel, which asks on. */
function lostOnSecond(members: readonly number[] = [1, 2]): Group {
  const { group } = groupWith(core, members, { nodes: [1, 2] });
  return group;
}

function loseState(group: Group, node: number): void {
  group.part(node, 'process-down');
  group.host(node).powerCut(false);
}

function reconnect(group: Group, node: number, text = core): number {
  expect(group.host(node).construct(mirrorA, text, { nul: true })?.error).toBe(0);
  return group.host(node).send(DM_ULOG_RESUME, mirrorA);
}

/** The daemon of the second comes back without what it knew, and its kernel finds it. */
function returnWithoutState(group: Group): void {
  const { constructorText } = group.host(2).state(mirrorA);
  loseState(group, 2);
  group.join(2);
  reconnect(group, 2, constructorText);
  group.settle();
}

function suspendAndResume(group: Group): void {
  group.ask(2, DM_ULOG_PRESUSPEND, mirrorA);
  group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA);
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
}

/** How often a member has said that it is ready. */
function watchReady(group: Group): { count: number } {
  const said = { count: 0 };
  group.tamper = ({ type }) => {
    if (type === MessageType.ready) said.count += 1;
  };
  return said;
}

describe('a kernel whose daemon has lost its state', () => {
  test('may write where it has marked when all members have every region dirty: what it knows alone is not enough (R1)', () => {
    const group = lostOnSecond([2]);
    // The other host begins the log anew, and knows of no member.
    for (const node of [1, 2]) loseState(group, node);
    group.join(1);
    group.resume(mirrorA, core, [1]);
    group.join(2);
    group.settle();
    const two = group.host(2);
    reconnect(group, 2);
    group.acknowledges = false;
    group.settle();
    expect([two.state(mirrorA).map.cleanCount, group.host(1).state(mirrorA).map.cleanCount]).toEqual([0, 0]);
    const flush = two.send(DM_ULOG_FLUSH, mirrorA);
    group.settle();
    expect(two.answerTo(flush)).toBeUndefined();
    group.acknowledge();
    group.settle();
    expect(two.answerTo(flush)?.error).toBe(0);
  });

  test('may have heard any hint: it is never told that a region is out of sync, and nothing holds its writes up', () => {
    const group = lostOnSecond();
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    loseState(group, 2);
    group.join(2);
    const resume = reconnect(group, 2);
    group.settle();
    expect(group.host(2).answerTo(resume)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([1]);
    expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values).toEqual([0, 4]);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [4])?.error).toBe(0);
    expect(group.host(1).state(mirrorA).owners.has(2, 4)).toBe(true);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
  });

  test('leaves, although its next daemon is asked to before it has a group', () => {
    const group = lostOnSecond();
    returnWithoutState(group);
    expect(group.ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    group.killDaemon(2);
    const left = group.host(2).send(DM_ULOG_POSTSUSPEND, mirrorA);
    group.settle();
    group.join(2);
    group.settle();
    expect(group.host(2).answerTo(left)?.error).toBe(0);
  });

  test('and it hears the bit again when it has resumed', () => {
    const group = lostOnSecond();
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    returnWithoutState(group);
    suspendAndResume(group);
    expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([0]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
  });

  test('waits for what another kernel copies just now', () => {
    const group = lostOnSecond();
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
    returnWithoutState(group);
    expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values?.[0]).toBe(1);
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 1]);
    expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values?.[0]).toBe(0);
  });

  test('still writes without marks where it did: others do not recover that before it has a new table (R10)', () => {
    const group = lostOnSecond();
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    returnWithoutState(group);
    suspendAndResume(group);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
    expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
  });

  test('also when nobody remembers what it had found: it recovers alone (R10)', () => {
    const group = lostOnSecond();
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    loseState(group, 2);
    group.killDaemon(1);
    group.settle();
    group.join(1);
    group.join(2);
    reconnect(group, 2);
    group.settle();
    suspendAndResume(group);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
    expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(1);
  });

  test('takes along what it had done alone, also when its kernel has come to the next daemon before that is in the group', () => {
    const { group } = groupWith(core, [1, 2], { nodes: [1, 2, 3] });
    group.killDaemon(1);
    group.settle();
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    loseState(group, 2);
    group.join(1);
    group.settle();
    expect(group.host(1).log(mirrorA).replica.phase).toBe('waiting');
    reconnect(group, 2);
    group.join(2);
    group.settle();
    const { replica, state } = group.host(1).log(mirrorA);
    expect([replica.phase, state.map.isInSync(4)]).toEqual(['following', false]);
  });

  test('copies nothing when it asks for work: nobody who suspends waits for that', () => {
    const { group } = groupWith('512 clustered-core 8 sync', [1, 2]);
    expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
    returnWithoutState(group);
    const suspend = group.host(1).send(DM_ULOG_PRESUSPEND, mirrorA);
    group.settle();
    expect(group.host(1).answerTo(suspend)).toBeUndefined();
    expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
    expect(group.host(1).answerTo(suspend)?.error).toBe(0);
  });

  test('copies still what others know of, whose daemons begin again when it has joined: who suspends waits for that (R6)', () => {
    const { group } = groupWith('512 clustered-core 8 sync', [1, 2]);
    expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
    loseState(group, 2);
    group.join(2);
    group.settle();
    group.killDaemon(1);
    reconnect(group, 2, '512 clustered-core 8 sync');
    group.settle();
    group.join(1);
    group.settle();
    const { recoveringRegion, recoveringNode } = group.host(1).state(mirrorA);
    expect([recoveringRegion, recoveringNode]).toEqual([0, 2]);
    const suspend = group.host(1).send(DM_ULOG_PRESUSPEND, mirrorA);
    group.settle();
    expect(group.host(1).answerTo(suspend)).toBeUndefined();
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1]);
    expect(group.host(1).answerTo(suspend)?.error).toBe(0);
  });

  test('alone with the log it recovers alone, where that is not known any more', () => {
    const group = lostOnSecond([2]);
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    returnWithoutState(group);
    group.resume(mirrorA, core, [1]);
    suspendAndResume(group);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(0);
    expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values?.[0]).toBe(1);
  });

  test('RESUME comes before its daemon is in the group, whose members know it: it is taken for what it was', () => {
    const group = lostOnSecond([2]);
    loseState(group, 2);
    const resume = reconnect(group, 2);
    group.settle();
    expect(group.host(2).answerTo(resume)).toBeUndefined();
    group.join(2);
    group.settle();
    expect(group.host(2).answerTo(resume)?.error).toBe(0);
    expect(group.host(2).log(mirrorA).replica.phase).toBe('following');
    group.resume(mirrorA, core, [1]);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [3])?.error).toBe(0);
  });

  test('suspends and reconnects meanwhile: its daemon may say twice that it is ready, and no suspend has ended by that', () => {
    const group = lostOnSecond();
    group.ask(2, DM_ULOG_FLUSH, mirrorA, [3]);
    loseState(group, 2);
    group.join(2);
    group.settle();
    group.tellsQuorum = false;
    group.cutPower(1);
    // The daemon of the first comes back while the second begins to load the log.
    expect(group.host(2).construct(mirrorA, core, { nul: true })?.error).toBe(0);
    const suspend = group.host(2).send(DM_ULOG_PRESUSPEND, mirrorA);
    group.host(2).turn();
    expect(group.host(2).answerTo(suspend)?.error).toBe(-Errno.EINVAL);
    const resume = group.host(2).send(DM_ULOG_RESUME, mirrorA);
    group.host(2).turn();
    const said = watchReady(group);
    group.join(1);
    group.settle();
    group.quorum(true);
    group.settle();
    expect(said.count).toBe(2);
    expect(group.host(2).answerTo(resume)?.error).toBe(0);
    const state = group.host(2).state(mirrorA);
    expect([state.lifeCycle, state.marksUnknown]).toEqual([LifeCycle.halted, true]);
    expect(group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect([state.lifeCycle, state.marksUnknown]).toEqual([LifeCycle.active, false]);
  });
});

describe('a member whose daemon has lost its state and whose kernel has another table', () => {
  const next = { ...mirrorA, luid: mirrorA.luid + 0x400 };

  test('is a new one: whoever begins to load the log does not wait for the old', () => {
    const group = lostOnSecond();
    loseState(group, 2);
    group.join(2);
    group.settle();
    group.ask(1, DM_ULOG_PRESUSPEND, mirrorA);
    group.ask(1, DM_ULOG_POSTSUSPEND, mirrorA);
    const first = group.host(1).send(DM_ULOG_RESUME, mirrorA);
    group.settle();
    // The second has it in use, as far as anybody knows.
    expect(group.host(1).answerTo(first)).toBeUndefined();
    group.host(2).construct(next, core);
    expect(group.ask(2, DM_ULOG_RESUME, next)?.error).toBe(0);
    expect(group.host(1).answerTo(first)?.error).toBe(0);
    // What it wrote with the old table nobody knows.
    expect(group.host(1).state(mirrorA).map.syncCount).toBe(0);
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [3])?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_FLUSH, next, [3])?.error).toBe(0);
  });

  test('also when it says so before it is in the group', () => {
    const group = lostOnSecond();
    group.ask(2, DM_ULOG_FLUSH, mirrorA, [5]);
    loseState(group, 2);
    group.host(2).construct(next, core);
    const second = group.host(2).send(DM_ULOG_RESUME, next);
    group.join(2);
    group.settle();
    expect(group.host(2).answerTo(second)?.error).toBe(0);
    const { map, owners } = group.host(1).state(mirrorA);
    expect([owners.has(2, 5), map.isClean(5), map.isInSync(5)]).toEqual([false, false, false]);
    expect(group.host(2).state(next).map.isInSync(5)).toBe(false);
  });

  test('also when its log had begun to come back: no copy is of before its leave', () => {
    const group = lostOnSecond();
    group.ask(2, DM_ULOG_FLUSH, mirrorA, [5]);
    loseState(group, 2);
    reconnect(group, 2);
    const host = group.host(2);
    host.construct(next, core, { nul: true });
    host.wait(1000);
    expect(host.ask(DM_ULOG_RESUME, next)?.error).toBe(-Errno.EEXIST);
    host.wait(quietMsMax);
    const second = host.send(DM_ULOG_RESUME, next);
    group.join(2);
    group.settle();
    expect(host.answerTo(second)?.error).toBe(0);
    expect(group.host(1).state(mirrorA).map.isInSync(5)).toBe(false);
    expect(host.state(next).map.isInSync(5)).toBe(false);
  });
});

test('that all regions may be in its hands is said again to the side that counts', () => {
  const group = lostOnSecond();
  loseState(group, 2);
  group.join(2);
  reconnect(group, 2);
  group.settle();
  group.part(1, 'node-down');
  group.quorum(false, [2]);
  group.settle();
  // A flush without marks, behind a daemon that may have heard them.
  const seq = group.host(2).send(DM_ULOG_FLUSH, mirrorA);
  group.settle();
  expect(group.host(2).answerTo(seq)).toBeUndefined();
  group.join(1);
  group.settle();
  expect(group.host(2).answerTo(seq)?.error).toBe(0);
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).map.cleanCount).toBe(0);
});

test('R2: a host that has lost a record whose kernel is gone leaves, and what it held is resynced', () => {
  const group = lostOnSecond();
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [4])?.error).toBe(0);
  loseState(group, 2);
  group.join(2);
  group.settle();
  const { service } = group.host(2);
  const look = (uuids: readonly string[]) => {
    const { nowMs } = group.host(2);
    group.wait(100);
    service.tables(new Set(uuids), nowMs, group.host(2).nowMs);
    group.settle();
  };
  const { map } = group.host(1).state(mirrorA);
  // Its table is there: its kernel may write as before.
  look([mirrorA.uuid]);
  expect(service.suspectsOrphans).toBe(false);
  look([]);
  expect([service.suspectsOrphans, map.isInSync(4)]).toEqual([true, true]);
  group.wait(6000);
  look([]);
  expect([service.suspectsOrphans, map.isInSync(4), map.isInSync(5)]).toEqual([false, false, true]);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 4]);
});

test.each([
  [core, 'asks nothing'],
  [core, 'reconnects'],
  [disk, 'asks nothing'],
  [disk, 'reconnects'],
])(
  'R3: its next daemon is started anew before the suspend that ends what is unknown: nothing is resynced for that: %s, its kernel %s',
  (text, kernel) => {
    const { group } = groupWith(text, [1, 2]);
    loseState(group, 2);
    group.join(2);
    group.settle();
    const first = reconnect(group, 2, text);
    group.settle();
    expect(group.host(2).answerTo(first)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [3])?.error).toBe(0);
    group.killDaemon(2);
    group.settle();
    group.join(2);
    group.settle();
    if (kernel === 'reconnects') {
      const again = reconnect(group, 2, text);
      group.settle();
      expect(group.host(2).answerTo(again)?.error).toBe(0);
      expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [3])?.error).toBe(0);
    }
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_RESUME])
      expect(group.ask(2, type, mirrorA)?.error).toBe(0);
    const { map } = group.host(1).state(mirrorA);
    expect(map.syncCount).toBe(map.regionCount - 1);
  },
);
