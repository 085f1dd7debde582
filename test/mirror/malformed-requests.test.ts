/** Requests that cannot be served: the errno of each, and that nothing comes of them. */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_CTR,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_REGION_SIZE,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_CLEAN,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_STATUS_INFO,
  DM_ULOG_STATUS_TABLE,
  requestNames,
} from '../../ts/base/ulog-frames.js';
import { Host, hostWithCore, mirrorA } from './host.js';

const everyType = requestNames.map((_name, type) => type).slice(1);

/** Requests after which a kernel that hears -ESRCH constructs and resumes the log again. */
const reconnecting = [
  DM_ULOG_IS_CLEAN,
  DM_ULOG_IN_SYNC,
  DM_ULOG_FLUSH,
  DM_ULOG_MARK_REGION,
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_STATUS_INFO,
  DM_ULOG_IS_REMOTE_RECOVERING,
];

describe('unknown log: ESRCH where the kernel reconnects on it (R3), otherwise EINVAL', () => {
  test.each(everyType.filter((type) => type !== DM_ULOG_CTR && type !== DM_ULOG_RESUME))('type %d', (type) => {
    const host = hostWithCore();
    for (const log of [
      { uuid: 'other', luid: mirrorA.luid },
      { uuid: mirrorA.uuid, luid: mirrorA.luid + 8 },
      { uuid: mirrorA.uuid, luid: 0 },
      { uuid: `${mirrorA.uuid}x`, luid: mirrorA.luid },
    ]) {
      const errno = reconnecting.includes(type) ? Errno.ESRCH : Errno.EINVAL;
      expect(host.ask(type, log, [1, 1])?.error).toBe(-errno);
    }
    expect(host.state(mirrorA).map.cleanCount).toBe(64);
  });
});

test('RESUME of an unknown log: 0, so that the kernel asks again what it wanted and is told to reconnect', () => {
  expect(hostWithCore().ask(DM_ULOG_RESUME, { uuid: 'other', luid: 8 })?.error).toBe(0);
});

describe('unknown type', () => {
  test.each([0, 18, 100, 255])('%d: EINVAL', (type) => {
    expect(hostWithCore().ask(type, mirrorA)?.error).toBe(-Errno.EINVAL);
  });
});

describe('payloads', () => {
  const { EINVAL } = Errno;
  test.each([
    ['IS_CLEAN', DM_ULOG_IS_CLEAN, 8],
    ['IN_SYNC', DM_ULOG_IN_SYNC, 8],
    ['SET_REGION_SYNC', DM_ULOG_SET_REGION_SYNC, 16],
    ['IS_REMOTE_RECOVERING', DM_ULOG_IS_REMOTE_RECOVERING, 8],
    ['MARK_REGION', DM_ULOG_MARK_REGION, 8],
    ['CLEAR_REGION', DM_ULOG_CLEAR_REGION, 8],
    ['FLUSH', DM_ULOG_FLUSH, 8],
  ])('%s: short, ragged, empty', (name, type, bytes) => {
    const host = hostWithCore();
    for (const size of [1, bytes - 1, bytes + 1]) {
      expect(host.ask(type, mirrorA, Buffer.alloc(size))?.error).toBe(-EINVAL);
    }
    expect(host.ask(type, mirrorA, [])?.error).toBe(name === 'FLUSH' ? 0 : -EINVAL);
    expect(host.state(mirrorA).map.heldCount).toBe(0);
  });

  test.each([DM_ULOG_IS_CLEAN, DM_ULOG_IN_SYNC, DM_ULOG_IS_REMOTE_RECOVERING])('two regions for type %d', (type) => {
    expect(hostWithCore().ask(type, mirrorA, [1, 2])?.error).toBe(-EINVAL);
  });

  test.each([
    ['the region count', [64]],
    ['above it', [65]],
    ['2^32', [2 ** 32]],
    ['2^53 - 1', [2 ** 53 - 1]],
    ['2^64 - 1', [-1]],
    ['one of several', [1, 2, 64]],
  ])('fault 28: regions outside are accepted -> none is by any request: %s', (_name, list) => {
    const host = hostWithCore();
    const single = [DM_ULOG_IS_CLEAN, DM_ULOG_IN_SYNC, DM_ULOG_IS_REMOTE_RECOVERING];
    for (const type of [DM_ULOG_MARK_REGION, DM_ULOG_CLEAR_REGION, DM_ULOG_FLUSH]) {
      expect(host.ask(type, mirrorA, list)?.error).toBe(-EINVAL);
    }
    for (const type of single) expect(host.ask(type, mirrorA, list.slice(-1))?.error).toBe(-EINVAL);
    expect(host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [list.at(-1) ?? 0, 1])?.error).toBe(-EINVAL);
    expect(host.state(mirrorA).map).toMatchObject({ heldCount: 0, cleanCount: 64, syncCount: 64 });
    expect(host.submitted).toBe(1);
  });

  test('SET_REGION_SYNC takes 0 and 1 only', () => {
    const host = hostWithCore();
    for (const flag of [2, -1, 2 ** 40]) {
      expect(host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [1, flag])?.error).toBe(-EINVAL);
    }
  });

  test('the kernel sends nothing with the others, and what comes with them is ignored', () => {
    const host = hostWithCore();
    for (const type of [
      DM_ULOG_GET_REGION_SIZE,
      DM_ULOG_GET_SYNC_COUNT,
      DM_ULOG_GET_RESYNC_WORK,
      DM_ULOG_STATUS_INFO,
    ]) {
      expect(host.ask(type, mirrorA, [9999])?.error).toBe(0);
    }
  });
});

