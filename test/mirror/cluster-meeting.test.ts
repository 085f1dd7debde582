/** Both of two hosts went on alone (`two_node`), they hear each other again, and the daemon of one ends before it knows what comes of that. */
import { expect, test } from 'vitest';
import { DM_ULOG_FLUSH, DM_ULOG_MARK_REGION } from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { type Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const disk = '512 clustered-disk /dev/log 8 nosync';
const core = '512 clustered-core 8 nosync';

/** Node 2 has begun the log, and writes the device. */
function wentApart(text: string): Group {
  const { group } = groupWith(text, [2, 1]);
  group.split([2]);
  group.settle();
  expect(write(group, 2, 5)).toBe(0);
  return group;
}

/** Its kernel writes there: the answer to its FLUSH, if there is one. */
function write(group: Group, node: number, region: number): number | undefined {
  group.ask(node, DM_ULOG_MARK_REGION, mirrorA, [region]);
  return group.ask(node, DM_ULOG_FLUSH, mirrorA, [region])?.error;
}

const writers = (group: Group) => [1, 2].filter((node) => group.host(node).log(mirrorA).replica.writes);

/** They meet. Node 1 hears both reports; node 2 so many, its own first. */
function meetUnheard(group: Group, heard: number, meet = () => group.heal()): void {
  group.acknowledges = false;
  meet();
  const sent: ReturnType<Group['takeNext']>[] = [];
  while (group.next !== undefined) sent.push(group.takeNext());
  const reports = sent.filter(({ message }) => message.type === MessageType.report);
  reports.sort((a, b) => b.message.node - a.message.node);
  for (const [at, report] of reports.entries()) {
    group.putNext(report);
    if (at < heard) group.step();
    else group.stepTo(1);
  }
  group.acknowledges = true;
}

/** They meet, and the daemon of node 2 is killed before it hears that. */
function meetUnseen(group: Group): void {
  group.host(2).service.viewChanged = () => {};
  group.heal();
  group.killDaemon(2);
}

function settle(group: Group): void {
  group.settle();
  group.wait(1000);
}

/** The network is broken again, and the next daemon of node 2 comes. */
function comesAlone(group: Group): void {
  group.split([2]);
  settle(group);
  group.join(2);
  settle(group);
}

function expectOneWriter(group: Group): void {
  group.heal();
  settle(group);
  for (const node of [1, 2]) expect(write(group, node, 20 + node)).toBe(0);
  expect(writers(group)).toHaveLength(1);
}

test.each([0, 1, 2])(
  'R8: the role has passed on by what both said: the next daemon does not go on as the writer (reports that were heard: %i)',
  (heard) => {
    const group = wentApart(disk);
    meetUnheard(group, heard);
    group.killDaemon(2);
    comesAlone(group);
    expect(write(group, 1, 13)).toBe(0);
    expect(writers(group)).toEqual([1]);
    expectOneWriter(group);
  },
);

test('R8: nothing was said: the next daemon goes on as the writer, and nobody else does', () => {
  const group = wentApart(disk);
  meetUnseen(group);
  comesAlone(group);
  expect(write(group, 1, 13)).toBeUndefined();
  expect(write(group, 2, 13)).toBe(0);
  expect(writers(group)).toEqual([2]);
  expectOneWriter(group);
});

test.each([core, disk])('nothing was said, and it dies: what it had marked alone is resynced: %s', (text) => {
  const group = wentApart(text);
  meetUnseen(group);
  settle(group);
  group.cutPower(2);
  const one = group.host(1);
  one.service.confirmDead(2, null, one.nowMs);
  settle(group);
  expect(one.state(mirrorA).map.isInSync(5)).toBe(false);
});

test('R8: the writer has not heard yet that it has quorum, nor does it hear what comes of the meeting: the role stays with it', () => {
  const group = wentApart(disk);
  group.tellsQuorum = false;
  // They have met, and lost each other again.
  group.heal();
  group.split([2]);
  group.settle();
  meetUnheard(group, 1);
  group.split([2]);
  group.quorum(true);
  settle(group);
  expect(write(group, 1, 13)).toBeUndefined();
  expect(write(group, 2, 13)).toBe(0);
  expect(writers(group)).toEqual([2]);
});

test.each([0, 1])(
  'R8: its next daemon begins with that meeting, and does not hear what comes of it: it does not go on as the writer (reports that were heard: %i)',
  (heard) => {
    const group = wentApart(disk);
    group.killDaemon(2);
    group.heal();
    settle(group);
    meetUnheard(group, heard, () => group.join(2));
    group.split([2]);
    settle(group);
    expect(write(group, 1, 13)).toBe(0);
    expect(writers(group)).toEqual([1]);
    expectOneWriter(group);
  },
);
