/** The group of one: what every transport does, and that it does it inside `flush`. */
import { describe, expect, it } from 'vitest';
import { LocalTransport } from '../../ts/cluster/local.js';
import type { OrderedTransport } from '../../ts/cluster/transport.js';
import { describeTransport, member, message, Witness } from './transport-conformance.js';

describeTransport('local transport conforms', [1], () => {
  const transports: OrderedTransport[] = [];
  return {
    join(node, events) {
      const transport = new LocalTransport(member(node), events);
      transports.push(transport);
      return transport;
    },
    async settle() {
      for (const transport of transports) transport.flush();
    },
    async close() {
      for (const transport of transports) transport.close();
    },
  };
});

describe('local transport', () => {
  it('delivers nothing at submit and everything inside flush, acknowledged once behind it', () => {
    const witness = new Witness();
    const transport = new LocalTransport(member(4), witness);
    transport.submit(message(1));
    transport.submit(message(2));
    expect(witness.seen).toEqual([]);
    transport.flush();
    expect(witness.seen).toEqual(['view 1', 'message 1', 'message 2', 'acknowledged 2']);
    expect(witness.views).toEqual([{ epoch: 1, meeting: '1', members: [member(4)], joined: [member(4)], left: [] }]);
    transport.flush();
    expect(witness.seen).toHaveLength(4);
  });

  it('ignores a flush inside a delivery and keeps the order', () => {
    const witness = new Witness();
    const transport = new LocalTransport(member(1), witness);
    witness.onDelivered = (got) => {
      if (got.seq === 1) transport.submit(message(3));
      transport.flush();
    };
    transport.submit(message(1));
    transport.submit(message(2));
    transport.flush();
    expect(witness.messages.map((m) => m.seq)).toEqual([1, 2, 3]);
  });

  it('ends a delivery that submits for ever with an error', () => {
    const witness = new Witness();
    const transport = new LocalTransport(member(1), witness);
    const endless = message(1);
    witness.delivered = () => transport.submit(endless);
    transport.submit(endless);
    expect(() => transport.flush()).toThrow(/messages in one flush/);
  });

  it('uses its records again', () => {
    const witness = new Witness();
    const delivered: object[] = [];
    witness.delivered = (_order, got) => delivered.push(got);
    const transport = new LocalTransport(member(1), witness);
    for (let turn = 0; turn < 3; turn++) {
      transport.submit(message(turn, [turn]));
      transport.flush();
    }
    expect(new Set(delivered).size).toBe(1);
  });
});
