/** R9: a log device of before is not believed where the log was used without it since, and something was out of sync or is in doubt. */
import { expect, test } from 'vitest';
import {
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { Group, groupWith } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';

const on = (device: string) => `512 clustered-disk ${device} 8 nosync`;

test.each([
  ['anew', 0],
  ['as they were in another boot', 0],
  ['another one', 1],
])(
  'what was out of sync when the log was closed on another device is not in sync on one of before: epochs %s',
  (what, more) => {
    const group = new Group([1, 2], { stickyMax: 0 });
    for (const name of ['/dev/one', '/dev/two']) group.disks.set(name, new TestDisk(1024 * 1024, name));
    let luid = 0x1000;
    const begin = (device: string) => {
      luid += 0x1000;
      const log = { ...mirrorA, luid };
      group.resume(log, on(device), [1]);
      return log;
    };
    const leave = (log: typeof mirrorA) => {
      for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
        expect(group.ask(1, type, log)?.error).toBe(0);
    };
    leave(begin('/dev/one'));
    // All hosts are booted.
    if (what !== 'anew') {
      for (const node of [1, 2]) group.cutPower(node);
      for (const node of [1, 2]) group.join(node);
      group.settle();
    }
    for (let i = 0; i < more; i++) leave(begin('/dev/two'));
    const log = begin('/dev/two');
    expect(group.ask(1, DM_ULOG_FLUSH, log, [5])?.error).toBe(0);
    expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, log, [5, 0])?.error).toBe(0);
    leave(log);
    const next = begin('/dev/one');
    expect(group.ask(1, DM_ULOG_RESUME, next)?.error).toBe(0);
    expect(group.host(1).state(next).map.isInSync(5)).toBe(false);
  },
);

const disk = '512 clustered-disk /dev/log 8 nosync';
const core = '512 clustered-core 8 nosync';

test.each([false, true])(
  'what was lost with the state of a core log a device of before it does not know; killed in the load: %s',
  (killed) => {
    const group = new Group([1, 2], { stickyMax: 0 });
    const device = new TestDisk(1024 * 1024);
    group.disks.set('/dev/log', device);
    const leave = (luid: number) => {
      for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
        group.ask(1, type, { ...mirrorA, luid });
    };
    // With a device, closed in order, all clean.
    group.resume({ ...mirrorA, luid: 0x2000 }, disk, [1]);
    leave(0x2000);
    // The mirror is activated with its log in memory. Its state is lost under its kernel.
    const before = { ...mirrorA, luid: 0x3000 };
    group.resume(before, core, [1]);
    expect(group.ask(1, DM_ULOG_FLUSH, before, [9])?.error).toBe(0);
    group.part(1, 'process-down');
    group.host(1).powerCut(false);
    group.join(1);
    group.settle();
    expect(group.host(1).construct(before, core, { nul: true })?.error).toBe(0);
    expect(group.ask(1, DM_ULOG_RESUME, before)?.error).toBe(0);
    expect(group.host(1).state(before).marksUnknown).toBe(true);
    leave(0x3000);
    // And with the device again.
    const next = { ...mirrorA, luid: 0x4000 };
    group.host(1).construct(next, disk);
    group.settle();
    group.host(1).send(DM_ULOG_RESUME, next);
    group.host(1).turn();
    while (group.step()) group.host(1).turn();
    expect(device.waiting.length).toBeGreaterThan(0);
    if (killed) {
      group.killDaemon(1);
      group.join(1);
    }
    group.settle();
    expect(group.ask(1, DM_ULOG_RESUME, next)?.error).toBe(0);
    // Nobody knows what was written meanwhile.
    expect(group.host(1).state(next).map.isInSync(9)).toBe(false);
    expect(group.host(1).state(next).map.syncCount).toBe(0);
  },
);

