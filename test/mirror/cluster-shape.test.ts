/** Whose size and kind a log has that nobody had, or that somebody else has otherwise. */

import { expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
} from '../../ts/base/ulog-frames.js';
import { Group, groupWith } from './cluster-host.js';
import { type Luid, mirrorA, TestDisk } from './host.js';

const larger: Luid = { uuid: mirrorA.uuid, luid: 0x2000 };
const core = '512 clustered-core 8';

test('a log that has grown while nobody had it is resumed by who is not in the group yet', () => {
  const { group } = groupWith('512 clustered-core 8 nosync', [1, 2]);
  for (const node of [1, 2]) {
    group.ask(node, DM_ULOG_PRESUSPEND, mirrorA);
    expect(group.ask(node, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
    expect(group.ask(node, DM_ULOG_DTR, mirrorA)?.error).toBe(0);
  }
  group.loseGroup(1);
  group.settle();
  const host = group.host(1);
  expect(host.construct(larger, '1024 clustered-core 8 nosync')?.error).toBe(0);
  const resumed = host.send(DM_ULOG_RESUME, larger);
  group.settle();
  group.join(1);
  group.settle();
  expect(host.answerTo(resumed)?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_FLUSH, larger, [100])?.error).toBe(0);
});

test('a log that has grown, and whose first host waited for quorum alone meanwhile, is resumed by a second one', () => {
  const group = new Group([1, 2, 3], { stickyMax: 0 });
  group.tellsQuorum = false;
  group.split([1]);
  group.quorum(false, [1]);
  group.quorum(true, [2, 3]);
  group.settle();
  // The others make, use and leave a log that node 1 never hears of.
  group.resume(mirrorA, core, [2]);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
    expect(group.ask(2, type, mirrorA)?.error).toBe(0);
  // It has grown by the time that node 1 wants it.
  const larger = { uuid: mirrorA.uuid, luid: 0x2000 };
  const text = '1024 clustered-core 8';
  group.host(1).construct(larger, text);
  const first = group.host(1).send(DM_ULOG_RESUME, larger);
  group.settle();
  expect(group.host(1).answerTo(first)).toBeUndefined();
  group.heal();
  group.quorum(true);
  group.settle();
  expect(group.host(1).answerTo(first)?.error).toBe(0);
  group.host(2).construct(larger, text);
  expect(group.ask(2, DM_ULOG_RESUME, larger)?.error).toBe(0);
  expect(group.host(2).service.cluster?.tables.get(mirrorA.uuid)?.regionCount).toBe(128);
});

test.each(['1024 clustered-core 16', '1024 clustered-core 8', '512 clustered-disk /dev/log 8'])(
  'who waited for quorum alone with another table than the members have is refused: %s',
  (text) => {
    const group = new Group([1, 2, 3], { stickyMax: 0 });
    group.disks.set('/dev/log', new TestDisk(65_536));
    group.tellsQuorum = false;
    group.split([1]);
    group.quorum(false, [1]);
    group.quorum(true, [2, 3]);
    group.settle();
    group.resume(mirrorA, core, [2]);
    const other = { uuid: mirrorA.uuid, luid: 0x2000 };
    expect(group.host(1).construct(other, text)?.error).toBe(0);
    const resumed = group.host(1).send(DM_ULOG_RESUME, other);
    group.settle();
    group.heal();
    group.quorum(true);
    group.settle();
    expect(group.host(1).answerTo(resumed)?.error).toBe(-Errno.EINVAL);
  },
);

test.each(['512 clustered-core 8 nosync', '512 clustered-core 16 nosync', '1024 clustered-disk /dev/log 8 nosync'])(
  'what is refused here stays refused when all daemons are started anew: %s',
  (text) => {
    const { group } = groupWith('512 clustered-disk /dev/log 8 nosync', [1, 2]);
    group.host(1).construct(larger, text);
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) expect(group.ask(1, type, mirrorA)?.error).toBe(0);
    expect(group.ask(1, DM_ULOG_RESUME, larger)?.error).toBe(-Errno.EINVAL);
    for (const nodes of [[1], [1, 2]]) {
      for (const node of nodes) group.killDaemon(node);
      for (const node of nodes) group.join(node);
      group.settle();
    }
    const table = group.host(2).service.cluster?.tables.get(mirrorA.uuid);
    expect([table?.disk, table?.regionCount, table?.members.map(({ node }) => node)]).toEqual([true, 64, [2]]);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  },
);
