/**
 * The kernel takes a GET_SYNC_COUNT of all regions for its hint, and asks nobody about its writes any more before its next resume (R12). Any
 * thread may ask, also of a log that is not in use: `dmsetup status`.
 */
import { expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_FLUSH,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
} from '../../ts/base/ulog-frames.js';
import { type Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const regions = 64;

/** Node 2 is suspended with everything in sync; then a region goes out of sync, of which it does not hear. */
function suspendedBeside(text: string): Group {
  const { group } = groupWith(text, [1, 2, 3]);
  expect(group.ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
  group.ask(3, DM_ULOG_FLUSH, mirrorA, [5]);
  group.cutPower(3);
  group.host(1).service.confirmDead(3, null, group.host(1).nowMs);
  group.settle();
  expect(group.host(1).state(mirrorA).map.isInSync(5)).toBe(false);
  return group;
}

const texts = ['512 clustered-core 8 nosync', '512 clustered-disk /dev/log 8 nosync'];

test.each(texts)('a suspended log does not say that all is in sync: its RESUME may have come unheard: %s', (text) => {
  const group = suspendedBeside(text);
  // RESUME finds no daemon: the kernel has set its hint to 0, and goes on.
  group.killDaemon(2);
  group.join(2);
  group.settle();
  expect(group.ask(2, DM_ULOG_GET_SYNC_COUNT, mirrorA)?.values).toEqual([regions - 1]);
  expect(group.ask(2, DM_ULOG_IN_SYNC, mirrorA, [7])?.error).toBe(-Errno.ESRCH);
});

test.each(texts)('nor when its RESUME is behind that question already: %s', (text) => {
  const group = suspendedBeside(text);
  const host = group.host(2);
  const count = host.send(DM_ULOG_GET_SYNC_COUNT, mirrorA);
  const resume = host.send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  expect(host.answerTo(resume)?.error).toBe(0);
  expect(host.answerTo(count)?.values).toEqual([regions - 1]);
  expect(group.ask(2, DM_ULOG_GET_SYNC_COUNT, mirrorA)?.values).toEqual([regions - 1]);
});

test.each(texts)('nor one that suspends; one in use does: %s', (text) => {
  const { group } = groupWith(text, [1, 2]);
  expect(group.ask(2, DM_ULOG_GET_SYNC_COUNT, mirrorA)?.values).toEqual([regions]);
  expect(group.ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_GET_SYNC_COUNT, mirrorA)?.values).toEqual([regions - 1]);
});