test.each([core, on('/dev/two')])(
  'nobody ever left the log in order, all who had it died, its table in between: %s',
  (between) => {
    const group = new Group([1, 2, 3], { stickyMax: 0 });
    for (const name of ['/dev/one', '/dev/two']) group.disks.set(name, new TestDisk(1024 * 1024, name));
    const die = (node: number) => {
      group.cutPower(node);
      group.join(node);
      group.settle();
    };
    // New, and all clean.
    group.resume({ ...mirrorA, luid: 0x2000 }, on('/dev/one'), [1]);
    die(1);
    // Moved; 2 writes, and dies.
    const log = { ...mirrorA, luid: 0x3000 };
    group.resume(log, between, [2]);
    expect(group.ask(2, DM_ULOG_FLUSH, log, [5])?.error).toBe(0);
    die(2);
    // Moved back: device one knows nothing of region 5.
    const next = { ...mirrorA, luid: 0x4000 };
    group.resume(next, on('/dev/one'), [3]);
    expect(group.host(3).state(next).map.isInSync(5)).toBe(false);
  },
);

test('a device of an epoch that the group has forgotten is not later than what was left last', () => {
  const group = new Group([1, 2], { stickyMax: 0 });
  for (const name of ['/dev/one', '/dev/two']) group.disks.set(name, new TestDisk(1024 * 1024, name));
  let luid = 0x1000;
  const begin = (node: number, what: string) => {
    luid += 0x1000;
    const log = { ...mirrorA, luid };
    group.resume(log, on(what), [node]);
    return log;
  };
  const leave = (node: number, log: typeof mirrorA) => {
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
      expect(group.ask(node, type, log)?.error).toBe(0);
  };
  // 1 has it three times, the last time on device one; 2 is away, and is booted.
  group.loseGroup(2);
  for (let i = 0; i < 3; i++) leave(1, begin(1, '/dev/one'));
  group.loseGroup(1);
  group.cutPower(2);
  group.join(2);
  group.settle();
  // It begins the log on device two without having heard of that, which is as it should be: nobody uses it.
  const log = begin(2, '/dev/two');
  group.join(1);
  group.settle();
  expect(group.ask(2, DM_ULOG_FLUSH, log, [5])?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_SET_REGION_SYNC, log, [5, 0])?.error).toBe(0);
  leave(2, log);
  const next = begin(1, '/dev/one');
  expect(group.host(1).state(next).map.isInSync(5)).toBe(false);
});

test.each([
  ['blank', (bytes: Buffer) => void bytes.fill(0)],
  ['no header', (bytes: Buffer) => void bytes.writeUInt32LE(0, 0)],
  ['of another version', (bytes: Buffer) => void bytes.writeUInt32LE(9, 4)],
  ['of fewer regions', (bytes: Buffer) => void bytes.writeBigUInt64LE(4n, 8)],
])('R8: an older copy takes a log device over that should know more and is %s: nothing is in sync', (_what, spoil) => {
  const { group, device } = groupWith(disk, [1, 2, 3]);
  group.loseGroup(3);
  group.settle();
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [7, 0]);
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
  for (const node of [1, 2]) group.cutPower(node);
  spoil(device.bytes);
  group.join(3);
  group.settle();
  for (const node of [1, 2]) group.host(3).service.confirmDead(node, null, group.host(3).nowMs);
  group.settle();
  group.wait(4000);
  expect(group.host(3).state(mirrorA).map.isInSync(7)).toBe(false);
  expect(group.host(3).reports.map(({ event }) => event)).toContain('take-over-blank');
});

test.each([false, true])(
  'and so it is of one that is not the device of the dead writer, used by the log before: %s',
  (used) => {
    const group = new Group([1, 2], { stickyMax: 0 });
    for (const name of ['/dev/one', '/dev/two']) group.disks.set(name, new TestDisk(1024 * 1024, name));
    const leave = (node: number, log: typeof mirrorA) => {
      for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
        expect(group.ask(node, type, log)?.error).toBe(0);
    };
    if (used) {
      const before = { ...mirrorA, luid: 0x9000 };
      group.resume(before, on('/dev/two'), [1]);
      leave(1, before);
    }
    group.resume(mirrorA, on('/dev/one'), [1, 2]);
    leave(2, mirrorA);
    const next = { ...mirrorA, luid: 0x2000 };
    group.resume(next, on('/dev/two'), [2]);
    // Both have quorum, and the writer is promised marks by itself.
    group.split([2]);
    group.settle();
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    group.cutPower(1);
    group.host(2).service.confirmDead(1, null, group.host(2).nowMs);
    group.settle();
    group.wait(4000);
    expect(group.host(2).state(next).map.isInSync(5)).toBe(false);
  },
);
