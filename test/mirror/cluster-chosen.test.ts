/** A copy that followed all the time, alone and without quorum, and is chosen on the word of those who went on without it and have left. */
import { expect, test } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { Group, groupWith } from './cluster-host.js';
import { type Host, mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';

test.each([true, false])(
  'a copy that still announces (%s) is chosen in doubt: nothing of it is believed',
  (announces) => {
    const group = new Group([1, 2, 3], { stickyMax: 0, announceRegions: 1 });
    const [one, two, three] = [1, 2, 3].map((node) => group.host(node)) as [Host, Host, Host];
    group.resume(mirrorA, core, [1, 2]);
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [1, 2, 3])?.error).toBe(0);
    group.killDaemon(2);
    group.killDaemon(1);
    group.join(1);
    group.join(2);
    // Node 1 is slow with its announcement: its next turn does not come.
    const talk = () => {
      for (let i = 0; i < 200; i++) {
        while (group.step());
        two.settle();
        three.settle();
      }
    };
    talk();
    if (!announces) group.settle();
    const phase = announces ? 'announcing' : 'following';
    expect(one.log(mirrorA).replica.phase).toBe(phase);
    expect(two.log(mirrorA).replica.phase).toBe('following');
    const ask = (type: number, payload: readonly number[] = []) => {
      const seq = two.send(type, mirrorA, payload);
      talk();
      return two.answerTo(seq)?.error;
    };
    group.tellsQuorum = false;
    group.split([1]);
    group.quorum(false, [1]);
    group.quorum(true, [2, 3]);
    talk();
    // A leg fails there, and the mirror is suspended.
    expect(ask(DM_ULOG_SET_REGION_SYNC, [6, 0])).toBe(0);
    expect(ask(DM_ULOG_PRESUSPEND)).toBe(0);
    expect(ask(DM_ULOG_POSTSUSPEND)).toBe(0);
    expect(one.log(mirrorA).replica.phase).toBe(phase);
    group.heal();
    group.quorum(true);
    group.settle();
    expect(one.log(mirrorA).replica.phase).toBe('following');
    expect(one.state(mirrorA).map.isInSync(6)).toBe(false);
  },
);

test('who left elsewhere holds nothing any more for a copy that is chosen', () => {
  const { group } = groupWith('128 clustered-core 8 nosync', [1, 2], { nodes: [1, 2, 3] });
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [9])?.error).toBe(0);
  group.tellsQuorum = false;
  group.split([1]);
  group.quorum(false, [1]);
  group.quorum(true, [2, 3]);
  group.settle();
  group.ask(2, DM_ULOG_CLEAR_REGION, mirrorA, [9]);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
    expect(group.ask(2, type, mirrorA)?.error).toBe(0);
  group.heal();
  group.quorum(true);
  group.settle();
  const { map, owners } = group.host(1).state(mirrorA);
  expect(map.isInSync(9)).toBe(false);
  for (let copied = 0; copied < 16; copied++) {
    const [found = 0, region = 0] = group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values ?? [];
    if (found === 1) group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 1]);
  }
  group.wait(10_000);
  expect([map.syncCount, owners.has(2, 9)]).toEqual([16, false]);
  expect(group.ask(1, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [9])?.values[0]).toBe(0);
});

test('nor does it recover anything: a suspend does not wait for it', () => {
  const { group } = groupWith('128 clustered-core 8', [1, 2], { nodes: [1, 2, 3] });
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  group.tellsQuorum = false;
  group.split([1]);
  group.quorum(false, [1]);
  group.quorum(true, [2, 3]);
  group.settle();
  expect(group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1])?.error).toBe(0);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR])
    expect(group.ask(2, type, mirrorA)?.error).toBe(0);
  group.heal();
  group.quorum(true);
  group.settle();
  group.wait(10_000);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  expect(group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [0, 1])?.error).toBe(0);
  expect(group.ask(1, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
});

/** Node 3 was given region 0 and is dead. The daemon of node 2 hears that, is killed before it has a copy, and has the only one then. */
function groupWithoutRecoverer(): Group {
  const { group } = groupWith('128 clustered-core 8', [1, 2, 3]);
  expect(group.ask(3, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  group.killDaemon(2);
  group.cutPower(3);
  group.join(3);
  group.settle();
  group.join(2);
  while (group.host(2).log(mirrorA).replica.phase !== 'copying') group.step();
  group.killDaemon(2);
  group.settle();
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) expect(group.ask(1, type, mirrorA)?.error).toBe(0);
  group.join(2);
  group.settle();
  expect(group.host(2).log(mirrorA).replica.phase).toBe('following');
  return group;
}

test('who is dead recovers nothing, also for a daemon that was killed when it had heard that and had no copy yet', () => {
  const group = groupWithoutRecoverer();
  group.wait(20_000);
  expect(group.ask(2, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
});

test('nor does a suspend wait for one who is dead', () => {
  expect(groupWithoutRecoverer().ask(2, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
});
