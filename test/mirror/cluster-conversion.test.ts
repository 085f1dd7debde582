/** A log that is put on another device, or has another table or size: what was known of it before may not be on the device. */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { StorePhase } from '../../ts/mirror/store-owner.js';
import { type Group, groupWith } from './cluster-host.js';
import { type Host, hostWithDisk, mirrorA, TestDisk } from './host.js';

const onLog = '512 clustered-disk /dev/log 8 nosync';
const onNew = '512 clustered-disk /dev/new 8 nosync';
const next = { ...mirrorA, luid: 0x2000 };

function deactivate(group: Group, node: number): void {
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR]) group.ask(node, type, mirrorA);
}

function newDevice(group: Group): TestDisk {
  const device = Object.assign(new TestDisk(1024 * 1024, '253:9'), { minor: 9 });
  group.disks.set('/dev/new', device);
  return device;
}

describe('a table with regions of another size: those of the device are elsewhere', () => {
  test('over the table before', () => {
    const { group } = groupWith(onLog, [1]);
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [10, 0]);
    group.host(1).construct(next, '512 clustered-disk /dev/log 16 nosync');
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) group.ask(1, type, mirrorA);
    expect(group.ask(1, DM_ULOG_RESUME, next)?.error).toBe(0);
    expect(group.host(1).state(next).map.isInSync(5)).toBe(false);
  });

  test('on another host', () => {
    const { group } = groupWith(onLog, [1], { nodes: [1, 2] });
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [10, 0]);
    deactivate(group, 1);
    group.host(2).construct(next, '512 clustered-disk /dev/log 16');
    expect(group.ask(2, DM_ULOG_RESUME, next)?.error).toBe(0);
    expect(group.host(2).state(next).map.isInSync(5)).toBe(false);
  });
});

describe('a load that believes nothing of the device and is given up when it has written the bits: what it found stands there still', () => {
  /** Begins to resume the log there, up to the end of its first write. */
  function beginLoad(host: Host, device: TestDisk, log: typeof mirrorA): void {
    host.send(DM_ULOG_RESUME, log);
    host.turn();
    for (const before = device.writes; device.writes === before; host.turn()) device.complete();
  }

  test('regions of another size, on one host', () => {
    const { host, disk } = hostWithDisk();
    host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [10, 0]);
    host.suspend(mirrorA);
    host.ask(DM_ULOG_DTR, mirrorA);
    host.construct(next, '512 clustered-disk /dev/log 16 nosync');
    beginLoad(host, disk, next);
    host.restart();
    host.settle();
    expect(host.ask(DM_ULOG_RESUME, next)?.error).toBe(0);
    expect(host.state(next).map.syncCount).toBe(0);
  });

  /** Region 40 of 8 sectors is out of sync; a load with regions of `sectors` fails after some writes, the last of them torn. */
  function failedLoad(sectors: number, writes: number, tornBytes: number): Host {
    const { host, disk } = hostWithDisk();
    host.ask(DM_ULOG_SET_REGION_SYNC, mirrorA, [40, 0]);
    host.suspend(mirrorA);
    host.ask(DM_ULOG_DTR, mirrorA);
    host.construct(next, `512 clustered-disk /dev/log ${sectors} nosync`);
    host.send(DM_ULOG_RESUME, next);
    host.turn();
    for (const until = disk.writes + writes; disk.writes < until && disk.waiting.length > 0; host.turn())
      disk.complete();
    Object.assign(disk, { writeErrno: Errno.EIO, tornBytes });
    host.settle();
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR]) host.ask(type, next);
    Object.assign(disk, { writeErrno: 0, tornBytes: 0 });
    return host;
  }

  const moments = [16, 4].flatMap((sectors) =>
    [0, 1, 2].flatMap((writes) => [0, 512, 1024].map((torn) => ({ sectors, writes, torn }))),
  );

  test.each(moments)(
    'regions of $sectors sectors, failed after $writes writes and $torn bytes',
    ({ sectors, writes, torn }) => {
      for (const back of [8, sectors]) {
        const host = failedLoad(sectors, writes, torn);
        const log = { ...mirrorA, luid: 0x3000 };
        host.construct(log, `512 clustered-disk /dev/log ${back} nosync`);
        expect(host.ask(DM_ULOG_RESUME, log)?.error).toBe(0);
        expect(host.state(log).map.isInSync((40 * 8) / back)).toBe(false);
      }
    },
  );

  test('by a host that was not the last; the last one loads then', () => {
    const { group, device } = groupWith(onLog, [1, 2], { nodes: [1, 2, 3] });
    group.part(3, 'process-down');
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
    for (const node of [1, 2]) group.ask(node, DM_ULOG_PRESUSPEND, mirrorA);
    // At once: neither is alone and closes the log.
    for (const node of [2, 1]) group.host(node).send(DM_ULOG_POSTSUSPEND, mirrorA);
    group.settle();
    const two = group.host(2);
    two.send(DM_ULOG_RESUME, mirrorA);
    group.talk();
    while (two.log(mirrorA).life.store?.writing !== true) {
      device.complete();
      group.talk();
    }
    const seq = group.host(1).send(DM_ULOG_RESUME, mirrorA);
    group.talk();
    group.join(3);
    group.settle();
    expect(group.host(1).answerTo(seq)?.error).toBe(0);
    expect(group.host(1).state(mirrorA).map.isInSync(5)).toBe(false);
  });
});

