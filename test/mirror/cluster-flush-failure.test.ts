/** What members make of a FLUSH that failed: what that kernel held is resynced, by whoever asks, once it can be said. */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_MARK_REGION,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { type Group, groupWith } from './cluster-host.js';
import { mirrorA, type TestDisk } from './host.js';

const disk = '512 clustered-disk /dev/log 8 nosync';
const core = '512 clustered-core 8 nosync';

const settings = { logRetryMs: 1000, onQuorumLoss: 'fail' } as const;

function inSync(group: Group, node: number, ...regions: number[]): boolean[] {
  return regions.map((region) => group.host(node).state(mirrorA).map.isInSync(region));
}

/** Node 2 holds 5 and 6, and its FLUSH has failed with the log device; 5 is cleared since. */
function groupInDoubt(): { group: Group; device: TestDisk } {
  const { group, device } = groupWith(disk, [1, 2], { settings });
  group.ask(2, DM_ULOG_FLUSH, mirrorA, [5]);
  device.writeErrno = Errno.EIO;
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [6])?.error).toBe(-Errno.EIO);
  group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [5]);
  return { group, device };
}

describe('the log device of another node fails', () => {
  test('what this kernel held goes out of sync on all, when the device is well again', () => {
    const { group, device } = groupInDoubt();
    expect(inSync(group, 1, 5, 6)).toEqual([true, true]);
    device.writeErrno = 0;
    group.wait(3000);
    for (const node of [1, 2]) {
      expect(inSync(group, node, 5, 6, 7)).toEqual([false, false, true]);
      expect(group.host(node).state(mirrorA).logFailed).toBe(false);
    }
  });

  test('what it has cleared meanwhile another node may recover; what it still holds nobody else', () => {
    const { group, device } = groupInDoubt();
    device.writeErrno = 0;
    group.wait(3000);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 5]);
    group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 1]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
    group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [6]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 6]);
  });

  test('what it has cleared and marked again it holds', () => {
    const { group, device } = groupInDoubt();
    group.ask(2, DM_ULOG_MARK_REGION, mirrorA, [5]);
    device.writeErrno = 0;
    group.wait(3000);
    expect(inSync(group, 1, 5)).toEqual([false]);
    expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  });
});

describe('the group fails', () => {
  test.each([core, disk])(
    'what was held then goes out of sync on all when it is back, although cleared: %s',
    (text) => {
      const { group } = groupWith(text, [1, 2], { settings });
      group.ask(1, DM_ULOG_FLUSH, mirrorA, [5]);
      group.quorum(false);
      group.settle();
      expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [6])?.error).toBe(-Errno.EIO);
      group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [5, 6]);
      group.quorum(true);
      group.settle();
      group.wait(3000);
      for (const node of [1, 2]) expect(inSync(group, node, 5, 6, 7)).toEqual([false, false, true]);
      expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [8])?.error).toBe(0);
    },
  );

  test.each([core, disk])('a daemon that is killed before that leaves it to the next one: %s', (text) => {
    const { group } = groupWith(text, [1, 2], { settings });
    group.ask(1, DM_ULOG_FLUSH, mirrorA, [5]);
    group.quorum(false);
    group.settle();
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [6])?.error).toBe(-Errno.EIO);
    group.killDaemon(1);
    group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [5, 6]);
    expect(inSync(group, 2, 5, 6)).toEqual([true, true]);
    group.join(1);
    group.settle();
    group.wait(3000);
    for (const node of [1, 2]) expect(inSync(group, node, 5, 6, 7)).toEqual([false, false, true]);
    group.killDaemon(1);
    group.join(1);
    group.settle();
    group.ask(1, DM_ULOG_FLUSH, mirrorA, [7]);
    group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [7]);
    group.wait(3000);
    expect(inSync(group, 1, 7)).toEqual([true]);
  });

  test('a FLUSH that waits when quorum is lost is refused at once', () => {
    const { group } = groupWith(core, [1, 2], { settings });
    group.acknowledges = false;
    const seq = group.host(1).send(DM_ULOG_FLUSH, mirrorA, [5]);
    group.settle();
    expect(group.host(1).answerTo(seq)).toBeUndefined();
    group.quorum(false);
    group.settle();
    expect(group.host(1).answerTo(seq)?.error).toBe(-Errno.EIO);
  });

  test('nothing was said of quorum yet: it waits, at the start of a daemon and when a node is lost', () => {
    const { group } = groupWith(core, [1, 2], { settings });
    group.killDaemon(1);
    const early = group.host(1).send(DM_ULOG_FLUSH, mirrorA, [5]);
    group.settle();
    expect(group.host(1).answerTo(early)).toBeUndefined();
    group.join(1);
    group.settle();
    expect(group.host(1).answerTo(early)?.error).toBe(0);
    group.tellsQuorum = false;
    group.part(2, 'node-down');
    const late = group.host(1).send(DM_ULOG_FLUSH, mirrorA, [6]);
    group.settle();
    expect(group.host(1).answerTo(late)).toBeUndefined();
    group.quorum(true, [1]);
    group.settle();
    expect(group.host(1).answerTo(late)?.error).toBe(0);
  });

  test('it is said once for each time: nobody else tells why the kernel writes no more', () => {
    const { group } = groupWith(core, [1, 2], { settings });
    const said = () => group.host(1).reports.filter(({ event }) => event === 'flush-failed').length;
    for (const times of [1, 2]) {
      group.ask(1, DM_ULOG_FLUSH, mirrorA, [5]);
      expect(said()).toBe(times - 1);
      group.quorum(false);
      group.settle();
      for (const region of [6, 7]) group.ask(1, DM_ULOG_FLUSH, mirrorA, [10 * times + region]);
      expect(said()).toBe(times);
      group.quorum(true);
      group.settle();
      group.wait(3000);
    }
  });

  test('it is lost again before that is said: it is said when it is back', () => {
    const { group } = groupWith(core, [1, 2], { settings });
    group.ask(1, DM_ULOG_FLUSH, mirrorA, [5]);
    group.loseGroup(1);
    group.settle();
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [6])?.error).toBe(-Errno.EIO);
    group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [5]);
    group.join(1);
    const host = group.host(1);
    for (let i = 0; i < 200 && !group.awaits(MessageType.inSync); i++) {
      group.step();
      host.settle();
    }
    expect(group.awaits(MessageType.inSync)).toBe(true);
    group.loseGroup(1);
    group.settle();
    expect(inSync(group, 2, 5, 6)).toEqual([true, true]);
    group.join(1);
    group.settle();
    group.wait(3000);
    for (const node of [1, 2]) expect(inSync(group, node, 5, 6, 7)).toEqual([false, false, true]);
  });
});

test('R16: the writer hears late what it had said of its log device, which is well again by then', () => {
  const { group, device } = groupWith(disk, [1, 2], { settings });
  const one = group.host(1);
  device.writeErrno = Errno.EIO;
  const seq = one.send(DM_ULOG_FLUSH, mirrorA, [5]);
  one.turn();
  while (!group.awaits(MessageType.logState)) {
    group.step();
    one.settle();
  }
  expect(one.answerTo(seq)?.error).toBe(-Errno.EIO);
  device.writeErrno = 0;
  one.wait(3000);
  group.wait(3000);
  for (const node of [1, 2]) {
    expect(group.host(node).state(mirrorA).logFailed).toBe(false);
    expect(group.ask(node, DM_ULOG_FLUSH, mirrorA, [7])?.error).toBe(0);
  }
});
