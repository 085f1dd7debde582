/** Whoever a copy is taken from may go in the middle of it: the rest comes from another member, and nothing said meanwhile is lost. */
import { expect, test } from 'vitest';
import { chunkRegionsMax } from '../../ts/base/limits.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { type Group, groupWith } from './cluster-host.js';
import { constructAgain, recoverAll, restartDaemon, suspend } from './cluster-kernel.js';
import { mirrorA } from './host.js';

/** Two chunks. */
const large = `${(chunkRegionsMax + 100) * 8} clustered-core 8 nosync`;
const small = '512 clustered-core 8 nosync';

function stepUntil(group: Group, type: MessageType): void {
  for (let i = 0; i < 1000 && group.next !== undefined && group.next.type !== type; i++) group.step();
  expect(group.next?.type).toBe(type);
}

/** Node 3 resumes the log that 1 and 2 have. */
function joining(text: string, nodes: readonly number[]) {
  const { group } = groupWith(text, nodes, { nodes: [1, 2, 3] });
  group.ask(2, DM_ULOG_MARK_REGION, mirrorA, [9]);
  group.host(3).construct(mirrorA, text);
  group.settle();
  const resume = group.host(3).send(DM_ULOG_RESUME, mirrorA);
  return { group, answer: () => group.host(3).answerTo(resume) };
}

test('what was said behind a question that its provider did not live to answer counts for what is covered', () => {
  const { group, answer } = joining(large, [1, 2]);
  // The first chunk has come, and the second is asked for.
  stepUntil(group, MessageType.chunk);
  group.step();
  stepUntil(group, MessageType.want);
  const two = group.host(2);
  two.send(DM_ULOG_MARK_REGION, mirrorA, [5]);
  two.send(DM_ULOG_CLEAR_REGION, mirrorA, [9]);
  two.send(DM_ULOG_SET_REGION_SYNC, mirrorA, [7, 0]);
  group.step();
  // All of that is delivered; the answer is not: its node dies.
  while (group.next !== undefined && group.next.type !== MessageType.chunk) group.step();
  group.part(1, 'process-down');
  group.settle();
  expect(answer()?.error).toBe(0);
  const facts = (node: number) => {
    const { map, owners } = group.host(node).state(mirrorA);
    return [5, 7, 9].map((region) => [map.isClean(region), map.isInSync(region), owners.has(2, region)]);
  };
  expect(facts(3)).toEqual(facts(2));
});

test('who answers is who is the lowest when the question is delivered: when that one goes another is asked', () => {
  const { group, answer } = joining(small, [2]);
  stepUntil(group, MessageType.want);
  // Before the question is delivered node 1 has a copy, too, and it is the one who answers.
  const want = group.takeNext();
  group.resume(mirrorA, small, [1]);
  group.putNext(want);
  group.step();
  group.host(1).turn();
  group.part(1, 'node-down');
  group.settle();
  expect(answer()?.error).toBe(0);
});

const restarts = [small, '512 clustered-disk /dev/log 8 nosync'].flatMap((text) =>
  ['daemon', 'corosync'].map((what) => ({ text, what })),
);

test.each(restarts)(
  'who was to answer leaves, and nobody else has a copy: that from before counts, and nothing is resynced ($what, $text)',
  ({ text, what }) => {
    const { group } = groupWith(text, [1, 2], { nodes: [1, 2, 3] });
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [5]);
    group.wait(5000);
    if (what === 'daemon') group.killDaemon(2);
    else group.loseGroup(2, 'process-down');
    group.settle();
    expect(group.ask(1, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    group.join(2);
    while (group.host(2).log(mirrorA).replica.phase !== 'copying') expect(group.step()).toBe(true);
    const seq = group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
    group.settle();
    expect(group.host(1).answerTo(seq)?.error).toBe(0);
    expect(group.host(2).log(mirrorA).replica.phase).toBe('following');
    expect(group.host(2).state(mirrorA).map.syncCount).toBe(64);
  },
);

test('so it does of somebody who has died meanwhile: what that one held is resynced', () => {
  const { group } = groupWith(small, [1, 2, 3], { nodes: [1, 2, 3, 4, 5] });
  expect(group.ask(3, DM_ULOG_FLUSH, mirrorA, [9])?.error).toBe(0);
  group.cutPower(3);
  group.settle();
  group.loseGroup(2, 'process-down');
  group.settle();
  expect(group.ask(1, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  group.join(2);
  while (group.host(2).log(mirrorA).replica.phase !== 'copying') expect(group.step()).toBe(true);
  group.host(1).service.confirmDead(3, null, group.host(1).nowMs);
  group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
  group.settle();
  expect(group.host(2).log(mirrorA).replica.phase).toBe('following');
  expect(group.host(2).state(mirrorA).map.isInSync(9)).toBe(false);
});

test.each(restarts)(
  'R10: that a table has ended is told to the copy from before: what its kernel alone might recover others do ($what, $text)',
  ({ text, what }) => {
    const { group } = groupWith(text, [1, 2, 3]);
    expect(group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [5, 0])?.error).toBe(0);
    if (what === 'daemon') group.killDaemon(3);
    else group.loseGroup(3, 'process-down');
    group.settle();
    suspend(group, 2);
    expect(group.ask(2, DM_ULOG_DTR, mirrorA)?.error).toBe(0);
    expect(group.ask(1, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    group.join(3);
    while (group.host(3).log(mirrorA).replica.phase !== 'copying') expect(group.step()).toBe(true);
    group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
    group.settle();
    group.wait(5000);
    recoverAll(group, 3);
    expect(group.host(3).state(mirrorA).map.isInSync(5)).toBe(true);
    expect(group.ask(3, DM_ULOG_IS_REMOTE_RECOVERING, mirrorA, [5])?.values[0]).toBe(0);
  },
);

test.each([small, '512 clustered-disk /dev/log 8 nosync'])(
  'R10: nor does it count when who was to answer has put everything out of sync, which no log device says: %s',
  (text) => {
    const { group } = groupWith(text, [1, 2], { nodes: [1, 2, 3] });
    group.wait(5000);
    // The constructor was heard, and its RESUME was not: a question was given up, of a region that nobody knows.
    constructAgain(group, 1, text);
    restartDaemon(group, 1);
    group.killDaemon(2);
    group.settle();
    expect(group.ask(1, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
    group.join(2);
    while (group.host(2).log(mirrorA).replica.phase !== 'copying') expect(group.step()).toBe(true);
    const seq = group.host(1).send(DM_ULOG_POSTSUSPEND, mirrorA);
    group.settle();
    group.wait(3000);
    expect(group.host(1).answerTo(seq)?.error).toBe(0);
    expect(group.host(2).state(mirrorA).map.syncCount).toBe(0);
  },
);
