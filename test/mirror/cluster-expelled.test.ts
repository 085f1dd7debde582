/** A member that sends nonsense while somebody comes: those who are left must agree who is in the view. */

import { expect, test } from 'vitest';
import { DM_ULOG_CTR, DM_ULOG_RESUME } from '../../ts/base/ulog-frames.js';
import { WireKind } from '../../ts/cluster/wire.js';
import { mirrorA } from './host.js';
import { Net, type NetNode, spoil } from './session-net.js';

function nodesOf({ view }: NetNode): number[] {
  return view?.members.map(({ node }) => node) ?? [];
}

/** Node 2 says something in a round of introductions that its members cannot read, and ends. */
function nonsenseInRound(net: Net, begin: () => void): void {
  begin();
  const [a, b, c] = [net.of(1), net.of(2), net.of(3)];
  // All hear of who came, and introduce themselves.
  for (const one of [a, b, c]) while (one.step());
  const two = b.host;
  b.session.flush();
  for (const one of [a, c]) one.session.flush();
  // Its next multicast, behind its introduction, is nonsense.
  two.service.confirmDead(77, 'x', two.nowMs);
  b.session.submit({
    type: 5,
    node: 2,
    uuid: 'u',
    seq: 0,
    flag: 0,
    regions: new Float64Array([1]),
    count: 1,
    bytes: new Uint8Array(0),
    byteCount: 0,
  });
  b.session.flush();
  const at = b.outbox.findIndex((bytes) => bytes[6] === WireKind.messages);
  spoil(b.outbox[at] as Buffer);
  while (net.order(b));
  while (net.order(a));
  while (net.order(c));
  for (const one of [a, c, b]) while (one.step());
}

test('who comes is in the view of those who are there, or they wait for each other in a round', () => {
  const net = new Net([1, 2, 3]);
  net.of(1).connect();
  net.of(2).connect();
  net.settle();
  expect(nodesOf(net.of(1))).toEqual([1, 2]);
  nonsenseInRound(net, () => net.of(3).connect());
  // It has heard itself, and its daemon ends by what is wrong with it.
  expect(net.of(2).connected).toBe(false);
  net.settle();
  const views = [1, 3].map((node) => nodesOf(net.of(node)));
  expect(views).toEqual([
    [1, 3],
    [1, 3],
  ]);
  expect([1, 3].map((node) => net.of(node).session.awaited)).toEqual([[], []]);
  expect([1, 3].map((node) => net.of(node).host.service.cluster?.exchanging)).toEqual([false, false]);
});

test('so do sides that meet', () => {
  const net = new Net([1, 2, 3]);
  for (const one of net.nodes) one.connect();
  net.settle();
  for (const node of [1, 3]) net.of(node).host.send(DM_ULOG_CTR, mirrorA, Buffer.from('512 clustered-core 8 nosync'));
  net.settle();
  for (const node of [1, 3]) {
    net.of(node).host.send(DM_ULOG_RESUME, mirrorA);
    net.settle();
  }
  net.rewire((node) => (node === 3 ? 1 : 0));
  net.settle();
  expect(net.nodes.map(nodesOf)).toEqual([[1, 2], [1, 2], [3]]);
  nonsenseInRound(net, () => net.rewire(() => 0));
  net.settle();
  expect([1, 3].map((node) => nodesOf(net.of(node)))).toEqual([
    [1, 3],
    [1, 3],
  ]);
  expect([1, 3].map((node) => net.of(node).host.service.cluster?.exchanging)).toEqual([false, false]);
});