describe('constructors', () => {
  test.each([
    '',
    'x',
    '512',
    '512 clustered-core',
    '512 clustered_core 8',
    '0 clustered-core 8',
    '512 clustered-core 8 a b c',
  ])('"%s": EINVAL, and no log', (text) => {
    const host = new Host();
    expect(host.construct(mirrorA, text)?.error).toBe(-Errno.EINVAL);
    expect([...host.service.logs()]).toEqual([]);
    expect(host.service.shutdown()).toBe(true);
  });

  test('an empty uuid, text that is not UTF-8, a NUL in the middle', () => {
    const host = new Host();
    expect(host.construct({ uuid: '', luid: 8 }, '512 clustered-core 8')?.error).toBe(-Errno.EINVAL);
    expect(host.ask(DM_ULOG_CTR, mirrorA, Buffer.from([0x31, 0xff, 0xfe]))?.error).toBe(-Errno.EINVAL);
    expect(host.ask(DM_ULOG_CTR, mirrorA, Buffer.from('512 clustered-core\0 8'))?.error).toBe(-Errno.EINVAL);
  });

  test('a device that does not exist: ENOENT; one that is no block device: EINVAL', () => {
    const host = new Host();
    expect(host.construct(mirrorA, '512 clustered-disk /dev/none 8')?.error).toBe(-Errno.ENOENT);
    expect([...host.service.logs()]).toEqual([]);
  });
});

describe('pending', () => {
  test('what a log that was never resumed answers', () => {
    const host = new Host();
    host.construct(mirrorA, '512 clustered-core 8');
    expect(host.ask(DM_ULOG_GET_REGION_SIZE, mirrorA)?.values).toEqual([8]);
    expect(host.ask(DM_ULOG_GET_SYNC_COUNT, mirrorA)?.values).toEqual([0]);
    expect(host.ask(DM_ULOG_STATUS_TABLE, mirrorA)?.text).toBe('clustered-core 8  ');
    expect(host.ask(DM_ULOG_STATUS_INFO, mirrorA)?.error).toBe(-Errno.ENOENT);
    for (const type of [DM_ULOG_IN_SYNC, DM_ULOG_MARK_REGION, DM_ULOG_IS_REMOTE_RECOVERING, DM_ULOG_GET_RESYNC_WORK]) {
      expect(host.ask(type, mirrorA, [1])?.error).toBe(-Errno.ESRCH);
    }
    for (const type of [DM_ULOG_IS_CLEAN, DM_ULOG_CLEAR_REGION, DM_ULOG_FLUSH, DM_ULOG_POSTSUSPEND]) {
      expect(host.ask(type, mirrorA, [1])?.error).toBe(-Errno.ENOENT);
    }
    expect(host.ask(DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(-Errno.EINVAL);
    expect(host.ask(DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_DTR, mirrorA)?.error).toBe(0);
    expect(host.ask(DM_ULOG_DTR, mirrorA)?.error).toBe(-Errno.EINVAL);
  });
});
