/** R11: kernels that believe that all is in sync ask for no work. Whatever puts regions out of sync, one of them is started anew. */
import { expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { type Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';

/** All kernels have heard that all is in sync. */
function inSync(text: string, nodes: readonly number[]): ReturnType<typeof groupWith> {
  const made = groupWith(text, nodes);
  for (const node of nodes) expect(made.group.ask(node, DM_ULOG_GET_SYNC_COUNT, mirrorA)?.values).toEqual([64]);
  return made;
}

function die(group: Group, node: number, witness: number): void {
  group.cutPower(node);
  group.settle();
  const host = group.host(witness);
  host.service.confirmDead(node, null, host.nowMs);
  group.settle();
  group.wait(10_000);
}

function restarts(group: Group, nodes: readonly number[]): number {
  return nodes.reduce((sum, node) => sum + group.host(node).restarts.length, 0);
}

test.each([true, false])('one of two dies and nobody else has quorum; it had marks: %s', (marked) => {
  const { group } = inSync(core, [1, 2]);
  if (marked) expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  die(group, 2, 1);
  expect(group.host(1).state(mirrorA).map.syncCount).toBe(0);
  expect(group.host(1).log(mirrorA).recoveryRest).toBe('latched');
  expect(restarts(group, [1])).toBeGreaterThan(0);
});

test('a take-over finds what only the device had as dirty', () => {
  const { group, device } = inSync(disk, [1, 2, 3]);
  // A mark that the writer alone had heard, and had written.
  device.bytes[1024] = 0xdf;
  die(group, 1, 2);
  expect(group.host(2).state(mirrorA).map.syncCount).toBe(63);
  expect(restarts(group, [2, 3])).toBeGreaterThan(0);
});

test('the device of an older copy cannot be read', () => {
  const { group, device } = inSync(disk, [1, 2, 3]);
  group.loseGroup(3);
  group.settle();
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [7, 0]);
  for (const node of [1, 2]) group.cutPower(node);
  device.readErrno = Errno.EIO;
  for (const node of [3, 1, 2]) {
    group.join(node);
    group.settle();
  }
  group.wait(10_000);
  device.readErrno = 0;
  group.wait(10_000);
  expect(group.host(3).state(mirrorA).map.syncCount).toBe(0);
  expect(restarts(group, [3])).toBeGreaterThan(0);
});

test('where the lowest node cannot do it the next one tries, round and round', () => {
  const { group } = inSync(core, [1, 2, 3]);
  group.resume({ ...mirrorA, uuid: 'LVM-other' }, core, [1]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
  for (const [by, next] of [
    [1, 2],
    [2, 3],
    [3, 1],
  ] as const) {
    for (const node of [1, 2, 3]) group.host(node).restarts.length = 0;
    const host = group.host(by);
    host.service.passRestart(mirrorA.uuid, host.nowMs);
    group.settle();
    expect([1, 2, 3].filter((node) => group.host(node).restarts.length > 0)).toEqual([next]);
  }
  // A kernel that recovers by itself is left alone.
  group.host(2).restarts.length = 0;
  group.host(1).service.passRestart('LVM-other', group.host(1).nowMs);
  group.settle();
  expect(restarts(group, [2, 3])).toBe(0);
});

test('a region that its last holder gives up behind the question of a kernel that asks no more', () => {
  const { group } = groupWith('8 clustered-core 8', [1, 2]);
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [0])?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values[0]).toBe(0);
  group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [0]);
  group.wait(20_000);
  expect(group.host(1).log(mirrorA).recoveryRest).toBe('told-none');
  expect(restarts(group, [1, 2])).toBe(0);
  for (const node of [1, 2]) group.host(node).service.restartRecoveries();
  expect([1, 2].map((node) => group.host(node).restarts.length)).toEqual([1, 0]);
});
