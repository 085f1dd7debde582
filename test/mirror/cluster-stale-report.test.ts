/** What a daemon has to say when somebody comes is said of one meeting: corosync may take it only when the same daemons meet again. */
import { expect, test } from 'vitest';
import { DM_ULOG_FLUSH } from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

test('a report of the first meeting says nothing in the second', () => {
  const { group } = groupWith('512 clustered-core 8 nosync', [1, 3], { nodes: [1, 2, 3] });
  group.split([2]);
  group.settle();
  group.heal();
  // Node 1 speaks of the log as it was then; its corosync does not take that yet.
  const waiting = [];
  while (group.next?.type === MessageType.report) {
    const sent = group.takeNext();
    if (sent.message.node === 1) waiting.push({ ...sent });
  }
  expect(waiting).toHaveLength(1);
  // It is cut off, and the others have quorum and go on.
  group.tellsQuorum = false;
  group.split([1]);
  group.quorum(false, [1]);
  group.quorum(true, [2, 3]);
  group.settle();
  expect(group.ask(3, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  group.heal();
  const late = group.takeNext();
  expect(late.message).toMatchObject({ node: 1, type: MessageType.report });
  for (const sent of waiting) group.putNext(sent);
  while (group.step());
  group.putNext(late);
  group.settle();
  group.quorum(true);
  group.settle();
  for (const node of [1, 3]) {
    const { map, owners } = group.host(node).state(mirrorA);
    expect([map.syncCount, owners.has(3, 5)]).toEqual([64, true]);
  }
});
