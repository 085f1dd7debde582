/**
 * The wire: what goes out comes back, and whatever else comes does no harm: a table of multicasts that are wrong in one way
 * each, and sound ones with changed bytes, by seed.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GroupView } from '../../ts/base/group-view.js';
import { GroupSession } from '../../ts/cluster/group-session.js';
import { emptyMessage, encodedBytesMax, encodeMessage, MessageReader } from '../../ts/cluster/message-codec.js';
import {
  emptyHeader,
  groupDigest,
  multicastBytesMax,
  openMulticast,
  readHello,
  sealMulticast,
  WireKind,
  wireHeaderBytes,
  wireVersion,
  writeHello,
  writePartHeader,
} from '../../ts/cluster/wire.js';
import { type LogMessage, MessageType } from '../../ts/mirror/messages.js';
import { CpgSent } from '../../ts/native/cpg-group.js';
import { Prng } from '../../ts/sim/prng.js';
import { message, Witness } from './transport-conformance.js';

const types = Object.values(MessageType);
const number = fc.oneof(fc.nat(300), fc.maxSafeNat());
const messages = fc.array(
  fc.record({
    type: fc.constantFrom(...types),
    node: fc.constant(7),
    uuid: fc.oneof(fc.constantFrom('LVM-a', 'LVM-b', ''), fc.string({ unit: 'grapheme', maxLength: 60 })),
    seq: number,
    flag: number,
    regions: fc.array(number, { maxLength: 300 }),
    bytes: fc.uint8Array({ maxLength: 300 }),
  }),
  { maxLength: 12 },
);

/** What every version begins with, of the next one. */
const otherVersion = Buffer.from([0x4c, 0x53, 0x4d, 0x0a, wireVersion + 1, 0, 1, 0]);
const otherVersionSaid = new RegExp(`wire version ${wireVersion + 1}`);

function encoded(list: readonly LogMessage[]): Buffer {
  const buffer = Buffer.alloc(list.reduce((sum, one) => sum + encodedBytesMax(one), 0));
  let at = 0;
  let uuid: string | null = null;
  for (const one of list) {
    const end = encodeMessage(one, buffer, at, uuid);
    expect(end - at).toBeLessThanOrEqual(encodedBytesMax(one));
    at = end;
    uuid = one.uuid;
  }
  return buffer.subarray(0, at);
}

function decoded(buffer: Buffer, from = 0): { list: LogMessage[]; problem: string } {
  const reader = new MessageReader();
  reader.open(buffer, from, buffer.length, 7);
  const list: LogMessage[] = [];
  while (reader.next()) {
    const { regions, count, bytes, byteCount } = reader.message;
    list.push({ ...reader.message, regions: regions.slice(0, count), bytes: bytes.slice(0, byteCount) });
  }
  return { list, problem: reader.problem };
}

