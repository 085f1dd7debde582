/** R6, R7: who was about to join a log that nobody has is waited for by those who heard of it, whatever else they know. */
import { expect, test } from 'vitest';
import {
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
} from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { Group, groupWith } from './cluster-host.js';
import { mirrorA, TestDisk } from './host.js';

const core = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';

test.each([false, true])(
  'who was about to join when daemons ended is waited for; their tables were destroyed: %s',
  (destroyed) => {
    const { group } = groupWith(core, [1, 3], { nodes: [1, 2, 3] });
    for (const node of [3, 1]) {
      for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND])
        expect(group.ask(node, type, mirrorA)?.error).toBe(0);
      if (destroyed) expect(group.ask(node, DM_ULOG_DTR, mirrorA)?.error).toBe(0);
    }
    group.host(2).construct(mirrorA, core);
    group.settle();
    const resume = group.host(2).send(DM_ULOG_RESUME, mirrorA);
    while (group.next?.type !== MessageType.ready) {
      if (!group.step()) for (const node of [1, 2, 3]) group.host(node).turn();
    }
    // All know that it joins. The daemons of the others are killed; it goes on with quorum, for their hosts are there.
    for (const node of [1, 2, 3]) group.host(node).service.endTurn(group.host(node).nowMs);
    for (const node of [1, 3]) group.killDaemon(node);
    group.settle();
    expect(group.host(2).answerTo(resume)?.error).toBe(0);
    expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    // Its network breaks, and the daemons of the others are started again.
    group.loseGroup(2);
    group.join(1);
    group.settle();
    // What its kernel holds only it knows: the kernels of the others wait until it is back or known dead.
    if (destroyed) group.host(1).construct(mirrorA, core);
    group.settle();
    const next = group.host(1).send(DM_ULOG_RESUME, mirrorA);
    group.settle();
    group.wait(5000);
    const answered = group.host(1).answerTo(next)?.error;
    // It is shot, and boots again. What it wrote last may be on one leg only.
    group.cutPower(2);
    group.join(2);
    group.settle();
    if (group.host(1).answerTo(next) === undefined) group.ask(1, DM_ULOG_RESUME, mirrorA);
    const { map } = group.host(1).state(mirrorA);
    expect([answered, map.isInSync(5), map.isClean(5)]).toEqual([undefined, false, false]);
  },
);

