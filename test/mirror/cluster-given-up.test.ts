/**
 * A kernel that reconnects gives its question up when RESUME, behind the repeated constructor, comes when no daemon runs. It takes a region
 * for out of sync then of which nobody knows that, and writes it without marks, to one leg (R3, R10).
 */
import { describe, expect, test } from 'vitest';
import { DM_ULOG_DTR, DM_ULOG_GET_SYNC_COUNT, DM_ULOG_PRESUSPEND, DM_ULOG_RESUME } from '../../ts/base/ulog-frames.js';
import { type Group, groupWith } from './cluster-host.js';
import { constructAgain, restartDaemon, suspend, workOf } from './cluster-kernel.js';
import { type Luid, mirrorA } from './host.js';

const texts = ['512 clustered-core 8 nosync', '512 clustered-disk /dev/log 8 nosync'];

/** The constructor was heard, and its RESUME was not: IN_SYNC of a new hash entry of region 4 was given up. */
function giveUp(text: string): Group {
  const { group } = groupWith(text, [1, 2]);
  constructAgain(group, 2, text);
  restartDaemon(group, 2);
  expect(group.host(2).state(mirrorA).marksUnknown).toBe(true);
  return group;
}

function expectNotTrusted(group: Group): void {
  const { map } = group.host(1).state(mirrorA);
  expect([map.isInSync(4), map.isClean(4)]).toEqual([false, false]);
}

describe.each(texts)('%s', (text) => {
  test('when it has resumed nothing is in sync', () => {
    const group = giveUp(text);
    suspend(group, 2);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expectNotTrusted(group);
  });

  test('nor when its next request reconnects to the next daemon: that RESUME is another one', () => {
    const group = giveUp(text);
    constructAgain(group, 2, text);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    group.ask(2, DM_ULOG_GET_SYNC_COUNT, mirrorA);
    suspend(group, 2);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expectNotTrusted(group);
  });

  test('nor when its table is taken away', () => {
    const group = giveUp(text);
    suspend(group, 2);
    expect(group.ask(2, DM_ULOG_DTR, mirrorA)?.error).toBe(0);
    expect(group.host(1).state(mirrorA).map.isInSync(4)).toBe(false);
  });

  test('nor when another table takes its place', () => {
    const group = giveUp(text);
    const next: Luid = { ...mirrorA, luid: 0x7000 };
    group.host(2).construct(next, text);
    suspend(group, 2);
    expect(group.ask(2, DM_ULOG_RESUME, next)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_DTR, mirrorA)?.error).toBe(0);
    expect(group.host(1).state(mirrorA).map.isInSync(4)).toBe(false);
  });

  test('nor when it was given up in a suspend whose end nobody heard: RESUME is that of the next resume', () => {
    const { group } = groupWith(text, [1, 2]);
    expect(group.ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    constructAgain(group, 2, text);
    restartDaemon(group, 2);
    expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    workOf(group, 2);
    expect(group.host(2).state(mirrorA).marksUnknown).toBe(false);
    expectNotTrusted(group);
  });
});
