/** SET_REGION_SYNC(r, 0), sent again while the write that makes it durable is under way. */
import { expect, test } from 'vitest';
import { DM_ULOG_SET_REGION_SYNC } from '../../ts/base/ulog-frames.js';
import { hostWithDisk, mirrorA } from './host.js';

test('the second is answered no sooner than the first', () => {
  const { host, disk } = hostWithDisk();
  const first = host.send(DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
  host.turn();
  const again = host.send(DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
  host.turn();
  expect([host.answerTo(first), host.answerTo(again), disk.isCleanOnDisk(5)]).toEqual([undefined, undefined, true]);
  host.settle();
  expect([host.answerTo(first)?.error, host.answerTo(again)?.error, disk.isCleanOnDisk(5)]).toEqual([0, 0, false]);
});
