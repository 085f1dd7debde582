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

/** A group whose members come and go, for `describeChanges`. */
export interface ChangingGroup extends TransportGroup {
  /** The member's daemon is killed; its host stays. */
  kill(node: number): Promise<void>;
  /** The member takes nothing in, and says nothing, until it is let go. */
  hold(node: number, held: boolean): Promise<void>;
  /** Lets time pass until a condition holds; fails when it never does. */
  until(what: string, condition: () => boolean): Promise<void>;
  /** Lets so much time pass that whatever can happen has. */
  pause(): Promise<void>;
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

/** `skip`: why these tests cannot run here; empty: they can. */
export function describeTransport(name: string, nodes: readonly number[], open: () => TransportGroup, skip = ''): void {
  describe.skipIf(skip !== '')(skip === '' ? name : `${name} (skipped: ${skip})`, () => {
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

interface Member {
  readonly node: number;
  readonly witness: Witness;
  readonly transport: OrderedTransport;
}

/** What is seen of a group of three whose members come, go, die and are slow. */
export function describeChanges(name: string, open: () => ChangingGroup, skip = ''): void {
  describe.skipIf(skip !== '')(skip === '' ? name : `${name} (skipped: ${skip})`, () => {
    let group: ChangingGroup;
    let members: Member[];
    const start = (node: number): Member => {
      const witness = new Witness();
      return { node, witness, transport: group.join(node, witness) };
    };
    const nodesOf = (view: GroupView | undefined) => view?.members.map(({ node }) => node);
    const [first, second, third] = [0, 1, 2].map((i) => () => members[i] as Member) as [
      () => Member,
      () => Member,
      () => Member,
    ];
    /** Messages and views of a member from the view on in which these nodes are. */
    const story = ({ witness }: Member, nodes: readonly number[]) => {
      const views = new Map(witness.views.map((view) => [`view ${view.epoch}`, nodesOf(view)?.join() ?? '']));
      const told = witness.seen.filter((entry) => !entry.startsWith('acknowledged'));
      const from = told.findIndex((entry) => views.get(entry) === nodes.join());
      return told.slice(from).map((entry) => views.get(entry) ?? entry);
    };

    beforeEach(async () => {
      group = open();
      members = [1, 2, 3].map(start);
      await group.settle();
    });
    afterEach(() => group.close());

    it('takes in who joins later: behind the view, with nothing of before', async () => {
      first().transport.submit(message(1, [], 1));
      second().transport.close();
      await group.until('the view without it', () => first().witness.views.at(-1)?.members.length === 2);
      first().transport.submit(message(2, [], 1));
      await group.settle();
      const late = start(2);
      members.push(late);
      await group.settle();
      first().transport.submit(message(3, [], 1));
      late.transport.submit(message(4, [], 2));
      await group.settle();
      expect(late.witness.messages.map(({ seq }) => seq).sort()).toEqual([3, 4]);
      expect(late.witness.seen[0]).toMatch(/^view /);
      expect(nodesOf(late.witness.views.at(-1))).toEqual([1, 2, 3]);
      expect(late.witness.views.at(-1)?.joined.map(({ node }) => node)).toEqual([1, 2, 3]);
      expect(
        first()
          .witness.views.at(-1)
          ?.joined.map(({ node }) => node),
      ).toEqual([2]);
      expect(first().witness.acknowledgedOrders.at(-1)).toBe(first().witness.orders.at(-1));
    });

    it('tells who left, and goes on', async () => {
      third().transport.close();
      await group.until('the view without it', () => first().witness.views.at(-1)?.members.length === 2);
      expect(
        first()
          .witness.views.at(-1)
          ?.left.map(({ member, reason }) => [member.node, reason]),
      ).toEqual([[3, 'leave']]);
      second().transport.submit(message(5, [], 2));
      await group.settle();
      expect(first().witness.messages.map(({ seq }) => seq)).toEqual([5]);
      expect(second().witness.acknowledgedOrders).toEqual([1]);
    });

    it('tells whose daemon died, and takes its successor for another', async () => {
      await group.kill(3);
      await group.until('the view without it', () => first().witness.views.at(-1)?.members.length === 2);
      const { left } = first().witness.views.at(-1) as GroupView;
      expect(left.map(({ member, reason }) => [member.node, reason])).toEqual([[3, 'process-down']]);
      members.push(start(3));
      await group.settle();
      const { joined } = first().witness.views.at(-1) as GroupView;
      expect(joined.map(({ node }) => node)).toEqual([3]);
      expect(joined[0]?.incarnation).not.toBe(left[0]?.member.incarnation);
    });

    it('acknowledges nothing that a slow member has not had', async () => {
      await group.hold(3, true);
      first().transport.submit(message(1, [], 1));
      first().transport.flush();
      await group.until(
        'the delivery',
        () => second().witness.messages.length === 1 && first().witness.messages.length === 1,
      );
      await group.pause();
      expect(first().witness.acknowledgedOrders).toEqual([]);
      expect(second().witness.acknowledgedOrders).toEqual([]);
      await group.hold(3, false);
      await group.until('the acknowledgement', () => first().witness.acknowledgedOrders.at(-1) === 1);
      expect(third().witness.messages).toHaveLength(1);
      await group.settle();
    });

    it('waits for a slow member until the view without it, and no longer', async () => {
      await group.hold(3, true);
      first().transport.submit(message(1, [], 1));
      first().transport.flush();
      await group.until('the delivery', () => first().witness.messages.length === 1);
      await group.pause();
      expect(first().witness.acknowledgedOrders).toEqual([]);
      await group.kill(3);
      await group.until('the acknowledgement', () => first().witness.acknowledgedOrders.at(-1) === 1);
      const { seen, views } = first().witness;
      expect(seen.indexOf('acknowledged 1')).toBeGreaterThan(seen.indexOf(`view ${views.at(-1)?.epoch}`));
      expect(nodesOf(views.at(-1))).toEqual([1, 2]);
    });

    it('puts views and messages into one order for all who stay', async () => {
      for (let i = 0; i < 30; i++) {
        for (const { node, transport } of members) transport.submit(message(100 * node + i, [], node));
        if (i % 10 === 0) for (const { transport } of members) transport.flush();
      }
      await group.kill(3);
      members.pop();
      for (let i = 30; i < 40; i++)
        for (const { node, transport } of members) transport.submit(message(100 * node + i, [], node));
      members.push(start(3));
      await group.settle();
      expect(story(first(), [1, 2, 3])).toEqual(story(second(), [1, 2, 3]));
      expect(story(first(), [1, 2])).toEqual(story(second(), [1, 2]));
    });

    it('carries messages of megabytes, at their place', async () => {
      const long = message(2, [7], 1);
      long.bytes = new Uint8Array(3 << 20).map((_, i) => i % 251);
      long.byteCount = long.bytes.length;
      first().transport.submit(message(1, [], 1));
      first().transport.submit(long);
      first().transport.submit(message(3, [], 1));
      await group.settle();
      for (const { witness } of members) {
        expect(witness.messages.map(({ seq }) => seq)).toEqual([1, 2, 3]);
        expect(Buffer.compare(witness.messages[1]?.bytes as Uint8Array, long.bytes)).toBe(0);
      }
    });
  });
}
