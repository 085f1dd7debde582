/**
 * Frames that are wrong, against a real daemon: what can be answered is answered with -EINVAL, what cannot is counted,
 * and the daemon lives. After every row a sound request must still be served.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_CTR,
  DM_ULOG_FLUSH,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_CLEAN,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_SET_REGION_SYNC,
  FrameOffset,
} from '../../ts/base/ulog-frames.js';
import { encodeValues, type FrameChange, KernelClient } from '../connector/kernel-client.js';
import { DaemonFolder, type DaemonProcess } from './daemon-process.js';

const EINVAL = -22;
const ESRCH = -3;
const log = { uuid: 'LVM-malformed', luid: 77 };
const unknown = { uuid: 'LVM-unknown', luid: 78 };

let folder: DaemonFolder;
let daemon: DaemonProcess;
let kernel: KernelClient;

beforeAll(async () => {
  folder = new DaemonFolder();
  daemon = folder.start();
  await daemon.ready();
  kernel = await KernelClient.connect(folder.socket);
  expect((await kernel.ctr(log, '4096 clustered-core 1024 nosync')).result).toBe(0);
  expect((await kernel.resume(log)).result).toBe(0);
});
afterAll(async () => {
  kernel.close();
  await folder.remove();
});

async function expectAlive(): Promise<void> {
  const answer = await kernel.inSync(log, 0);
  expect([answer.result, answer.value(0)]).toEqual([0, 1]);
  expect(daemon.child.exitCode).toBeNull();
}

describe('a frame whose header can be read', () => {
  const writes =
    (at: number, value: number): FrameChange =>
    (frame) => {
      frame.writeUInt32LE(value, at);
      return undefined;
    };
  const rows: [string, FrameChange][] = [
    ['data size beyond the message', writes(FrameOffset.dataSize, 1_000_000)],
    ['data size of 2^32 - 1', writes(FrameOffset.dataSize, 0xffff_ffff)],
    ['version 0', writes(FrameOffset.version, 0)],
    ['a version from the future', writes(FrameOffset.version, 99)],
    [
      'a uuid without end',
      (frame) => {
        frame.fill(0x41, FrameOffset.uuid, FrameOffset.uuid + 129);
        return undefined;
      },
    ],
  ];
  it.each(rows)('%s: -EINVAL', async (_name, change) => {
    for (const type of [DM_ULOG_IN_SYNC, DM_ULOG_CTR, DM_ULOG_CLEAR_REGION]) {
      expect((await kernel.request(log, type, encodeValues([0]), change)).result).toBe(EINVAL);
    }
    await expectAlive();
  });
});

describe('a frame that nobody can be answered for', () => {
  it.each([
    ['empty but for a byte', Buffer.alloc(1)],
    ['a netlink header alone', Buffer.alloc(16)],
    ['195 bytes of zero', Buffer.alloc(195)],
    ['196 bytes of zero', Buffer.alloc(196)],
    ['196 bytes of ones', Buffer.alloc(196, 0xff)],
    ['a whole slot of ones', Buffer.alloc(2048, 0xff)],
  ])('%s: dropped', async (_name, bytes) => {
    kernel.sendBytes(bytes);
    await expectAlive();
    expect(kernel.unexpected).toEqual([]);
  });

  it('is counted', async () => {
    const { foreign, truncated, unanswerable } = (await daemon.status()).counters.frames;
    expect(foreign + truncated + unanswerable).toBeGreaterThanOrEqual(6);
  });
});

describe('a request that cannot be right', () => {
  it.each([0, 18, 99, 255])('type %d: -EINVAL', async (type) => {
    expect((await kernel.request(log, type)).result).toBe(EINVAL);
    await expectAlive();
  });

  it.each([
    ['no payload', new Uint8Array(0)],
    ['a ragged payload', new Uint8Array(7)],
    ['a region at the end', encodeValues([4])],
    ['region 2^40', encodeValues([2 ** 40])],
    ['region 2^64 - 1', new Uint8Array(8).fill(0xff)],
  ])('a question with %s: -EINVAL', async (_name, payload) => {
    for (const type of [DM_ULOG_IS_CLEAN, DM_ULOG_IN_SYNC, DM_ULOG_IS_REMOTE_RECOVERING, DM_ULOG_SET_REGION_SYNC]) {
      expect((await kernel.request(log, type, payload)).result).toBe(EINVAL);
    }
    await expectAlive();
  });

  it.each([
    ['a ragged payload', new Uint8Array(12)],
    ['a region at the end', encodeValues([1, 4])],
    ['region 2^64 - 1', new Uint8Array(16).fill(0xff)],
  ])('regions with %s: -EINVAL, and none of them is marked', async (_name, payload) => {
    for (const type of [DM_ULOG_MARK_REGION, DM_ULOG_CLEAR_REGION, DM_ULOG_FLUSH]) {
      expect((await kernel.request(log, type, payload)).result).toBe(EINVAL);
    }
    expect((await kernel.isClean(log, 1)).value(0)).toBe(1);
    await expectAlive();
  });

  it.each([
    '',
    'clustered-core',
    '4096',
    '4096 clustered-core',
    '4096 clustered-disk',
    '4096 clustered-disk /dev/null',
    '4096 clustered_core 1024',
    '4096 clustered-core 0',
    '0 clustered-core 1024',
    '-1 clustered-core 1024',
    '99999999999999999999999 clustered-core 1024',
    '4096 clustered-core 1024 sync sync sync sync sync',
    `4096 clustered-core ${'9'.repeat(700)}`,
    '\0\0\0\0',
    '4096 clustered-disk /nonexistent/device 1024',
  ])('fault 16: a constructor with missing arguments ends the daemon -> %j is refused', async (text) => {
    const answer = await kernel.ctr({ uuid: 'LVM-bad-constructor', luid: 5 }, text);
    expect(answer.result).toBeLessThan(0);
    await expectAlive();
  });

  it('a constructor that is not text is refused', async () => {
    expect((await kernel.request(unknown, DM_ULOG_CTR, Buffer.from([0x34, 0x20, 0xff, 0xfe]))).result).toBe(EINVAL);
    await expectAlive();
  });

  it('a request for a log that does not exist: -EINVAL, or -ESRCH where that makes the kernel construct it again', async () => {
    // RESUME is left out: within a reconnect an error to it would fail the request for which the kernel reconnects.
    for (const type of [2, 3, 4, 6, 16]) {
      expect([type, (await kernel.request(unknown, type)).result]).toEqual([type, EINVAL]);
    }
    for (const type of [7, 8, 9, 10, 11, 12, 13, 14, 15, 17]) {
      expect([type, (await kernel.request(unknown, type, encodeValues([0, 0]))).result]).toEqual([type, ESRCH]);
    }
    await expectAlive();
  });
});

it('random bytes behind a sound header never end the daemon', async () => {
  let random = 12345;
  const next = () => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    return random >>> 8;
  };
  for (let round = 0; round < 300; round++) {
    const payload = Uint8Array.from({ length: next() % 400 }, () => next() & 0xff);
    await kernel.request(next() % 4 === 0 ? unknown : log, next() % 20, payload);
  }
  // A random RESUME, suspend or DTR may well have been sound: what must hold is that the daemon answers.
  expect((await kernel.ctr({ uuid: 'LVM-after', luid: 6 }, '4096 clustered-core 1024')).result).toBe(0);
});
