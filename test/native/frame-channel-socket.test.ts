/** Frames over a local socket: pairs, batches, malformed frames, slots that run over, peers that go and come. */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DM_ULOG_IN_SYNC, encodeReply } from '../../ts/base/ulog-frames.js';
import { encodeRequest, encodeValues } from '../../ts/base/ulog-kernel-frames.js';
import { FrameChannel, slotCount, slotFrameBytesMax, slotOffset, slotStride } from '../../ts/native/frame-channel.js';
import { TestFolder } from './child-script.js';

let folder: TestFolder;
let path: string;
const open: FrameChannel[] = [];
beforeEach(() => {
  folder = new TestFolder();
  path = folder.file('kernel');
});
afterEach(() => {
  for (const channel of open.splice(0)) channel.close();
  folder.remove();
});

function keep(channel: FrameChannel): FrameChannel {
  open.push(channel);
  return channel;
}

function pair(): [FrameChannel, FrameChannel] {
  const server = keep(FrameChannel.listen(path));
  return [server, keep(FrameChannel.connect(path))];
}

/** A sound request frame in out slot `slot`. */
function putRequest(channel: FrameChannel, slot: number, seq: number): void {
  channel.outLengths[slot] = encodeRequest(channel.outSlots, slotOffset(slot), {
    seq,
    type: DM_ULOG_IN_SYNC,
    uuid: Buffer.from('LVM-x'),
    luidHigh: 1,
    luidLow: 2,
    payload: encodeValues([seq]),
  });
}

function putBytes(channel: FrameChannel, slot: number, bytes: Uint8Array): void {
  channel.outSlots.set(bytes, slotOffset(slot));
  channel.outLengths[slot] = bytes.length;
}

/** The request's header sequence number in an in slot. */
function seqIn(channel: FrameChannel, slot: number): number {
  return channel.slots.readUInt32LE(slotOffset(slot) + 36 + 148);
}

async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; !condition(); round++) {
    if (round > 5000) throw new Error('it does not come true');
    await sleep(2);
  }
}

describe('a pair of channels', () => {
  it('moves frames both ways, with payloads at multiples of 8', () => {
    const [server, client] = pair();
    expect(server.slots.byteOffset % 8).toBe(0);
    expect((slotOffset(0) + 196) % 8).toBe(0);
    expect(slotOffset(1) - slotOffset(0)).toBe(slotStride);
    putRequest(client, 0, 5);
    expect(client.send(1)).toBe(0);
    expect(server.drain()).toBe(1);
    expect([server.lengths[0], seqIn(server, 0)]).toEqual([204, 5]);
    server.outLengths[0] = encodeReply(server.outSlots, slotOffset(0), 5, DM_ULOG_IN_SYNC, 0);
    expect(server.send(1)).toBe(0);
    expect(client.drain()).toBe(1);
    expect(client.lengths[0]).toBe(196);
    expect(server.drain()).toBe(0);
  });

  it('wakes the loop for what waits, and moves a batch of all slots in order', async () => {
    const [server, client] = pair();
    const seen: number[] = [];
    server.onReadable(() => {
      for (let count = server.drain(); count > 0; count = server.drain()) {
        for (let slot = 0; slot < count; slot++) seen.push(seqIn(server, slot));
      }
    });
    for (let slot = 0; slot < slotCount; slot++) putRequest(client, slot, slot);
    client.onReadable(() => client.drain());
    expect(client.send(slotCount)).toBe(0);
    await until(() => seen.length === slotCount);
    expect(seen).toEqual([...seen.keys()]);
    expect(server.counters()).toMatchObject({ received: slotCount, accepted: 1 });
    await until(() => client.counters().sent === slotCount);
  });

  it('keeps what does not fit into the socket and sends it later, in order, up to its bound', async () => {
    const [server, client] = pair();
    client.onReadable(() => client.drain());
    let sent = 0;
    let dropped = 0;
    while (dropped === 0 && sent < 40_000) {
      for (let slot = 0; slot < slotCount; slot++) putRequest(client, slot, sent + slot);
      dropped = client.send(slotCount);
      sent += slotCount;
    }
    expect(dropped).toBeGreaterThan(0);
    expect(client.counters().queued).toBe(1024);
    const arriving = sent - dropped;
    const seen: number[] = [];
    server.onReadable(() => {
      const count = server.drain();
      for (let slot = 0; slot < count; slot++) seen.push(seqIn(server, slot));
    });
    await until(() => seen.length === arriving);
    expect(seen).toEqual([...seen.keys()]);
    expect(client.counters()).toMatchObject({ queued: 0, dropped, sent: arriving });
    // The watcher rests again: an idle socket that is writable must not wake the loop for ever.
    const { cpu } = await idleCpu();
    expect(cpu).toBeLessThan(0.5);
  });
});