test.each([
  [1, 3],
  [3, 1],
])('who joined last is waited for, whichever daemon has not heard of it: the one of node %i', (early, late) => {
  const group = new Group([1, 2, 3, 4], { stickyMax: 0 });
  for (const node of [2, 4]) group.host(node).construct(mirrorA, core);
  group.settle();
  const resumes = [2, 4].map((node) => group.host(node).send(DM_ULOG_RESUME, mirrorA));
  // The join of 2.
  group.step();
  const end = (node: number) => group.host(node).service.endTurn(group.host(node).nowMs);
  end(early);
  group.killDaemon(early);
  // That of 4.
  group.step();
  end(late);
  group.killDaemon(late);
  group.settle();
  expect([2, 4].map((node, i) => group.host(node).answerTo(resumes[i] as number)?.error)).toEqual([0, 0]);
  expect(group.ask(4, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  for (const node of [2, 4]) group.loseGroup(node);
  for (const node of [1, 3]) group.join(node);
  group.settle();
  const table = group.host(3).service.cluster?.tables.get(mirrorA.uuid);
  const members = table?.members.map(({ node }) => node);
  // 2 is shot and boots again. 4 may still write.
  group.cutPower(2);
  group.join(2);
  group.settle();
  group.host(1).construct(mirrorA, core);
  group.settle();
  const seq = group.host(1).send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  expect([members, group.host(1).answerTo(seq)]).toEqual([[2, 4], undefined]);
});

test.each([core, disk])(
  'a host whose record was lost is chosen when the last one leaves, and its join comes behind that: %s',
  (text) => {
    const { group } = groupWith(text, [1, 2], { nodes: [1, 2, 3] });
    group.part(2, 'process-down');
    const two = group.host(2);
    two.powerCut(false);
    group.join(2);
    group.settle();
    two.construct(mirrorA, text, { nul: true });
    expect(group.ask(1, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    const resumed = two.send(DM_ULOG_RESUME, mirrorA);
    // Both wait for what daemons tell each other, and node 1 comes first then.
    group.killDaemon(3);
    group.join(3);
    const left = group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
    group.settle();
    expect(group.host(1).answerTo(left)?.error).toBe(0);
    expect(two.answerTo(resumed)?.error).toBe(0);
  },
);

/**
 * Two hosts with daemons, and a third vote. Both are about to join as the corosync of node 1 ends; node 2 begins without it, is served, and is cut
 * off, alive. Returns node 1, back with quorum, and what its kernel waits for.
 */
function begunElsewhere(text: string) {
  const group = new Group([1, 2], { stickyMax: 0 });
  const device = new TestDisk(1024 * 1024);
  group.disks.set('/dev/log', device);
  for (const node of [1, 2]) group.host(node).construct(mirrorA, text);
  group.settle();
  const [one, two] = [group.host(1), group.host(2)];
  const resumes = [one, two].map((host) => {
    const seq = host.send(DM_ULOG_RESUME, mirrorA);
    host.turn();
    return seq;
  });
  for (let joins = 0; joins < 2; joins++) group.step();
  group.loseGroup(1, 'process-down');
  group.settle();
  expect(two.answerTo(resumes[1] as number)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  group.rewire((node) => (node === 2 ? 1 : 0));
  group.quorum(false, [2]);
  group.join(1);
  group.quorum(false, [2]);
  group.settle();
  group.wait(3000);
  return { group, device, one, resume: resumes[0] as number };
}

test.each([core, disk])('who has begun while this node was in no group is waited for: %s', (text) => {
  const { group, device, one, resume } = begunElsewhere(text);
  expect(one.answerTo(resume)).toBeUndefined();
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  if (text === disk) expect(device.isCleanOnDisk(5)).toBe(false);
  group.cutPower(2);
  one.service.confirmDead(2, null, one.nowMs);
  group.settle();
  group.wait(3000);
  expect(one.answerTo(resume)?.error).toBe(0);
  expect(one.state(mirrorA).map.isInSync(5)).toBe(false);
});

test('so is who had a pending resume as the daemons of all hosts were started anew, its own first', () => {
  const group = new Group([1, 2, 3], { stickyMax: 0 });
  group.host(2).construct(mirrorA, core);
  group.settle();
  group.host(2).send(DM_ULOG_RESUME, mirrorA);
  group.host(2).turn();
  group.step();
  const store = () => {
    for (const node of [1, 3]) group.host(node).service.endTurn(group.host(node).nowMs);
  };
  store();
  group.killDaemon(2);
  store();
  for (const node of [1, 3]) group.killDaemon(node);
  group.join(2);
  group.settle();
  // Its kernel asks again. It has quorum, for the hosts of the others are there.
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  group.loseGroup(2);
  for (const node of [1, 3]) group.join(node);
  group.settle();
  group.host(1).construct(mirrorA, core);
  const seq = group.host(1).send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  group.wait(3000);
  expect(group.host(1).answerTo(seq)).toBeUndefined();
});

test('and who was about to join as its corosync ended, right before that of this node did', () => {
  const group = new Group([1, 2], { stickyMax: 0 });
  const [one, two] = [group.host(1), group.host(2)];
  for (const host of [one, two]) host.construct(mirrorA, core);
  group.settle();
  const begins = two.send(DM_ULOG_RESUME, mirrorA);
  two.turn();
  group.step();
  group.loseGroup(2, 'process-down');
  group.loseGroup(1, 'process-down');
  group.join(2);
  group.settle();
  expect(two.answerTo(begins)?.error).toBe(0);
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
  group.rewire((node) => (node === 2 ? 1 : 0));
  group.quorum(false, [2]);
  group.join(1);
  group.quorum(false, [2]);
  group.settle();
  const seq = one.send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  group.wait(3000);
  expect(one.answerTo(seq)).toBeUndefined();
});

test.each([disk, core])(
  'a host is about to activate the mirror as the only one that has it is cut off and its daemon started anew: nothing is resynced (%s)',
  (text) => {
    const group = new Group([1, 2, 3], { stickyMax: 0 });
    group.tellsQuorum = false;
    group.disks.set('/dev/log', new TestDisk(1024 * 1024));
    group.quorum(true);
    group.settle();
    group.resume(mirrorA, text, [1]);
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    group.host(3).construct(mirrorA, text);
    group.settle();
    const seq = group.host(3).send(DM_ULOG_RESUME, mirrorA);
    expect(group.next?.type).toBe(MessageType.join);
    group.step();
    group.split([1]);
    group.quorum(false, [1]);
    group.quorum(true, [2, 3]);
    group.settle();
    group.wait(10_000);
    expect(group.host(3).answerTo(seq)).toBeUndefined();
    group.killDaemon(1);
    group.settle();
    group.heal();
    group.join(1);
    group.quorum(true);
    group.settle();
    group.wait(5000);
    expect(group.host(3).answerTo(seq)?.error).toBe(0);
    const { replica, state } = group.host(1).log(mirrorA);
    expect([replica.phase, state.map.syncCount]).toEqual(['following', 64]);
  },
);
