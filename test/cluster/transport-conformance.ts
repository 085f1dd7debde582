/**
 * What every `OrderedTransport` must do, whatever carries the messages. An implementation comes with a `TransportGroup`
 * that starts members and lets time pass; the same tests then run over it.
 *
 * Nothing here knows that a group of one is quick: `settle` may take as long as it must.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GroupMember, GroupView } from '../../ts/base/group-view.js';
import type { OrderedTransport, TransportEvents } from '../../ts/cluster/transport.js';
import { type LogMessage, MessageType } from '../../ts/mirror/messages.js';

export interface TransportGroup {
  /** Starts a member that reports to `events`. */
  join(node: number, events: TransportEvents): OrderedTransport;
  /** Flushes every member and waits until all that was submitted is delivered and acknowledged. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** What one member saw, in order, with messages copied (they are valid during the call only). */
export class Witness implements TransportEvents {
  readonly seen: string[] = [];
  readonly messages: LogMessage[] = [];
  readonly orders: number[] = [];
  readonly acknowledgedOrders: number[] = [];
  readonly views: GroupView[] = [];
  readonly quorum: boolean[] = [];
  onDelivered: (message: LogMessage) => void = () => {};
  onAcknowledged: (order: number) => void = () => {};

  delivered(order: number, message: LogMessage): void {
    this.orders.push(order);
    this.messages.push({
      ...message,
      regions: message.regions.slice(0, message.count),
      bytes: message.bytes.slice(0, message.byteCount),
    });
    this.seen.push(`message ${message.seq}`);
    this.onDelivered(message);
  }

  acknowledged(order: number): void {
    this.acknowledgedOrders.push(order);
    this.seen.push(`acknowledged ${order}`);
    this.onAcknowledged(order);
  }

  quorumChanged(quorate: boolean): void {
    this.quorum.push(quorate);
  }

  viewChanged(view: GroupView): void {
    this.views.push({ ...view, members: [...view.members] });
    this.seen.push(`view ${view.epoch}`);
  }
}

export function member(node: number): GroupMember {
  return { node, name: `host${node}`, bootId: `boot-${node}`, incarnation: '1' };
}

export function message(seq: number, regions: readonly number[] = [], node = 1): LogMessage {
  return {
    type: MessageType.mark,
    node,
    uuid: 'LVM-conformance',
    seq,
    flag: 0,
    regions: Float64Array.from(regions),
    count: regions.length,
    bytes: new Uint8Array(0),
    byteCount: 0,
  };
}