/** The share of a core that this process takes while it has nothing to do. */
async function idleCpu(): Promise<{ cpu: number }> {
  const before = process.cpuUsage();
  await sleep(200);
  const used = process.cpuUsage(before);
  return { cpu: (used.user + used.system) / 200_000 };
}

describe('malformed frames', () => {
  it('are dropped and counted, or handed out for an answer, and others are not harmed', () => {
    const [server, client] = pair();
    putRequest(client, 0, 1);
    const sound = Buffer.from(client.outSlots.subarray(slotOffset(0), slotOffset(0) + 204));
    const changed = (at: number, value: number, length = 204) => {
      const frame = Buffer.from(sound.subarray(0, length));
      frame.writeUInt32LE(value, at);
      return frame;
    };
    const frames = [
      sound,
      Buffer.from('x'),
      changed(0, 100),
      changed(16, 6),
      changed(20, 2),
      changed(36 + 156, 9),
      changed(36 + 140, 77),
      changed(32, 20),
      sound.subarray(0, 195),
      sound,
    ];
    frames.forEach((frame, slot) => {
      putBytes(client, slot, frame);
    });
    expect(client.send(frames.length)).toBe(0);
    expect(server.drain()).toBe(4);
    expect([...server.lengths.subarray(0, 4)]).toEqual([204, -204, -204, 204]);
    expect(server.counters()).toMatchObject({ received: 4, malformed: 2, foreign: 2, unanswerable: 4, truncated: 0 });
  });

  it('of any length are taken: none is read past its end', () => {
    const [server, client] = pair();
    for (let length = 1; length <= slotFrameBytesMax; length += 97) {
      putBytes(client, 0, new Uint8Array(length).fill(length % 256));
      client.send(1);
      server.drain();
    }
    expect(server.counters().received).toBe(0);
    expect(server.counters().unanswerable).toBe(Math.ceil(slotFrameBytesMax / 97));
  });

  it('that cannot be sent are faults of the program', () => {
    const [, client] = pair();
    client.outLengths[0] = 0;
    expect(() => client.send(1)).toThrow(RangeError);
    client.outLengths[0] = slotFrameBytesMax + 1;
    expect(() => client.send(1)).toThrow(RangeError);
    expect(() => client.send(slotCount + 1)).toThrow(RangeError);
    expect(client.send(0)).toBe(0);
  });

  it('from the daemon reach the kernel side as they are: it has checks of its own', () => {
    const [server, client] = pair();
    putRequest(client, 0, 1);
    client.send(1);
    server.drain();
    putBytes(server, 0, Buffer.from('no frame at all'));
    server.send(1);
    expect(client.drain()).toBe(1);
    expect(client.lengths[0]).toBe(15);
  });
});

