/** A host joins a log, and hears alone that it is let in, or hears it when it has left already. */
import { expect, test } from 'vitest';
import {
  DM_ULOG_FLUSH,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { Group } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';

const disk = '512 clustered-disk /dev/log 8 nosync';
const core = '512 clustered-core 8 nosync';

/** `user` has the log, `node` joins it, and the message by which it is let in is on its way. */
function aboutToBeLetIn(text: string, user: number, node: number): Group {
  const group = new Group([1, 2, 3], { stickyMax: 0 });
  group.tellsQuorum = false;
  group.disks.set('/dev/log', new TestDisk(1024 * 1024));
  group.quorum(true);
  group.settle();
  group.resume(mirrorA, text, [user]);
  const joining = group.host(node);
  joining.construct(mirrorA, text);
  group.settle();
  joining.send(DM_ULOG_RESUME, mirrorA);
  while (group.next?.type !== MessageType.ready) {
    if (!group.step()) for (const host of group.hosts.values()) host.settle();
  }
  return group;
}

/** Node 2 is let in, and only those `here` stay with it, with quorum or without. */
function letInUnheard(text: string, user: number, here: readonly number[]): Group {
  const group = aboutToBeLetIn(text, user, 2);
  const two = group.host(2);
  while (group.next !== undefined) group.stepTo(2);
  expect(two.log(mirrorA).replica.phase).toBe('following');
  group.split(here);
  const quorate = here.length > 1;
  group.quorum(quorate, here);
  group.quorum(
    !quorate,
    [1, 2, 3].filter((node) => !here.includes(node)),
  );
  group.settle();
  return group;
}

test.each([core, disk])(
  'the last of those who went on without it leaves regions out of sync: its copy does not count as if that were all: %s',
  (text) => {
    const group = letInUnheard(text, 3, [2]);
    expect(group.ask(3, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0])?.error).toBe(0);
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) expect(group.ask(3, type, mirrorA)?.error).toBe(0);
    group.heal();
    group.quorum(true);
    group.settle();
    group.wait(1000);
    const { replica, state } = group.host(2).log(mirrorA);
    expect([replica.phase, state.map.isInSync(5)]).toEqual(['following', false]);
  },
);

test('it went on with quorum, which goes over to the others: they wait until it is back, or dead, and what it wrote is resynced', () => {
  const group = letInUnheard(core, 1, [2, 3]);
  const write = (node: number, region: number) => {
    group.ask(node, DM_ULOG_MARK_REGION, mirrorA, [region]);
    return group.ask(node, DM_ULOG_FLUSH, mirrorA, [region])?.error;
  };
  expect(write(2, 5)).toBe(0);
  group.quorum(false, [2, 3]);
  group.settle();
  group.quorum(true, [1]);
  group.settle();
  group.wait(1000);
  expect(write(1, 6)).toBeUndefined();
  group.cutPower(2);
  const one = group.host(1);
  one.service.confirmDead(2, null, one.nowMs);
  group.settle();
  expect(write(1, 6)).toBe(0);
  expect(one.state(mirrorA).map.isInSync(5)).toBe(false);
});

test.each([core, disk])(
  'a table is let in behind which the next one has been resumed: that one is not, and nobody waits for a copy of its copy: %s',
  (text) => {
    const group = aboutToBeLetIn(text, 2, 1);
    const [one, three] = [group.host(1), group.host(3)];
    const next = { ...mirrorA, luid: 0x9000 };
    one.construct(next, text);
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) {
      one.send(type, mirrorA);
      one.settle();
    }
    const resumed = one.send(DM_ULOG_RESUME, next);
    one.settle();
    three.construct(mirrorA, text);
    const joined = three.send(DM_ULOG_RESUME, mirrorA);
    three.settle();
    group.step();
    expect(one.log(next).replica.phase).toBe('waiting');
    group.settle();
    expect(one.answerTo(resumed)?.error).toBe(0);
    expect(three.answerTo(joined)?.error).toBe(0);
  },
);
