/**
 * What a kernel has found out of sync it writes without marks until it has recovered it, or has another table (R10). Here the record in
 * which its daemon had noted that is lost as well (R3).
 */
import { describe, expect, test } from 'vitest';
import { DM_ULOG_DTR, DM_ULOG_FLUSH, DM_ULOG_RESUME, DM_ULOG_SET_REGION_SYNC } from '../../ts/base/ulog-frames.js';
import { type Group, groupWith } from './cluster-host.js';
import {
  constructAgain,
  loseRecord,
  reconnect,
  recoverAll,
  suspend,
  suspendAndResume,
  workOf,
} from './cluster-kernel.js';
import { type Luid, mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';
/** What the kernel of node 2 has found out of sync. */
const found = 4;

function find(group: Group): void {
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [found, 0]);
}

function restartWithoutRecord(group: Group): void {
  loseRecord(group, 2);
  group.join(2);
  group.settle();
}

/** Of a suspended table: nobody knows the log that is resumed. */
function resumeUnknown(group: Group, text: string): void {
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  reconnect(group, 2, text);
}

function expectOutOfSync(group: Group, nodes: readonly number[]): void {
  for (const node of nodes) {
    const { map } = group.host(node).state(mirrorA);
    expect([node, map.isInSync(found), map.isClean(found)]).toEqual([node, false, false]);
  }
}

test.each([core, disk])('members know it: the next record has it again, and all daemons may end: %s', (text) => {
  const { group } = groupWith(text, [1, 2]);
  find(group);
  restartWithoutRecord(group);
  reconnect(group, 2, text);
  suspend(group, 2);
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(workOf(group, 1)?.[0]).toBe(0);
  for (const node of [1, 2]) group.killDaemon(node);
  for (const node of [1, 2]) group.join(node);
  group.settle();
  expect(workOf(group, 1)?.[0]).toBe(0);
  expect(workOf(group, 2)).toEqual([1, found]);
});

test.each([core, disk])('it had left, and another began the log and recovered it: %s', (text) => {
  const { group } = groupWith(text, [2], { nodes: [1, 2] });
  find(group);
  suspend(group, 2);
  restartWithoutRecord(group);
  group.resume(mirrorA, text, [1]);
  recoverAll(group, 1);
  expect(group.host(1).state(mirrorA).map.isInSync(found)).toBe(true);
  resumeUnknown(group, text);
  expectOutOfSync(group, [1, 2]);
});

test.each([core, disk])('it had left, and a member whose daemon has forgotten that recovered it: %s', (text) => {
  const { group } = groupWith(text, [1, 2]);
  find(group);
  suspend(group, 2);
  expect(workOf(group, 1)?.[0]).toBe(0);
  restartWithoutRecord(group);
  group.killDaemon(1);
  group.join(1);
  group.settle();
  recoverAll(group, 1);
  resumeUnknown(group, text);
  expectOutOfSync(group, [1, 2]);
});

test.each([core, disk])(
  'it had left, its record alone is lost, and a member that knows takes its table for gone: %s',
  (text) => {
    const { group } = groupWith(text, [1, 2]);
    find(group);
    suspend(group, 2);
    group.host(2).state(mirrorA).remove();
    group.killDaemon(2);
    group.join(2);
    group.settle();
    recoverAll(group, 1);
    expect(group.host(1).state(mirrorA).map.isInSync(found)).toBe(true);
    resumeUnknown(group, text);
    expectOutOfSync(group, [1, 2]);
  },
);

test.each([core, disk])('it had left, another recovered it, and nobody has the log: %s', (text) => {
  const { group } = groupWith(text, [2], { nodes: [1, 2] });
  find(group);
  suspend(group, 2);
  restartWithoutRecord(group);
  group.resume(mirrorA, text, [1]);
  recoverAll(group, 1);
  suspend(group, 1);
  resumeUnknown(group, text);
  expectOutOfSync(group, [2]);
});

test('another begins a core log together with its return: it recovers alone', () => {
  const { group } = groupWith(core, [2], { nodes: [1, 2] });
  find(group);
  restartWithoutRecord(group);
  group.host(1).construct(mirrorA, core);
  const resume = group.host(1).send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  expect(group.host(1).answerTo(resume)).toBeUndefined();
  reconnect(group, 2, core);
  expect(group.host(1).answerTo(resume)?.error).toBe(0);
  expect(workOf(group, 1)?.[0]).toBe(0);
  suspend(group, 2);
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(workOf(group, 1)?.[0]).toBe(0);
  expect(workOf(group, 2)?.[0]).toBe(1);
});

