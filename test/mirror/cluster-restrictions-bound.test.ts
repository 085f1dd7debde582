/** R17: how much of a copy, and of a record, may be about regions that one host alone may recover. */

import { describe, expect, test } from 'vitest';
import { restrictedMax } from '../../ts/base/limits.js';
import { DM_ULOG_GET_RESYNC_WORK, DM_ULOG_RESUME, DM_ULOG_SET_REGION_SYNC } from '../../ts/base/ulog-frames.js';
import { encodedBytesMax, messageBytesMax } from '../../ts/cluster/message-codec.js';
import { type LogMessage, MessageType } from '../../ts/mirror/messages.js';
import { Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

test('R17: a part of a copy fits a message, however many regions hosts have found out of sync', () => {
  // Numbers of nodes as corosync makes them of addresses.
  const nodes = [1, 2, 3, 4].map((last) => 0xc0a80000 + last);
  const [joiner = 0, ...others] = nodes;
  const group = new Group(nodes, { stickyMax: 0 });
  const regions = 2 ** 24;
  group.resume(mirrorA, `${8 * regions} clustered-core 8 nosync`, others);
  // A leg fails for all of them, and everybody writes everywhere.
  const batch = new Float64Array(256);
  for (const node of others) {
    for (let at = 0; at < restrictedMax; at += batch.length) {
      for (let i = 0; i < batch.length; i++) batch[i] = regions - restrictedMax + at + i;
      const message: LogMessage = {
        type: MessageType.inSync,
        node,
        uuid: mirrorA.uuid,
        seq: 0,
        flag: 0,
        regions: batch,
        count: batch.length,
        bytes: Buffer.alloc(0),
        byteCount: 0,
      };
      for (const one of others) group.host(one).service.deliver(1, message, group.host(one).nowMs);
    }
  }
  let longest = 0;
  group.tamper = (message) => {
    longest = Math.max(longest, encodedBytesMax(message));
  };
  group.host(joiner).construct(mirrorA, `${8 * regions} clustered-core 8 nosync`);
  group.ask(joiner, DM_ULOG_RESUME, mirrorA);
  expect(longest).toBeLessThan(messageBytesMax);
});

/** Node 2 has found more regions than its record names; all daemons begin again, and it is about to say that it is ready. */
function moreThanNamed(text: string, nodes: readonly number[]): Group {
  const { group } = groupWith(text, [1, 2], { nodes });
  for (let region = 0; region < 300; region++) group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 0]);
  // The last one has the newest copy, and the second takes that.
  for (const node of nodes.toReversed()) group.killDaemon(node);
  for (const node of [1, 2]) group.join(node);
  while (group.next?.type !== MessageType.ready || group.next.node !== 2) {
    if (!group.step()) for (const node of [1, 2]) group.host(node).settle();
    if (group.next === undefined) throw new Error('nothing is said');
  }
  return group;
}

/** All of them are still written without marks. */
function expectAllBarred(group: Group): void {
  expect(group.host(2).log(mirrorA).replica.phase).toBe('following');
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
}

describe.each(['4096 clustered-core 8 nosync', '4096 clustered-disk /dev/log 8 nosync'])('R10: %s', (text) => {
  test('that there are more than a record names is said, also by the next daemon', () => {
    const group = moreThanNamed(text, [1, 2]);
    group.killDaemon(2);
    group.settle();
    group.join(2);
    group.settle();
    expectAllBarred(group);
  });

  test('and when another one comes to the group at that moment', () => {
    const group = moreThanNamed(text, [1, 2, 3]);
    group.join(3);
    group.settle();
    expectAllBarred(group);
  });
});