describe('peers', () => {
  it('a new client replaces the old, which is told', async () => {
    const [server, first] = pair();
    let served = 0;
    let left = 0;
    let firstClosed = 0;
    server.onReadable(() => {
      served += server.drain();
    });
    server.onClosed(() => {
      left++;
    });
    first.onReadable(() => first.drain());
    first.onClosed(() => {
      firstClosed++;
    });
    putRequest(first, 0, 1);
    first.send(1);
    await until(() => served === 1);
    const second = keep(FrameChannel.connect(path));
    await until(() => firstClosed === 1);
    expect([left, first.connected]).toEqual([1, false]);
    putRequest(first, 0, 2);
    expect(first.send(1)).toBe(1);
    putRequest(second, 0, 3);
    second.send(1);
    await until(() => served === 2);
    expect(server.connected).toBe(true);
    expect(server.counters().accepted).toBe(2);
    second.close();
    await until(() => left === 2);
    expect(server.connected).toBe(false);
    server.outLengths[0] = 196;
    expect(server.send(1)).toBe(1);
  });

  it('frames that were sent before the end are handed out first', async () => {
    const [server, client] = pair();
    for (let slot = 0; slot < 10; slot++) putRequest(client, slot, slot);
    client.send(10);
    client.close();
    const events: string[] = [];
    server.onClosed(() => events.push('closed'));
    server.onReadable(() => events.push(`drained ${server.drain()}`));
    await until(() => events.includes('closed'));
    expect(events.filter((event) => event === 'drained 10')).toHaveLength(1);
    expect(events.at(-1)).toBe('closed');
  });

  it('that nobody drains do not spin the loop once they are gone', async () => {
    const [server, client] = pair();
    let closed = 0;
    server.onReadable(() => {});
    server.onClosed(() => {
      closed++;
    });
    client.close();
    await until(() => closed === 1);
    expect((await idleCpu()).cpu).toBeLessThan(0.5);
  });

  it('that leave frames unread reset the connection: the watcher goes on to the end', async () => {
    const [server, client] = pair();
    expect(server.drain()).toBe(0);
    let closed = 0;
    client.onReadable(() => client.drain());
    client.onClosed(() => {
      closed++;
    });
    for (let slot = 0; slot < 10; slot++) putRequest(client, slot, slot);
    client.send(10);
    server.close();
    await until(() => closed === 1);
    expect(client.counters().pollRestarts).toBe(1);
    expect(client.connected).toBe(false);
  });

  it('callbacks may close the channel', async () => {
    const [server, client] = pair();
    server.onReadable(() => server.close());
    putRequest(client, 0, 1);
    client.send(1);
    let closed = 0;
    client.onReadable(() => client.drain());
    client.onClosed(() => {
      closed++;
      client.close();
    });
    await until(() => closed === 1);
    expect([server.closed, client.closed]).toEqual([true, true]);
  });
});

describe('a listening channel', () => {
  it('wants a folder that is closed to others', () => {
    chmodSync(folder.path, 0o755);
    expect(() => FrameChannel.listen(path)).toThrow(expect.objectContaining({ code: 'EACCES' }));
    expect(() => FrameChannel.listen(folder.file('no/folder'))).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });

  it('takes over the socket of a dead one, never that of a living one or another file', () => {
    const first = keep(FrameChannel.listen(path));
    expect(() => FrameChannel.listen(path)).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
    expect(existsSync(path)).toBe(true);
    first.close();
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, 'mine');
    expect(() => FrameChannel.listen(path)).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
  });

  it('is not there: connecting says so', () => {
    expect(() => FrameChannel.connect(path)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    writeFileSync(path, '');
    expect(() => FrameChannel.connect(path)).toThrow(expect.objectContaining({ code: 'ECONNREFUSED' }));
  });

  it('can stand at a path longer than an address', () => {
    mkdirSync(folder.file('x'.repeat(150)), { mode: 0o700 });
    path = folder.file(`${'x'.repeat(150)}/kernel`);
    const [server, client] = pair();
    putRequest(client, 0, 1);
    client.send(1);
    expect(server.drain()).toBe(1);
    server.close();
    expect(existsSync(path)).toBe(false);
  });

  it('refuses a stream client', async () => {
    keep(FrameChannel.listen(path));
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => {
      connect(path).on('error', resolve);
    });
    expect(error.code).toBe('EPROTOTYPE');
  });
});

it('a closed channel throws; closing twice is fine', () => {
  const [server] = pair();
  server.close();
  server.close();
  for (const call of [
    () => server.drain(),
    () => server.send(0),
    () => server.counters(),
    () => server.onReadable(() => {}),
    () => server.onClosed(() => {}),
  ]) {
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }));
  }
  // The slots stay readable: somebody may still look at the last frame.
  expect(server.slots.length).toBeGreaterThan(0);
});
