/**
 * A kernel that repeats the constructor, and RESUME behind it, with a question of one thread, while others ask or suspend; and when nobody
 * hears that RESUME, and the question is given up.
 */
import { describe, expect, test } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { type Group, groupWith } from './cluster-host.js';
import { constructAgain, restartDaemon, workOf } from './cluster-kernel.js';
import { mirrorA } from './host.js';

const texts = ['512 clustered-core 8 nosync', '512 clustered-disk /dev/log 8 nosync'];

/** Node 2 suspends, and was told that nobody recovers anything; a region is out of sync. */
function suspending(text: string): Group {
  const { group } = groupWith(text, [1, 2]);
  expect(group.ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  expect(group.ask(2, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [4])?.values).toEqual([0, 64]);
  return group;
}

function expectSuspending(group: Group): void {
  expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [4])?.values).toEqual([1]);
  expect(workOf(group, 1)?.[0]).toBe(0);
}

describe.each(texts)('R10: a kernel that suspends still does: %s', (text) => {
  test('when another thread asks between constructor and RESUME', () => {
    const group = suspending(text);
    constructAgain(group, 2, text);
    group.ask(2, DM_ULOG_GET_SYNC_COUNT, mirrorA);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expectSuspending(group);
  });

  test('when two threads reconnect', () => {
    const group = suspending(text);
    for (const _thread of ['one', 'two']) constructAgain(group, 2, text);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    group.ask(2, DM_ULOG_GET_SYNC_COUNT, mirrorA);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expectSuspending(group);
  });
});

describe.each(texts)('R3: RESUME behind a repeated constructor comes when no daemon runs: %s', (text) => {
  test('marks are unknown, also when another thread has asked before', () => {
    const { group } = groupWith(text, [1, 2]);
    constructAgain(group, 2, text);
    group.ask(2, DM_ULOG_GET_SYNC_COUNT, mirrorA);
    restartDaemon(group, 2);
    // IN_SYNC was given up, and the write goes to one leg.
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [4])?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [4])?.error).toBe(0);
    group.wait(20_000);
    expect(group.host(1).state(mirrorA).map.isClean(4)).toBe(false);
  });

  test('nobody cleans what it clears before its RESUME has come: that may have found the queue full', () => {
    const { group } = groupWith(text, [1, 2]);
    constructAgain(group, 2, text);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [4])?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [4])?.error).toBe(0);
    group.wait(20_000);
    expect(group.host(1).state(mirrorA).map.isClean(4)).toBe(false);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    group.ask(2, DM_ULOG_GET_SYNC_COUNT, mirrorA);
    group.wait(20_000);
    expect(group.host(1).state(mirrorA).map.isClean(4)).toBe(true);
  });

  test('what it has found out of sync it may not have said: nothing is in sync when it has resumed, and it recovers alone', () => {
    const { group } = groupWith(text, [1, 2]);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [4])?.error).toBe(0);
    restartDaemon(group, 2);
    constructAgain(group, 2, text);
    restartDaemon(group, 2);
    expect(group.host(2).state(mirrorA).marksUnknown).toBe(true);
    expect(group.ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
    // Suspended it writes nothing, and others may recover.
    for (let work = workOf(group, 1); work?.[0] === 1; work = workOf(group, 1))
      group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [work[1] as number, 1]);
    expect(group.host(1).state(mirrorA).map.isInSync(4)).toBe(true);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.host(1).state(mirrorA).map.syncCount).toBe(0);
    expect(workOf(group, 1)?.[0]).toBe(0);
    expect(workOf(group, 2)?.[0]).toBe(1);
  });

  test('unless it is sent again, and heard', () => {
    const { group } = groupWith(text, [1, 2]);
    constructAgain(group, 2, text);
    restartDaemon(group, 2);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    const { map } = group.host(1).state(mirrorA);
    expect(map.syncCount).toBe(map.regionCount);
  });
});

describe.each(texts)('R13: where nothing may be promised its RESUME is answered, and it reads on: %s', (text) => {
  test.each([
    ['in the next daemon, without quorum', true, true],
    ['in the same one', false, true],
    ['while quorum is lost', true, false],
  ])('%s', (_when, killed, lostBefore) => {
    const { group } = groupWith(text, [1, 2, 3]);
    expect(group.ask(3, DM_ULOG_FLUSH, mirrorA, [60])?.error).toBe(0);
    group.tellsQuorum = false;
    const lose = () => {
      group.split([3]);
      group.quorum(false, [3]);
      group.quorum(true, [1, 2]);
      group.settle();
    };
    if (lostBefore) lose();
    if (killed) group.killDaemon(3);
    if (killed && lostBefore) {
      group.join(3);
      group.quorum(false, [3]);
      group.settle();
    }
    constructAgain(group, 3, text);
    const seq = group.host(3).send(DM_ULOG_RESUME, mirrorA);
    if (!lostBefore) {
      group.host(3).turn();
      lose();
    }
    group.settle();
    expect(group.host(3).answerTo(seq)?.error).toBe(0);
    expect(group.ask(3, DM_ULOG_IN_SYNC, mirrorA, [60])?.values).toEqual([1]);
  });
});
