/** R7: a confirmation of a death that the host itself has refuted. */
import { expect, test } from 'vitest';
import { DM_ULOG_FLUSH } from '../../ts/base/ulog-frames.js';
import { memberOf } from '../../ts/mirror/member-table.js';
import { groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

test('a host that was in the group after its death was confirmed is not dead when it is lost again', () => {
  const { group } = groupWith('512 clustered-core 8 nosync', [1, 2], { nodes: [1, 2, 3] });
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  group.part(3, 'process-down');
  group.loseGroup(2);
  group.settle();
  // Somebody comes; while daemons tell each other what they know an operator says that node 2 is dead.
  group.join(3);
  group.host(1).service.confirmDead(2, null, group.host(1).nowMs);
  // It is not: it comes, in the same boot, and is cut off again.
  group.join(2);
  group.step();
  group.loseGroup(2);
  group.settle();
  const table = group.host(1).service.cluster?.tables.get(mirrorA.uuid);
  expect(memberOf(table, 2)?.present).toBe(false);
});
