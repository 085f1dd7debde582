/** R13: the word of quorum of somebody who did not know yet that others are lost: that there is some counts nothing, as it is of the ring that is no more. */
import { expect, test } from 'vitest';
import { DM_ULOG_CLEAR_REGION, DM_ULOG_FLUSH } from '../../ts/base/ulog-frames.js';
import { groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

test('R13: quorum that was said before the others were lost, and is delivered behind that', () => {
  const { group } = groupWith('512 clustered-core 8 nosync', [1, 2, 3]);
  const one = group.host(1);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
  const generation = one.log(mirrorA).replica.rights.table?.generation ?? 0;
  group.tellsQuorum = false;
  // On its way when the network breaks.
  group.quorum(true, [1]);
  group.part(2, 'node-down');
  group.part(3, 'node-down');
  group.settle();
  expect(one.service.cluster?.orderedQuorate).toBe(false);
  group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [7]);
  group.settle();
  expect(one.state(mirrorA).map.isClean(7)).toBe(false);
  // Nor is the copy of who is cut off newer than that of the others by it (2^20 for quorum that is won).
  expect((one.log(mirrorA).replica.rights.table?.generation ?? 0) - generation).toBeLessThan(2 ** 10);
});

test('R13: that there is none counts, though a daemon that was there has ended behind that', () => {
  const { group } = groupWith('512 clustered-core 8 nosync', [1, 2, 3]);
  group.part(3, 'node-down');
  group.quorum(true, [1, 2]);
  group.settle();
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
  group.tellsQuorum = false;
  group.quorum(false, [1]);
  group.part(2, 'process-down');
  group.settle();
  expect(group.host(1).service.cluster?.orderedQuorate).toBe(false);
  group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [7]);
  group.settle();
  expect(group.host(1).state(mirrorA).map.isClean(7)).toBe(false);
});

test('R13: that there is some is said again, when a daemon that was there has ended before it was heard', () => {
  const { group } = groupWith('512 clustered-core 8 nosync', [1, 2, 3, 4]);
  group.tellsQuorum = false;
  group.part(4, 'node-down');
  group.quorum(true);
  group.killDaemon(3);
  group.settle();
  expect(group.host(1).service.cluster?.orderedQuorate).toBe(true);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
});
