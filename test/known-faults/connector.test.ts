/**
 * Faults of `cmirrord` in its use of the connector, on the kernel of this host: a program in Python speaks to the same
 * group, and the kernel's process events are switched on as any monitoring program does. No module for mirrors is
 * needed, so no request comes; what a flood does to a mirror is in the scenario `flood` of test/vm.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { FrameChannel } from '../../ts/native/frame-channel.js';
import { whyNoConnector } from '../daemon/cmirrord-process.js';

const open: FrameChannel[] = [];
afterEach(() => {
  for (const channel of open.splice(0)) channel.close();
});

function connector(receiveBufferBytes?: number): FrameChannel {
  const channel = FrameChannel.connector(receiveBufferBytes === undefined ? {} : { receiveBufferBytes });
  open.push(channel);
  return channel;
}

/** This process's connector socket as the kernel lists it: its groups as a bit mask, and how many datagrams it lost. */
function listed(): { readonly groups: string; readonly drops: number } {
  const inodes = new Set<string>();
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`)) ?? [];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // The descriptor of the folder itself is closed again.
    }
  }
  const lines = readFileSync('/proc/net/netlink', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const found = lines.filter((fields) => fields[1] === '11' && inodes.has(fields[9] ?? ''));
  expect(found).toHaveLength(1);
  return { groups: found[0]?.[3] ?? '', drops: Number(found[0]?.[8]) };
}

/**
 * `send N ID`: multicasts N frames with connector id ID:1 to group 7, as root may. `events`: switches process events on, sees
 * one of its own, and switches them off again. Each ends with a line of what was done.
 */
const otherProgram = `
import os, socket, struct, sys
s = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 11)
s.bind((0, 0))
def message(index, body, length):
    body = struct.pack('=IIIIHH', index, 1, 0, 0, length, 0) + body
    return struct.pack('=IHHII', 16 + len(body), 3, 0, 0, 0) + body
if sys.argv[1] == 'send':
    frame = message(int(sys.argv[3]), bytes(140) + struct.pack('=IiIII', 3, 0, 1, 8, 0), 160)
    for _ in range(int(sys.argv[2])): s.sendto(frame, (0, 1 << 6))
    print('sent', sys.argv[2])
else:
    s.setsockopt(270, 1, 1)
    s.settimeout(5)
    s.send(message(1, struct.pack('=I', 1), 4))
    try:
        child = os.fork()
        if child == 0: os._exit(0)
        os.waitpid(child, 0)
        while struct.unpack_from('=I', s.recv(4096), 36)[0] == 0: pass
        print('an event came')
    except socket.timeout:
        print('no event came')
    s.send(message(1, struct.pack('=I', 2), 4))
`;

function other(...argv: string[]): string {
  const ran = spawnSync('python3', ['-c', otherProgram, ...argv], { encoding: 'utf8', timeout: 60_000 });
  if (ran.status !== 0) throw new Error(`the other process ended with ${ran.status} ${ran.stderr}`);
  return ran.stdout.trim();
}

const missing = whyNoConnector() ?? (spawnSync('python3', ['-V']).error === undefined ? null : 'there is no python3');
const title = (text: string) => text + (missing === null ? '' : ` (skipped: ${missing})`);
const test = it.skipIf(missing !== null);

test(title('fault 14: joins the process events of the host -> group 7 and no other, and no event comes'), (context) => {
  const channel = connector();
  // Group 7 is bit 6. The original had 0x47 here.
  expect(listed().groups).toBe('00000040');
  if (other('events') !== 'an event came') context.skip('this kernel gives no process events here');
  expect([channel.drain(), channel.counters().foreign]).toEqual([0, 0]);
});

test(
  title('fault 14: message id and sender are not checked -> what is not the kernel is thrown away, and counted'),
  () => {
    const channel = connector();
    other('send', '3', '7');
    other('send', '2', '5');
    expect([channel.drain(), channel.counters().received, channel.counters().foreign]).toEqual([0, 0, 5]);
  },
);

test(title('fault 33: a receive buffer of default size -> room for thousands of requests'), () => {
  const channel = connector();
  other('send', '5000', '7');
  expect(listed().drops).toBe(0);
  while (channel.counters().foreign < 5000) {
    const before = channel.counters().foreign;
    channel.drain();
    expect(channel.counters().foreign).toBeGreaterThan(before);
  }
});

test(
  title('fault 33: an overrun makes the socket deaf until it is empty -> it takes on as soon as there is room'),
  () => {
    const channel = connector(1 << 21);
    other('send', '8000', '7');
    const lost = listed().drops;
    expect(lost).toBeGreaterThan(0);
    // One drain makes room and leaves most of the queue, which keeps a congested socket deaf.
    channel.drain();
    const left = 8000 - lost - channel.counters().foreign;
    expect(left).toBeGreaterThan(500);
    other('send', '100', '7');
    expect(listed().drops).toBe(lost);
    for (let before = -1; channel.counters().foreign > before; channel.drain()) before = channel.counters().foreign;
    expect([channel.counters().foreign, channel.counters().overruns]).toEqual([8100 - lost, 0]);
    expect(channel.connected).toBe(true);
  },
);
