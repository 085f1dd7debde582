/** R17: how much of a copy may be about regions that one host alone may recover. */

import { expect, test } from 'vitest';
import { restrictedMax } from '../../ts/base/limits.js';
import { DM_ULOG_RESUME } from '../../ts/base/ulog-frames.js';
import { encodedBytesMax, messageBytesMax } from '../../ts/cluster/message-codec.js';
import { type LogMessage, MessageType } from '../../ts/mirror/messages.js';
import { Group } from './cluster-host.js';
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