export function describeTransport(name: string, nodes: readonly number[], open: () => TransportGroup): void {
  describe(name, () => {
    let group: TransportGroup;
    let members: { node: number; transport: OrderedTransport; witness: Witness }[];

    beforeEach(async () => {
      group = open();
      members = nodes.map((node) => {
        const witness = new Witness();
        return { node, witness, transport: group.join(node, witness) };
      });
      await group.settle();
    });
    afterEach(() => group.close());

    it('gives every member the same view before any message', async () => {
      for (const member of members) member.transport.submit(message(member.node, [], member.node));
      await group.settle();
      for (const { witness } of members) {
        expect(witness.seen[0]).toMatch(/^view /);
        expect(witness.views.at(-1)?.members.map(({ node }) => node)).toEqual([...nodes].sort((a, b) => a - b));
        expect(witness.quorum.at(-1)).toBe(true);
      }
    });

    it('delivers to all members in one order, the sender included, numbered without a gap', async () => {
      for (let i = 0; i < 20; i++) {
        for (const member of members) member.transport.submit(message(100 * member.node + i, [i], member.node));
      }
      await group.settle();
      const expected = members[0]?.witness.messages.map((m) => m.seq);
      expect(expected).toHaveLength(20 * nodes.length);
      for (const { witness } of members) {
        expect(witness.messages.map((m) => m.seq)).toEqual(expected);
        expect(witness.orders).toEqual(witness.orders.map((_, i) => (witness.orders[0] ?? 0) + i));
      }
    });

    it('keeps the order in which one member submitted', async () => {
      for (const member of members) for (let i = 0; i < 50; i++) member.transport.submit(message(i, [], member.node));
      await group.settle();
      for (const { witness } of members) {
        for (const node of nodes) {
          const own = witness.messages.filter((m) => m.node === node).map((m) => m.seq);
          expect(own).toEqual(Array.from({ length: 50 }, (_, i) => i));
        }
      }
    });

    it('acknowledges a message only after its delivery, and in the end every one', async () => {
      for (const member of members) for (let i = 0; i < 5; i++) member.transport.submit(message(i, [], member.node));
      await group.settle();
      for (const { witness } of members) {
        let delivered = 0;
        for (const entry of witness.seen) {
          if (entry.startsWith('message ')) delivered += 1;
          if (entry.startsWith('acknowledged ')) {
            const order = Number(entry.slice('acknowledged '.length));
            expect(witness.orders.slice(0, delivered)).toContain(order);
          }
        }
        expect(witness.acknowledgedOrders.at(-1)).toBe(witness.orders.at(-1));
        expect(witness.acknowledgedOrders).toEqual([...witness.acknowledgedOrders].sort((a, b) => a - b));
      }
    });

    it('carries every field, and a message changed after submit is delivered as it was', async () => {
      const sender = members[0];
      if (sender === undefined) throw new Error('a group has a member');
      const sent = message(77, [5, 2 ** 32 - 1, 2 ** 40], sender.node);
      sent.type = MessageType.inSync;
      sent.flag = 1;
      sent.bytes = Uint8Array.from([1, 2, 255]);
      sent.byteCount = 3;
      sender.transport.submit(sent);
      sent.type = MessageType.leave;
      sent.uuid = 'another';
      sent.seq = 0;
      sent.flag = 0;
      sent.regions.fill(9);
      sent.count = 1;
      sent.bytes.fill(0);
      sent.byteCount = 1;
      await group.settle();
      for (const { witness } of members) {
        expect(witness.messages).toEqual([
          {
            type: MessageType.inSync,
            node: sender.node,
            uuid: 'LVM-conformance',
            seq: 77,
            flag: 1,
            regions: Float64Array.from([5, 2 ** 32 - 1, 2 ** 40]),
            count: 3,
            bytes: Uint8Array.from([1, 2, 255]),
            byteCount: 3,
          },
        ]);
      }
    });

    it('carries messages of many regions', async () => {
      const regions = Array.from({ length: 1000 }, (_, i) => 3 * i);
      members[0]?.transport.submit(message(1, regions));
      members[0]?.transport.submit(message(2, [8]));
      await group.settle();
      for (const { witness } of members) {
        expect([...(witness.messages[0]?.regions ?? [])]).toEqual(regions);
        expect([...(witness.messages[1]?.regions ?? [])]).toEqual([8]);
      }
    });

    it('delivers what a delivery submits behind what was submitted before', async () => {
      const sender = members[0];
      if (sender === undefined) throw new Error('a group has a member');
      sender.witness.onDelivered = (got) => {
        if (got.seq < 3) sender.transport.submit(message(got.seq + 10, [], sender.node));
      };
      for (let i = 1; i <= 3; i++) sender.transport.submit(message(i, [], sender.node));
      await group.settle();
      expect(sender.witness.messages.map((m) => m.seq)).toEqual([1, 2, 3, 11, 12]);
    });

    it('delivers what an acknowledgement submits', async () => {
      const sender = members[0];
      if (sender === undefined) throw new Error('a group has a member');
      let more = 3;
      sender.witness.onAcknowledged = () => {
        if (more-- > 0) sender.transport.submit(message(20 + more, [], sender.node));
      };
      sender.transport.submit(message(1, [], sender.node));
      await group.settle();
      expect(sender.witness.messages.map((m) => m.seq)).toEqual([1, 22, 21, 20]);
      expect(sender.witness.acknowledgedOrders.at(-1)).toBe(sender.witness.orders.at(-1));
    });

    it('refuses use after close, and closes twice', async () => {
      const sender = members[0];
      if (sender === undefined) throw new Error('a group has a member');
      sender.transport.close();
      sender.transport.close();
      expect(() => sender.transport.submit(message(1))).toThrow(/closed/);
      expect(() => sender.transport.flush()).toThrow(/closed/);
    });
  });
}
