/** Bodies with a right checksum and one number that no member would send. */
import { expect, test } from 'vitest';
import { DM_ULOG_GET_RESYNC_WORK, DM_ULOG_RESUME } from '../../ts/base/ulog-frames.js';
import { encodedBytesMax, encodeMessage, MessageReader } from '../../ts/cluster/message-codec.js';
import { type LogMessage, MessageType } from '../../ts/mirror/messages.js';
import { decodeReport } from '../../ts/mirror/report-codec.js';
import { groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8';

test.each(['searchPosition', 'position', 'generation'])(
  'a copy whose head has nonsense for its %s ends no daemon',
  (name) => {
    const { group } = groupWith(core, [1], { nodes: [1, 2] });
    let spoiled = 0;
    group.tamper = (message) => {
      if (message.type !== MessageType.chunk) return;
      const bytes = Buffer.from(message.bytes.subarray(0, message.byteCount));
      const sizes = new Float64Array(Uint8Array.from(bytes.subarray(0, 72)).buffer);
      const [list = 0, head = 0] = [sizes[3], sizes[4]];
      const said = JSON.parse(bytes.toString('utf8', 72 + list, 72 + list + head));
      said[name] = Number.MAX_SAFE_INTEGER;
      const text = Buffer.from(JSON.stringify(said));
      sizes[4] = text.length;
      const spoilt = Buffer.concat([
        Buffer.from(sizes.buffer),
        bytes.subarray(72, 72 + list),
        text,
        bytes.subarray(72 + list + head),
      ]);
      message.bytes = spoilt;
      message.byteCount = spoilt.length;
      spoiled += 1;
    };
    group.host(2).construct(mirrorA, core);
    group.host(2).send(DM_ULOG_RESUME, mirrorA);
    expect(() => group.settle()).not.toThrow();
    expect(spoiled).toBeGreaterThan(0);
    group.tamper = null;
    expect(() => {
      group.host(1).flush(mirrorA, 3);
      group.settle();
      group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA);
      group.killDaemon(2);
      group.join(2);
      group.settle();
    }).not.toThrow();
  },
);

/** As the transport of every member does with it: what makes no sense is refused, and its sender put out. */
function refused(message: LogMessage): boolean {
  const buffer = Buffer.alloc(encodedBytesMax(message));
  const end = encodeMessage(message, buffer, 0, null);
  const reader = new MessageReader();
  reader.open(buffer, 0, end, message.node);
  return !reader.next();
}

test.each(['generation', 'epoch', 'lineage', 'outOfSyncSince'])(
  'a report with nonsense for the %s of a log, once, does not put everybody out for good',
  (name) => {
    const { group } = groupWith(core, [1, 2], { nodes: [1, 2, 3] });
    let spoil = true;
    const out: number[] = [];
    group.tamper = (message) => {
      if (message.type !== MessageType.report) return;
      if (!spoil || message.node !== 2) {
        if (refused(message)) out.push(message.node);
        return;
      }
      const said = JSON.parse(Buffer.from(message.bytes.subarray(0, message.byteCount)).toString('utf8'));
      for (const { table } of said.logs) table[name] = Number.MAX_SAFE_INTEGER;
      const text = Buffer.from(JSON.stringify(said));
      // Refused as it is: nothing is to be seen.
      if (decodeReport(text) === null) return;
      message.bytes = text;
      message.byteCount = text.length;
    };
    group.killDaemon(3);
    group.join(3);
    group.settle();
    spoil = false;
    // The next time that somebody comes, and when all daemons are started anew.
    group.killDaemon(3);
    group.join(3);
    group.settle();
    for (const node of [1, 2, 3]) group.killDaemon(node);
    for (const node of [1, 2, 3]) group.join(node);
    group.settle();
    expect(out).toEqual([]);
    expect([1, 2, 3].map((node) => group.host(node).service.cluster?.exchanging)).toEqual([false, false, false]);
  },
);

test('SET_REGION_SYNC of no region: all members make the same of it, whatever they read before', () => {
  const message: LogMessage = {
    type: MessageType.inSync,
    node: 1,
    uuid: mirrorA.uuid,
    seq: 0,
    flag: 1,
    regions: new Float64Array(1),
    count: 0,
    bytes: new Uint8Array(0),
    byteCount: 0,
  };
  const before = (region: number): LogMessage => ({
    ...message,
    type: MessageType.wish,
    flag: 0,
    regions: Float64Array.from([region]),
    count: 1,
  });
  const { group } = groupWith('4096 clustered-core 8', [1, 2], { nodes: [1, 2, 3] });
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  group.split([2]);
  group.settle();
  group.heal();
  group.settle();
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).recoveryDoubted).toBe(true);
  // Each member has a reader of its own; node 2 came later than the last message about another region, say.
  for (const [node, region] of [
    [1, 0],
    [2, 5],
  ] as const) {
    const reader = new MessageReader();
    const buffer = Buffer.alloc(1024);
    const middle = encodeMessage(before(region), buffer, 0, null);
    reader.open(buffer, 0, middle, 3);
    expect(reader.next()).toBe(true);
    const end = encodeMessage(message, buffer, 0, null);
    reader.open(buffer, 0, end, 1);
    const host = group.host(node);
    if (reader.next()) host.service.deliver(1_000_000, reader.message, host.nowMs);
  }
  const [one, two] = [1, 2].map((node) => group.host(node).state(mirrorA).recoveringRegion);
  expect(one).toBe(two);
});
