/** R10: that something is known of what a kernel alone recovers does not say that all of it is. */
import { expect, test } from 'vitest';
import { DM_ULOG_SET_REGION_SYNC } from '../../ts/base/ulog-frames.js';
import { type LogMessage, MessageType } from '../../ts/mirror/messages.js';
import { groupWith } from './cluster-host.js';
import { loseRecord, reconnect, recoverAll, suspendAndResume } from './cluster-kernel.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';
const disk = '512 clustered-disk /dev/log 8 nosync';

test.each([core, disk])(
  'a region that was found before does not hide what was found apart and lost with the record: %s',
  (text) => {
    const { group } = groupWith(text, [2, 1], { nodes: [1, 2, 3] });
    group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
    group.tellsQuorum = false;
    group.split([1]);
    group.quorum(false, [1]);
    group.quorum(true, [2, 3]);
    group.settle();
    expect(group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [9, 0])?.error).toBe(0);
    loseRecord(group, 2);
    group.settle();
    group.heal();
    group.join(2);
    group.settle();
    group.quorum(true);
    group.settle();
    reconnect(group, 2, text);
    suspendAndResume(group, 2);
    // The kernel of 2 writes 9 without marks.
    expect(recoverAll(group, 1)).not.toContain(9);
  },
);

test.each([core, disk])('nor where both of two had quorum: %s', (text) => {
  const { group } = groupWith(text, [1, 2]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  group.split([2]);
  group.settle();
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [9, 0]);
  loseRecord(group, 2);
  group.heal();
  group.join(2);
  group.settle();
  reconnect(group, 2, text);
  suspendAndResume(group, 2);
  expect(recoverAll(group, 1)).not.toContain(9);
});

const wide = ['4096 clustered-core 8 nosync', '4096 clustered-disk /dev/log 8 nosync'];

test.each(wide)('nor, with the record, that there are more than it names: %s', (text) => {
  const { group } = groupWith(text, [1, 2]);
  group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [4, 0]);
  group.split([2]);
  group.settle();
  for (let region = 100; region < 400; region++) group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 0]);
  // So that the copy of 1 counts.
  group.killDaemon(2);
  group.heal();
  group.join(2);
  group.settle();
  expect(group.host(2).log(mirrorA).replica.phase).toBe('following');
  const given = recoverAll(group, 1);
  expect(given.filter((region) => region >= 100 && region < 400)).toEqual([]);
});

test.each(wide)('nor does one that is found while the next daemon is about to say so: %s', (text) => {
  const { group } = groupWith(text, [1, 2], { nodes: [1, 2, 3] });
  for (let region = 0; region < 300; region++) group.ask(2, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 0]);
  for (const node of [3, 2, 1]) group.killDaemon(node);
  for (const node of [1, 2]) group.join(node);
  // Another write of its kernel has failed, while no daemon ran or behind that.
  let seq = -1;
  const isOwn = (next: LogMessage | undefined) => next?.type === MessageType.ready && next.node === 2;
  while (!isOwn(group.next)) {
    if (!group.step()) for (const node of [1, 2]) group.host(node).settle();
    if (seq === -1) seq = group.host(2).send(DM_ULOG_SET_REGION_SYNC, mirrorA, [400, 0]);
    if (group.next === undefined) throw new Error('nothing is said');
  }
  group.join(3);
  group.settle();
  expect(group.host(2).log(mirrorA).replica.phase).toBe('following');
  expect(group.host(2).answerTo(seq)?.error).toBe(0);
  const given = recoverAll(group, 1);
  expect(given).toEqual([]);
});
