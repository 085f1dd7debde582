/** A copy of a large log comes in parts, and others go on meanwhile. */

import { expect, test, vi } from 'vitest';
import { DM_ULOG_GET_RESYNC_WORK, DM_ULOG_RESUME, DM_ULOG_SET_REGION_SYNC } from '../../ts/base/ulog-frames.js';
import { newMember } from '../../ts/mirror/member-table.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { groupWith } from './cluster-host.js';
import { type Host, mirrorA } from './host.js';

test('what concerns all regions that a copy has so far is not done region by region', () => {
  const text = `${8 * 2 ** 16} clustered-core 8`;
  const { group } = groupWith(text, [1, 2], { nodes: [1, 2, 3], settings: { chunkRegions: 2 ** 14 } });
  group.host(3).construct(mirrorA, text);
  group.host(3).send(DM_ULOG_RESUME, mirrorA);
  for (let chunks = 0; chunks < 2; chunks++) {
    while (group.next?.type !== MessageType.chunk) group.step();
    group.step();
  }
  const log = group.host(3).log(mirrorA);
  expect(log.replica.phase).toBe('copying');
  const { map } = log.state;
  const looks = [vi.spyOn(map, 'nextDirty'), vi.spyOn(map, 'nextOutOfSync'), vi.spyOn(map, 'setInSync')];
  // One of unknown marks is dead while its log, which is not in sync yet, is copied: 50 s for 2^24 regions.
  log.memberGone(Object.assign(newMember(2, 'node2', '2', 'active'), { settled: false }), true);
  for (const look of looks) expect(look.mock.calls.length).toBeLessThan(20);
});

test('the end of a recovery that says nothing says nothing to a part of a copy either', () => {
  const text = '4096 clustered-core 8';
  const { group } = groupWith(text, [1, 2], { nodes: [1, 2, 3], settings: { chunkRegions: 64 } });
  const [one, two, three] = [1, 2, 3].map((node) => group.host(node)) as [Host, Host, Host];
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  // Both sides go on: what either has done says nothing any more.
  group.split([2]);
  group.settle();
  group.heal();
  group.settle();
  for (const host of [one, two]) expect(host.state(mirrorA).recoveryDoubted).toBe(true);
  three.construct(mirrorA, text);
  three.send(DM_ULOG_RESUME, mirrorA);
  while (group.next?.type !== MessageType.chunk) group.step();
  group.step();
  expect(three.log(mirrorA).replica.phase).toBe('copying');
  const end = one.send(DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1]);
  while (one.answerTo(end) === undefined) group.step();
  expect(three.log(mirrorA).replica.phase).toBe('copying');
  group.settle();
  expect(one.answerTo(end)?.error).toBe(0);
  for (const host of [one, two, three]) expect(host.state(mirrorA).map.syncCount).toBe(0);
  // The next end counts.
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1])?.error).toBe(0);
  for (const host of [one, two, three]) expect(host.state(mirrorA).map.isInSync(0)).toBe(true);
});

test('all regions go out of sync in the middle of a copy: whose recovery that puts in doubt it learns as it begins anew', () => {
  const text = '4096 clustered-core 8';
  const { group } = groupWith(text, [1, 2], { nodes: [1, 2, 3], settings: { chunkRegions: 64 } });
  const [one, three] = [1, 3].map((node) => group.host(node)) as [Host, Host];
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  // Node 2 may have gone on alone before it died.
  group.tellsQuorum = false;
  group.cutPower(2);
  group.settle();
  three.construct(mirrorA, text);
  three.send(DM_ULOG_RESUME, mirrorA);
  while (group.next?.type !== MessageType.chunk) group.step();
  group.step();
  three.service.confirmDead(2, null, three.nowMs);
  while (!one.state(mirrorA).recoveryDoubted) group.step();
  expect(three.log(mirrorA).replica.phase).toBe('copying');
  const end = one.send(DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1]);
  while (one.answerTo(end) === undefined) group.step();
  expect(three.log(mirrorA).replica.phase).toBe('copying');
  group.settle();
  for (const host of [one, three]) expect(host.state(mirrorA).map.syncCount).toBe(0);
});