describe('it has gone on apart from those who follow', () => {
  const marked = 5;

  /** Both of two have quorum; what node 2 marks and finds then is lost with its record before they meet. */
  function partAndForget(text: string, resumed: readonly number[]): ReturnType<typeof groupWith> {
    const made = groupWith(text, resumed, { nodes: [1, 2] });
    const { group } = made;
    group.split([2]);
    group.settle();
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [marked])?.error).toBe(0);
    find(group);
    loseRecord(group, 2);
    group.heal();
    group.join(2);
    group.settle();
    return made;
  }

  test('nothing is in sync', () => {
    const { group } = partAndForget(core, [1, 2]);
    reconnect(group, 2, core);
    expectOutOfSync(group, [1, 2]);
  });

  test('nor when its host dies while its daemon is away', () => {
    const { group } = partAndForget(core, [1, 2]);
    reconnect(group, 2, core);
    group.killDaemon(2);
    group.settle();
    group.cutPower(2);
    group.host(1).service.confirmDead(2, null, group.host(1).nowMs);
    group.settle();
    expect(group.host(1).state(mirrorA).map.isInSync(marked)).toBe(false);
  });

  test('what it had promised on the log device is not overwritten', () => {
    const { group, device } = partAndForget(disk, [2, 1]);
    expect(device.isCleanOnDisk(marked)).toBe(false);
    reconnect(group, 2, disk);
    group.wait(20_000);
    // Its kernel is still in that write.
    expect([group.host(1).state(mirrorA).map.isClean(marked), device.isCleanOnDisk(marked)]).toEqual([false, false]);
  });

  test.each([core, disk])(
    'with quorum: who was cut off without it does not count beside a newer table of others: %s',
    (text) => {
      const { group } = groupWith(text, [2, 1], { nodes: [1, 2, 3] });
      group.tellsQuorum = false;
      group.split([1]);
      group.quorum(false, [1]);
      group.quorum(true, [2, 3]);
      group.settle();
      expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [marked])?.error).toBe(0);
      find(group);
      group.part(2, 'process-down');
      group.host(2).powerCut(false);
      group.settle();
      // All three in one meeting.
      group.heal();
      group.join(2);
      group.settle();
      group.quorum(true);
      group.settle();
      reconnect(group, 2, text);
      group.wait(5000);
      expect(group.host(1).log(mirrorA).replica.phase).toBe('following');
      expectOutOfSync(group, [1, 2]);
      expect(group.host(1).state(mirrorA).map.isClean(marked)).toBe(false);
    },
  );
});

test.each([core, disk])('its table was suspended, and is removed: what it had found others recover: %s', (text) => {
  const { group } = groupWith(text, [1, 2]);
  find(group);
  suspend(group, 2);
  restartWithoutRecord(group);
  expect(workOf(group, 1)?.[0]).toBe(0);
  expect(group.ask(2, DM_ULOG_DTR, mirrorA)?.error).not.toBe(0);
  expect(workOf(group, 1)).toEqual([1, found]);
});

test.each([core, disk])(
  'of two: nobody recovers before one has another table, and that is said of both: %s',
  (text) => {
    const { group } = groupWith(text, [1, 2]);
    find(group);
    for (const node of [1, 2]) loseRecord(group, node);
    for (const node of [1, 2]) group.join(node);
    group.settle();
    for (const node of [1, 2]) {
      constructAgain(group, node, text);
      group.host(node).send(DM_ULOG_RESUME, mirrorA);
    }
    group.settle();
    for (const node of [1, 2]) suspendAndResume(group, node);
    const alone = () => [1, 2].map((node) => [...group.host(1).service.logs()].map((log) => log.recoversAlone(node)));
    expect([workOf(group, 1)?.[0], workOf(group, 2)?.[0], alone()]).toEqual([0, 0, [[true], [true]]]);
    const next: Luid = { ...mirrorA, luid: 0x7000 };
    group.host(2).construct(next, text);
    suspend(group, 2);
    expect(group.ask(2, DM_ULOG_RESUME, next)?.error).toBe(0);
    group.ask(2, DM_ULOG_DTR, mirrorA);
    expect(alone()).toEqual([[true], [false]]);
    expect(recoverAll(group, 1)).toHaveLength(group.host(1).state(mirrorA).map.regionCount);
  },
);
