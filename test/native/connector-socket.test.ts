/**
 * The kernel's connector socket. Without the module dm_log_userspace nobody sends requests, so what is tested is the
 * opening, foreign senders, and that an overrun neither stops the watcher nor the reading. Needs CAP_NET_ADMIN.
 */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { FrameChannel } from '../../ts/native/frame-channel.js';

function probe(): string {
  try {
    FrameChannel.connector().close();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

const reason = probe();
const title = (text: string) => text + (reason && ` (skipped: ${reason})`);

it.skipIf(reason !== '')(title('joins group 7 and no other'), () => {
  const before = groups();
  const channel = FrameChannel.connector();
  const added = groups().filter((mask) => !before.includes(mask));
  // The first 32 groups as a bit mask: group 7 is bit 6.
  if (added.length > 0) expect(added).toEqual(['00000040']);
  expect(channel.drain()).toBe(0);
  expect(channel.connected).toBe(true);
  channel.close();
});

/** Group masks of this host's connector sockets (protocol 11). */
function groups(): string[] {
  return readFileSync('/proc/net/netlink', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1] === '11')
    .map((fields) => `${fields[3]}`);
}

it.skipIf(reason !== '')(title('a reply that nobody waits for goes to the kernel and no further'), () => {
  const channel = FrameChannel.connector({ receiveBufferBytes: 1 << 16 });
  channel.outLengths[0] = 196;
  channel.outSlots.writeUInt32LE(196, 4);
  channel.send(1);
  expect(channel.drain()).toBe(0);
  channel.close();
});

it('a buffer size that cannot be is a fault of the program', () => {
  expect(() => FrameChannel.connector({ receiveBufferBytes: -1 })).toThrow(RangeError);
});
