/** A log that several nodes have: who is first, copies for those who come later, marks of others. */
import { expect, test } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_MARK_REGION,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';

test('the first loads, the second takes a copy with its marks', () => {
  const { group } = groupWith(core, [1], { nodes: [1, 2] });
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [3, 5]);
  group.resume(mirrorA, core, [2]);
  const { map, owners } = group.host(2).state(mirrorA);
  expect(map.syncCount).toBe(64);
  expect([map.isClean(3), map.isClean(4), map.isClean(5)]).toEqual([false, true, false]);
  expect([owners.has(1, 3), owners.has(1, 4), owners.has(2, 3)]).toEqual([true, false, false]);
});

test('a region that two nodes hold is clean when both have cleared it, on all replicas and on disk', () => {
  const { group, device } = groupWith(disk, [1, 2, 3]);
  for (const node of [1, 2]) {
    group.ask(node, DM_ULOG_MARK_REGION, mirrorA, [7]);
    expect(group.ask(node, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
    expect(device.isCleanOnDisk(7)).toBe(false);
  }
  group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [7]);
  for (const node of [1, 2, 3]) expect(group.host(node).state(mirrorA).map.isClean(7)).toBe(false);
  group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [7]);
  for (const node of [1, 2, 3]) expect(group.host(node).state(mirrorA).map.isClean(7)).toBe(true);
  group.wait(2000);
  expect(device.isCleanOnDisk(7)).toBe(true);
});

test('a disk flush of any node is on disk when it is answered', () => {
  const { group, device } = groupWith(disk, [1, 2, 3]);
  for (const region of [0, 1, 2]) {
    const node = region + 1;
    const seq = group.host(node).send(DM_ULOG_FLUSH, mirrorA, [region]);
    expect(group.host(node).answerTo(seq)).toBeUndefined();
    group.settle();
    expect(group.host(node).answerTo(seq)?.error).toBe(0);
    expect(device.isCleanOnDisk(region)).toBe(false);
  }
});

test('R4, R6: one recovers at a time, and not what another holds', () => {
  const { group } = groupWith('32 clustered-core 8', [1, 2]);
  group.ask(2, DM_ULOG_MARK_REGION, mirrorA, [0]);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 1]);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  // Its own new mark of that region waits for the end of the recovery.
  group.ask(2, DM_ULOG_MARK_REGION, mirrorA, [1]);
  const flush = group.host(2).send(DM_ULOG_FLUSH, mirrorA);
  group.settle();
  expect(group.host(2).answerTo(flush)).toBeUndefined();
  expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [1, 1])?.error).toBe(0);
  expect(group.host(2).answerTo(flush)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [1])?.values).toEqual([1]);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
});

test('who was about to join and has forgotten it is no member, and nobody waits for it', () => {
  const { group } = groupWith(core, [1, 2], { nodes: [1, 2, 3] });
  const three = group.host(3);
  three.construct(mirrorA, core);
  three.send(DM_ULOG_RESUME, mirrorA);
  three.settle();
  const members = () => group.host(1).service.cluster?.tables.get(mirrorA.uuid)?.members ?? [];
  while (members().length < 3) group.step();
  // Its daemon gives the record up, and is killed before the others hear of that.
  three.send(DM_ULOG_DTR, mirrorA);
  three.settle();
  group.killDaemon(3);
  group.join(3);
  group.settle();
  expect(members().map(({ node }) => node)).toEqual([1, 2]);
  group.ask(1, DM_ULOG_FLUSH, mirrorA, [5]);
  group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [5]);
  expect(group.host(2).state(mirrorA).map.isClean(5)).toBe(true);
});