test('a load that believes the device and knows more is torn: no session stands before bits that are not its', () => {
  const { group, device } = groupWith(onLog, [1], { nodes: [1, 2] });
  newDevice(group);
  // The way of node 2 to the same device, which is whole.
  group.disks.set('/dev/log2', Object.assign(new TestDisk(1024 * 1024), { bytes: device.bytes }));
  const moveTo = (text: string, from: typeof mirrorA, to: typeof mirrorA) => {
    group.host(1).construct(to, text);
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) expect(group.ask(1, type, from)?.error).toBe(0);
    group.host(1).send(DM_ULOG_RESUME, to);
  };
  moveTo(onNew, mirrorA, next);
  group.settle();
  group.ask(1, DM_ULOG_DTR, mirrorA);
  expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, next, [5, 0])?.error).toBe(0);
  const third = { ...mirrorA, luid: 0x3000 };
  group.host(2).construct(third, '512 clustered-disk /dev/log2 8 nosync');
  Object.assign(device, { writeErrno: Errno.EIO, tornBytes: 1024 });
  moveTo(onLog, next, third);
  group.settle();
  const resumed = group.host(2).send(DM_ULOG_RESUME, third);
  group.wait(20_000);
  expect(group.host(2).answerTo(resumed)?.error).toBe(0);
  expect(group.host(2).state(third).map.isInSync(5)).toBe(false);
});

test.each([1, 2])(
  'a device of before all hosts were booted was not opened later, whatever its epoch: node %i',
  (node) => {
    const { group } = groupWith(onLog, [1], { nodes: [1, 2] });
    newDevice(group);
    for (let times = 0; times < 5; times++) {
      deactivate(group, 1);
      group.resume(mirrorA, onLog, [1]);
    }
    deactivate(group, 1);
    for (const each of [1, 2]) group.cutPower(each);
    for (const each of [1, 2]) group.join(each);
    group.settle();
    group.resume(mirrorA, onNew, [1]);
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
    deactivate(group, 1);
    group.resume(mirrorA, onLog, [node]);
    expect(group.host(node).state(mirrorA).map.isInSync(5)).toBe(false);
  },
);

/** A load writes the bits, and then the header that claims them. */
describe('who has only begun to load another device has not opened it later than the last who left', () => {
  /** Node 2 had the log elsewhere and left with region 5 out of sync; node 1 loads, up to this phase. */
  function groupThatLoads(phase: StorePhase): { group: Group; host: Host; device: TestDisk; resume: number } {
    const { group } = groupWith(onLog, [2], { nodes: [1, 2, 3] });
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0]);
    deactivate(group, 2);
    group.part(3, 'process-down');
    const device = newDevice(group);
    const host = group.host(1);
    host.construct(mirrorA, onNew);
    const resume = host.send(DM_ULOG_RESUME, mirrorA);
    group.talk();
    while (host.log(mirrorA).life.store?.phase !== phase && device.complete()) group.talk();
    expect(host.log(mirrorA).life.store?.phase).toBe(phase);
    return { group, host, device, resume };
  }

  test.each([StorePhase.settling, StorePhase.writing])('given up while %s, for daemons meet', (phase) => {
    const { group, host, resume } = groupThatLoads(phase);
    group.join(3);
    group.settle();
    expect(host.answerTo(resume)?.error).toBe(0);
    expect(host.state(mirrorA).map.isInSync(5)).toBe(false);
  });

  test.each(['dies', 'withdraws'])('it %s', (how) => {
    const { group, host, device } = groupThatLoads(StorePhase.settling);
    group.join(3);
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR]) host.send(type, mirrorA);
    device.complete();
    if (how === 'dies') {
      group.cutPower(1);
      group.join(1);
    }
    group.settle();
    expect(device.writes).toBe(1);
    group.resume(mirrorA, onNew, [3]);
    expect(group.host(3).state(mirrorA).map.isInSync(5)).toBe(false);
  });
});

test('a core log is loaded anew without quorum: what it held when its FLUSH failed is resynced all the same', () => {
  const core = '512 clustered-core 8 nosync';
  const { group } = groupWith(core, [1], { nodes: [1, 2], settings: { onQuorumLoss: 'fail' } });
  group.ask(1, DM_ULOG_FLUSH, mirrorA, [5]);
  group.quorum(false);
  group.settle();
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [6])?.error).toBe(-5);
  group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [5, 6]);
  group.host(1).construct(next, core);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) group.ask(1, type, mirrorA);
  group.host(1).send(DM_ULOG_RESUME, next);
  group.settle();
  group.quorum(true);
  group.settle();
  expect(group.host(1).state(next).map.isInSync(5)).toBe(false);
});