describe('messages as bytes', () => {
  it('come back as they went', () => {
    fc.assert(
      fc.property(messages, (list) => {
        const sent = list.map((one) => ({
          ...one,
          // Whose bytes are any.
          type: one.type === MessageType.report ? MessageType.chunk : one.type,
          // As many as the type with the most must have.
          regions: Float64Array.from([1, 2, 3, ...one.regions]),
          count: one.regions.length + 3,
          byteCount: one.bytes.length,
        }));
        const { list: got, problem } = decoded(encoded(sent));
        expect(problem).toBe('');
        expect(got).toEqual(sent.map((one) => ({ ...one, bytes: new Uint8Array(one.bytes) })));
      }),
      { numRuns: 300, seed: 5 },
    );
  });

  it('a run of regions costs a byte each', () => {
    const run = message(
      1,
      Array.from({ length: 256 }, (_, i) => 2 ** 40 + i),
      7,
    );
    expect(encoded([run]).length).toBeLessThan(300);
  });

  it.each([
    ['a region below 0', { regions: Float64Array.of(-1), count: 1 }],
    ['half a region', { regions: Float64Array.of(0.5), count: 1 }],
    ['a region beyond 2^53', { regions: Float64Array.of(2 ** 53), count: 1 }],
    ['more regions than there are', { count: 2 }],
    ['a negative flag', { flag: -1 }],
    ['a number that is none', { seq: Number.NaN }],
    ['a uuid of 400 bytes', { uuid: 'x'.repeat(400) }],
  ])('%s is a fault of the program', (_what, change) => {
    const wrong: LogMessage = { ...message(1, [1], 7), ...change };
    expect(() => encodeMessage(wrong, Buffer.alloc(2000), 0, null)).toThrow(RangeError);
  });

  const bytes = (...list: number[]) => Buffer.from(list);
  it.each([
    ['one byte', bytes(1), /one byte/],
    ['an unknown type', bytes(200, 1, 1, 65), /unknown type 200/],
    ['type 0', bytes(0, 1, 1, 65), /unknown type 0/],
    ['unknown fields', bytes(1, 0x81, 1, 65), /unknown fields/],
    ['no uuid in the first message', bytes(1, 0), /without a uuid/],
    ['a uuid that ends behind the end', bytes(1, 1, 5, 65, 66), /without a uuid/],
    ['a uuid of 2^20 bytes', bytes(1, 1, 0x80, 0x80, 0x40, 65), /without a uuid/],
    ['a flag that does not end', bytes(1, 3, 1, 65, 0x80, 0x80, 0x80), /does not end/],
    ['a flag of 10 bytes', bytes(1, 3, 1, 65, ...Array(9).fill(0xff), 1), /does not end/],
    ['a number beyond 2^53', bytes(1, 5, 1, 65, 255, 255, 255, 255, 255, 255, 255, 127), /does not end/],
    ['regions without a count', bytes(1, 9, 1, 65), /regions/],
    ['no regions where some are said to be', bytes(1, 9, 1, 65, 0), /regions/],
    ['2^40 regions in ten bytes', bytes(1, 9, 1, 65, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 1, 1, 1, 1), /regions/],
    ['a region below 0', bytes(1, 9, 1, 65, 1, 0x41), /regions/],
    ['a region that does not end', bytes(1, 9, 1, 65, 1, 0x80), /regions/],
    ['bytes that end behind the end', bytes(1, 17, 1, 65, 9, 1, 2), /bytes/],
    ['no bytes where some are said to be', bytes(1, 17, 1, 65, 0), /bytes/],
    ['a join that does not say of what size', bytes(6, 9, 1, 65, 1, 7), /type 6 with 1 numbers/],
    ['a want that does not say from where', bytes(10, 1, 1, 65), /type 10 with 0 numbers/],
    ['a report of two bytes', bytes(17, 17, 1, 65, 2, 123, 125), /report that makes no sense/],
  ])('%s is refused, and nothing is read past it', (_what, body, problem) => {
    expect(decoded(body).problem).toMatch(problem);
    const sound = encoded([message(1, [1], 7)]);
    const both = decoded(Buffer.concat([sound, body]));
    expect(both.list).toHaveLength(1 + (body.length === 2 && body[1] === 0 ? 1 : 0));
  });

  it('makes room for no more than came', () => {
    const reader = new MessageReader();
    const body = Buffer.concat([Buffer.from([1, 9, 1, 65, 0xff, 0xff, 0x03]), Buffer.alloc(100, 1)]);
    reader.open(body, 0, body.length, 7);
    expect(reader.next()).toBe(false);
    expect(reader.message.regions.length).toBe(emptyMessage().regions.length);
  });
});

const header = { ...emptyHeader(), node: 2, session: 99, seq: 1, inView: true };

