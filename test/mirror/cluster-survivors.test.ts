/** Hosts that never come back: those who are left have the log for good. */
import { expect, test } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { type Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';

function confirmDead(group: Group, by: number, node: number): void {
  group.host(by).service.confirmDead(node, null, group.host(by).nowMs);
  group.settle();
}

/** The node's mirror is suspended and resumed, and recovers what is out of sync. */
function restart(group: Group, node: number): void {
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_RESUME]) group.ask(node, type, mirrorA);
  for (;;) {
    const [found, region = 0] = group.ask(node, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values ?? [];
    if (found !== 1) return;
    group.ask(node, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 1]);
    group.ask(node, DM_ULOG_CLEAR_REGION, mirrorA, [region]);
  }
}

function marksAndClears(group: Group, node: number, region: number): void {
  expect(group.ask(node, DM_ULOG_MARK_REGION, mirrorA, [region])?.error).toBe(0);
  expect(group.ask(node, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
  group.ask(node, DM_ULOG_CLEAR_REGION, mirrorA, [region]);
  expect(group.host(node).state(mirrorA).map.isClean(region)).toBe(true);
}

test.each([core, disk])('two of three go for good, and all daemons are restarted in between: %s', (text) => {
  const { group, device } = groupWith(text, [1, 2, 3]);
  group.ask(1, DM_ULOG_FLUSH, mirrorA, [5]);
  group.cutPower(1);
  group.settle();
  confirmDead(group, 2, 1);
  restart(group, 2);
  for (const node of [2, 3]) expect(group.host(node).state(mirrorA).map.cleanCount).toBe(64);
  marksAndClears(group, 3, 9);

  for (const node of [2, 3]) group.killDaemon(node);
  for (const node of [3, 2]) group.join(node);
  group.settle();
  marksAndClears(group, 3, 10);
  group.ask(2, DM_ULOG_FLUSH, mirrorA, [11]);
  group.cutPower(2);
  group.settle();
  expect(group.host(3).state(mirrorA).map.isClean(11)).toBe(false);
  confirmDead(group, 3, 2);
  restart(group, 3);
  expect(group.host(3).state(mirrorA).map.cleanCount).toBe(64);

  group.killDaemon(3);
  group.join(3);
  group.settle();
  marksAndClears(group, 3, 12);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_RESUME])
    expect(group.ask(3, type, mirrorA)?.error).toBe(0);
  expect(group.host(3).state(mirrorA).map.cleanCount).toBe(64);
  if (text === disk) expect(device.isCleanOnDisk(12)).toBe(true);
});

test.each([core, disk])('the last one with the log goes for good, and a host that never had it begins: %s', (text) => {
  const { group } = groupWith(text, [1], { nodes: [1, 2] });
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  group.cutPower(1);
  group.settle();
  group.host(2).construct(mirrorA, text);
  const seq = group.host(2).send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  expect(group.host(2).answerTo(seq)).toBeUndefined();
  confirmDead(group, 2, 1);
  expect(group.host(2).answerTo(seq)?.error).toBe(0);
  const { map } = group.host(2).state(mirrorA);
  expect([map.isClean(5), map.isInSync(5), map.syncCount]).toEqual([false, false, text === disk ? 63 : 0]);
});

test.each([core, disk])(
  'whose daemon was away when another came to the log knows nothing of what that one did: %s',
  (text) => {
    const { group } = groupWith(text, [1], { nodes: [1, 2] });
    const two = group.host(2);
    two.construct(mirrorA, text);
    two.send(DM_ULOG_RESUME, mirrorA);
    for (let limit = 1000; group.next?.type !== MessageType.ready; limit--) {
      if (limit === 0) throw new Error('the second does not come to the log');
      if (!group.step()) for (const host of group.hosts.values()) host.settle();
    }
    group.stepTo(2);
    group.killDaemon(1);
    group.settle();
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    group.cutPower(2);
    group.join(1);
    group.settle();
    expect(group.host(1).log(mirrorA).replica.phase).toBe('waiting');
    confirmDead(group, 1, 2);
    expect(group.host(1).log(mirrorA).replica.phase).toBe('following');
    const { map } = group.host(1).state(mirrorA);
    expect([map.isInSync(5), map.isClean(5)]).toEqual([false, false]);
  },
);
