/** A new writer reads the log device in several parts (R8). */

import { expect, test } from 'vitest';
import { DM_ULOG_FLUSH } from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { StorePhase } from '../../ts/mirror/store-owner.js';
import { Group } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';

/** Three reads of a mebibyte. */
const regions = 2 ** 24;
const disk = `${8 * regions} clustered-disk /dev/log 8 nosync`;

/** Node 1, which wrote the device, is known dead, and left dirty there what nobody else knows. */
function takenOver(dirty: readonly number[]): { group: Group; device: TestDisk } {
  const group = new Group([1, 2], { stickyMax: 0 });
  const device = new TestDisk(4 * 1024 * 1024);
  group.disks.set('/dev/log', device);
  group.resume(mirrorA, disk, [1, 2]);
  for (const region of dirty) {
    const at = 1024 + (region >> 3);
    device.bytes[at] = (device.bytes[at] as number) & ~(1 << (region & 7));
  }
  group.cutPower(1);
  group.host(2).service.confirmDead(1, null, group.host(2).nowMs);
  return { group, device };
}

test('a take-over of a device that is read in several parts comes to its end, however fast the stream is', () => {
  const { group, device } = takenOver([5]);
  group.talk();
  while (device.waiting.length > 0) {
    device.complete();
    group.talk();
  }
  group.settle();
  expect(group.host(2).state(mirrorA).map.isInSync(5)).toBe(false);
  expect(group.host(2).log(mirrorA).life.store?.phase).toBe(StorePhase.ready);
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
});

test('a take-over that failed midway and was begun again waits for all that it has found', () => {
  const last = regions - 1;
  const { group, device } = takenOver([5, last]);
  group.talk();
  const store = group.host(2).log(mirrorA).life.store;
  const host = group.host(2);
  // Open, head, first part; the stream stands still from here on.
  while (!group.awaits(MessageType.unknownDirty)) {
    if (!device.complete()) throw new Error('the take-over has stopped');
    host.turn();
  }
  device.readErrno = 5;
  device.complete();
  host.turn();
  expect(store?.phase).toBe(StorePhase.failed);
  device.readErrno = 0;
  host.nowMs += 3000;
  host.service.tick(host.nowMs);
  host.turn();
  while (store?.phase !== StorePhase.merging) {
    if (!device.complete()) throw new Error('the take-over has stopped');
    host.turn();
  }
  while (store?.phase === StorePhase.merging) {
    if (!group.step()) throw new Error('the take-over waits for nothing');
    host.turn();
  }
  // What is about to be written is everything that the device alone knew.
  expect(host.state(mirrorA).map.isClean(last)).toBe(false);
});

test('more that only the device knows than is named one by one: all is resynced', () => {
  const { group, device } = takenOver([]);
  device.bytes.fill(0, 1024, 1024 + regions / 16);
  group.settle();
  expect(group.host(2).state(mirrorA).map.syncCount).toBe(0);
  expect(group.host(2).log(mirrorA).life.store?.phase).toBe(StorePhase.ready);
});