function sealed(kind: WireKind, body: Buffer, changes: Partial<typeof header> = {}): Buffer {
  const buffer = Buffer.alloc(multicastBytesMax);
  body.copy(buffer, wireHeaderBytes);
  sealMulticast(buffer, wireHeaderBytes + body.length, { ...header, kind, ...changes });
  return Buffer.from(buffer.subarray(0, wireHeaderBytes + body.length));
}

function hello(digest: number): Buffer {
  const buffer = Buffer.alloc(1024);
  const bytes = writeHello(buffer, { digest, name: 'host2', bootId: 'boot2', incarnation: '1' });
  return Buffer.from(buffer.subarray(wireHeaderBytes, bytes));
}

describe('the header', () => {
  const sound = () => sealed(WireKind.messages, encoded([message(1, [1, 2], 2)]));
  const inbox = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(multicastBytesMax - bytes.length)]);
  const verdict = (bytes: Buffer, length = bytes.length) => openMulticast(inbox(bytes), length, emptyHeader());

  it('comes back as it went', () => {
    const got = emptyHeader();
    expect(openMulticast(inbox(sound()), sound().length, got)).toBe('sound');
    expect(got).toEqual({ ...header, kind: WireKind.messages, version: wireVersion });
  });

  it('names another version, whatever else is in the multicast', () => {
    const other = sound();
    other.writeUInt16LE(wireVersion + 1, 4);
    const got = emptyHeader();
    expect(openMulticast(inbox(other), 100_000, got)).toBe('version');
    expect(got.version).toBe(wireVersion + 1);
  });

  it('a change of any byte is noticed', () => {
    const bytes = sound();
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 0x10;
      expect(verdict(changed)).toBe(at < 4 ? 'foreign' : at < 6 ? 'version' : 'damaged');
    }
  });

  it('so is a wrong length, and what is no number', () => {
    const bytes = sound();
    expect(verdict(Buffer.alloc(0), 0)).toBe('foreign');
    expect(verdict(bytes.subarray(0, 7), 7)).toBe('foreign');
    for (const length of [8, wireHeaderBytes - 1, bytes.length - 1, bytes.length + 1, 100_000, 2 ** 32]) {
      expect(verdict(bytes, length)).toBe('damaged');
    }
    for (const seq of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60]) {
      expect(verdict(sealed(WireKind.messages, Buffer.alloc(0), { seq }))).toBe('damaged');
      if (seq !== 0) expect(verdict(sealed(WireKind.messages, Buffer.alloc(0), { position: seq }))).toBe('damaged');
    }
  });

  it('a hello that is too short, too long or empty is none', () => {
    const bytes = Buffer.concat([Buffer.alloc(wireHeaderBytes), hello(5)]);
    expect(readHello(bytes, bytes.length)).toEqual({ digest: 5, name: 'host2', bootId: 'boot2', incarnation: '1' });
    for (let length = 0; length < bytes.length; length++) expect(readHello(bytes, length)).toBeNull();
    expect(readHello(Buffer.concat([bytes, Buffer.alloc(1)]), bytes.length + 1)).toBeNull();
  });
});

/** A member on node 1 that has taken the process 22 of node 2 into its view. */
class Receiver {
  readonly witness = new Witness();
  readonly problems: string[] = [];
  readonly session: GroupSession;
  readonly #sent: Buffer[] = [];
  #seq = 1;

  constructor() {
    const port = {
      send: (bytes: Buffer, count: number) => {
        this.#sent.push(Buffer.from(bytes.subarray(0, count)));
        return CpgSent.sent;
      },
    };
    const reports = { problem: (_event: string, text: string) => this.problems.push(text) };
    const self = { node: 1, name: 'host1', bootId: 'boot1', incarnation: '1' };
    this.session = new GroupSession(self, this.witness, port, reports);
    this.session.connected({ node: 1, pid: 11, session: 5 });
    const both = [
      { node: 1, pid: 11, reason: 1 },
      { node: 2, pid: 22, reason: 1 },
    ];
    this.session.configuration({ members: both, left: [], joined: both });
    this.session.flush();
    for (const bytes of this.#sent.splice(0)) this.hear(bytes, 1, 11);
    this.hear(sealed(WireKind.hello, hello(groupDigest(both))));
  }

  get nodes(): number[] | undefined {
    return this.witness.views.at(-1)?.members.map(({ node }: GroupView['members'][number]) => node);
  }

  hear(bytes: Buffer, node = 2, pid = 22, length = bytes.length): string {
    return this.session.multicast(
      node,
      pid,
      Buffer.concat([bytes, Buffer.alloc(multicastBytesMax)]).subarray(0, multicastBytesMax),
      length,
    );
  }

  /** The next multicast of node 2. */
  say(kind: WireKind, body: Buffer, changes: Partial<typeof header> = {}): string {
    this.#seq += 1;
    return this.hear(sealed(kind, body, { seq: this.#seq, ...changes }));
  }

  part(total: number, offset: number, bytes: Buffer): string {
    const buffer = Buffer.alloc(wireHeaderBytes + 8);
    writePartHeader(buffer, total, offset);
    return this.say(WireKind.part, Buffer.concat([buffer.subarray(wireHeaderBytes), bytes]));
  }
}

describe('what a member makes of what comes', () => {
  it('hears a sound member', () => {
    const receiver = new Receiver();
    expect(receiver.nodes).toEqual([1, 2]);
    expect(receiver.say(WireKind.messages, encoded([message(4, [1], 2)]))).toBe('');
    expect(receiver.witness.messages.map(({ seq, node }) => [seq, node])).toEqual([[4, 2]]);
  });

  it.each<[string, (receiver: Receiver) => string, RegExp]>([
    ['an unknown message', (r) => r.say(WireKind.messages, Buffer.from([99, 0])), /unknown type 99/],
    ['an unknown kind', (r) => r.say(77 as WireKind, Buffer.alloc(4)), /kind 77/],
    ['an introduction of nonsense', (r) => r.say(WireKind.hello, Buffer.from([1, 2, 3])), /introduction/],
    ['an empty part', (r) => r.part(100, 0, Buffer.alloc(0)), /empty part/],
    ['a part of a message of 2^31 bytes', (r) => r.part(2 ** 31, 0, Buffer.alloc(10)), /2147483648 bytes/],
    ['a part beyond its end', (r) => r.part(5, 0, Buffer.alloc(10)), /do not fit/],
    [
      'a part with a hole before it',
      (r) => r.part(100, 0, Buffer.alloc(10)) + r.part(100, 20, Buffer.alloc(10)),
      /do not fit/,
    ],
    ['another total', (r) => r.part(100, 0, Buffer.alloc(10)) + r.part(90, 10, Buffer.alloc(10)), /do not fit/],
    ['parts of nonsense', (r) => r.part(10, 0, Buffer.alloc(10, 200)), /unknown type 200/],
    ['another version', (r) => r.hear(otherVersion), otherVersionSaid],
    ['another language', (r) => r.hear(Buffer.from('hello, is there anybody?')), /no language of ours/],
  ])('%s puts the sender out, by name and once', (_what, act, problem) => {
    const receiver = new Receiver();
    expect(act(receiver)).toBe('');
    expect(receiver.nodes).toEqual([1]);
    expect(receiver.problems).toHaveLength(1);
    expect(receiver.problems[0]).toMatch(/node 2, process 22, is refused/);
    expect(receiver.problems[0]).toMatch(problem);
    for (let i = 0; i < 5; i++) receiver.say(WireKind.messages, Buffer.from([99, 0]));
    expect(receiver.problems).toHaveLength(1);
    expect(receiver.witness.messages).toEqual([]);
  });

  it('a multicast that is missing, or damaged, of a member ends its own membership', () => {
    expect(new Receiver().say(WireKind.messages, Buffer.alloc(0), { seq: 3 })).toMatch(
      /multicast 2 of node 2 is missing/,
    );
    expect(new Receiver().say(WireKind.messages, Buffer.alloc(0), { session: 3 })).toMatch(/is missing/);
    const damaged = sealed(WireKind.messages, Buffer.alloc(9), { seq: 2 });
    damaged[damaged.length - 1] = 1;
    expect(new Receiver().hear(damaged)).toMatch(/came damaged/);
    expect(new Receiver().say(WireKind.messages, Buffer.alloc(9), { node: 3 })).toMatch(/came damaged/);
  });

  it('a process that is not in the view can say what it likes', () => {
    const receiver = new Receiver();
    for (const bytes of [
      Buffer.alloc(3),
      sealed(WireKind.messages, encoded([message(4, [1], 2)])),
      Buffer.alloc(9, 200),
    ]) {
      expect(receiver.hear(bytes, 9, 99)).toBe('');
      expect(receiver.hear(bytes, 2, 23)).toBe('');
    }
    expect(receiver.nodes).toEqual([1, 2]);
    expect(receiver.witness.messages).toEqual([]);
  });

  it('who has no view gets none beside somebody who speaks another language', () => {
    const witness = new Witness();
    const problems: string[] = [];
    const sent: Buffer[] = [];
    const send = (bytes: Buffer, count: number) => {
      sent.push(Buffer.from(bytes.subarray(0, count)));
      return CpgSent.sent;
    };
    const self = { node: 1, name: 'host1', bootId: 'boot1', incarnation: '1' };
    const session = new GroupSession(self, witness, { send }, { problem: (_event, text) => problems.push(text) });
    session.connected({ node: 1, pid: 11, session: 5 });
    const both = [
      { node: 1, pid: 11, reason: 1 },
      { node: 2, pid: 22, reason: 1 },
    ];
    session.configuration({ members: both, left: [], joined: both });
    session.flush();
    const inbox = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(multicastBytesMax)]);
    session.multicast(2, 22, inbox(otherVersion), 8);
    for (const bytes of sent.splice(0)) session.multicast(1, 11, inbox(bytes), bytes.length);
    expect(witness.views).toEqual([]);
    expect(problems.join()).toMatch(/node 2, process 22, is refused: it speaks wire version .*cannot enter the group/);
    expect(problems.join()).toMatch(otherVersionSaid);
    // It goes: the way is free.
    session.configuration({ members: both.slice(0, 1), left: [{ node: 2, pid: 22, reason: 2 }], joined: [] });
    session.flush();
    for (const bytes of sent.splice(0)) session.multicast(1, 11, inbox(bytes), bytes.length);
    expect(witness.views.map((view) => view.members.length)).toEqual([1]);
  });

  it('sound multicasts with changed bytes, checksum and all, do no harm: 20000 of them', () => {
    const prng = new Prng(77);
    const before = process.memoryUsage().arrayBuffers;
    let receiver = new Receiver();
    const outcomes = new Set<string>();
    for (let i = 0; i < 20_000; i++) {
      const list = Array.from({ length: 1 + prng.below(4) }, (_, k) =>
        message(k, [prng.below(1000), prng.below(9)], 2),
      );
      const body = prng.below(5) === 0 ? hello(prng.next()) : encoded(list);
      for (let k = prng.below(6); k > 0; k--) body[prng.below(body.length)] = prng.below(256);
      const kind = prng.below(8) === 0 ? prng.below(6) : WireKind.messages;
      const why = receiver.say(
        kind as WireKind,
        prng.below(9) === 0 ? body.subarray(0, prng.below(body.length)) : body,
      );
      outcomes.add(why.replaceAll(/\d+/g, 'N') || (receiver.nodes?.length === 2 ? 'heard' : 'put out'));
      if (why !== '' || receiver.nodes?.length !== 2) receiver = new Receiver();
    }
    expect(outcomes).toContain('heard');
    expect(outcomes).toContain('put out');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(512 * 1024 * 1024);
  });
});
