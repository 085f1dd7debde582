/** What daemons know of logs that their host does not use outlives them (R6). */
import { expect, test } from 'vitest';
import { leftLogsMax } from '../../ts/base/limits.js';
import {
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
} from '../../ts/base/ulog-frames.js';
import { addMember, emptyTable, type MemberTable, newMember } from '../../ts/mirror/member-table.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { UnusedLogs } from '../../ts/mirror/unused-logs.js';
import { Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8';

/** All daemons are killed; those of `back` are back, one after the other. */
function killAll(group: Group, back: readonly number[]): void {
  for (const node of [1, 2, 3]) group.killDaemon(node);
  group.settle();
  for (const node of back) {
    group.join(node);
    group.settle();
  }
}

test('R6: no log is begun while a host has it whose daemon is not there, though all others were killed too', () => {
  const { group } = groupWith(core, [1], { nodes: [1, 2, 3] });
  // Its kernel copies.
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([1, 0]);
  killAll(group, [2, 3]);
  const three = group.host(3);
  three.construct(mirrorA, core);
  const resume = three.send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  expect(three.answerTo(resume)).toBeUndefined();
  // Of its own it knows nothing better than what the others have told it, if it is killed now.
  group.killDaemon(3);
  group.join(3);
  group.settle();
  expect(three.log(mirrorA).replica.phase).toBe('waiting');
  group.join(1);
  group.settle();
  expect(three.log(mirrorA).replica.phase).toBe('following');
  expect(three.state(mirrorA).recoveringNode).toBe(1);
});

test('R6: a host whose record is lost was a member all the same', () => {
  const { group } = groupWith(core, [1], { nodes: [1, 2, 3] });
  for (const node of [1, 2, 3]) group.killDaemon(node);
  group.host(1).powerCut(false);
  for (const node of [1, 2, 3]) group.join(node);
  group.settle();
  const table = group.host(2).service.cluster?.tables.get(mirrorA.uuid);
  expect(table?.members.map(({ node, settled }) => [node, settled])).toEqual([[1, false]]);
});

test('who has left is none that is waited for, whatever is kept', () => {
  const { group } = groupWith(core, [1], { nodes: [1, 2, 3] });
  expect(group.host(2).unusedLogs.get(mirrorA.uuid)).not.toBe('');
  group.killDaemon(2);
  group.settle();
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) expect(group.ask(1, type, mirrorA)?.error).toBe(0);
  expect(group.host(3).unusedLogs.get(mirrorA.uuid)).toContain('"members":[]');
  killAll(group, [2, 3, 1]);
  group.resume(mirrorA, core, [3]);
  expect(group.host(3).log(mirrorA).replica.phase).toBe('following');
});

test('of logs that nobody has the oldest are forgotten', () => {
  const stored = new Map<string, string>();
  const unused = new UnusedLogs([], (uuid, text) => (text === '' ? stored.delete(uuid) : stored.set(uuid, text)));
  const uuids = Array.from({ length: 1030 }, (_, i) => `LVM-${i}`);
  const tables = new Map(uuids.map((uuid) => [uuid, Object.assign(emptyTable(uuid), { lastLeaver: 1 })]));
  tables.set('LVM-used', tableWithMember('LVM-used'));
  unused.allMoved(tables);
  while (unused.waits) unused.keep(tables, () => false);
  expect([...stored.keys()]).toEqual([...uuids.slice(6), 'LVM-used']);
});

test('what is kept and makes no sense is nothing', () => {
  const stored = [
    '',
    '{',
    'null',
    '7',
    '{"uuid":"a"}',
    '[]',
    '{"uuid":"a","members":[]}',
    JSON.stringify(tableWithMember('b')),
  ];
  expect(new UnusedLogs(stored, () => {}).restored.map(({ uuid }) => uuid)).toEqual(['b']);
});

test('of what a daemon of before kept nobody knows whether it is on log devices, nor who wrote them', () => {
  const {
    leftWritten: _,
    writers: __,
    ...before
  } = Object.assign(tableWithMember('a'), { endedEpoch: 4, ended: ['0123'] });
  const [restored] = new UnusedLogs([JSON.stringify(before)], () => {}).restored;
  expect([restored?.leftWritten, restored?.writers]).toEqual([false, []]);
  expect(restored?.ended).toEqual([{ boot: '0123', epoch: 4 }]);
});

test('a few are stored in each turn, each once, and none that has not changed', () => {
  const tables = new Map(Array.from({ length: 40 }, (_, i) => [`log${i}`, tableWithMember(`log${i}`)]));
  const stored: string[] = [];
  const unused = new UnusedLogs([], (uuid, text) => stored.push(`${uuid} ${text === ''}`));
  unused.allMoved(tables);
  let turns = 0;
  for (; unused.waits; turns++) unused.keep(tables, (uuid) => uuid === 'log7');
  expect([turns, stored.length, new Set(stored).size]).toEqual([3, 39, 39]);
  unused.allMoved(tables);
  unused.keep(tables, (uuid) => uuid === 'log8');
  expect(stored.slice(39)).toEqual(['log7 false', 'log8 true']);
});

function tableWithMember(uuid: string): MemberTable {
  const table = emptyTable(uuid);
  addMember(table, newMember(1, 'node1', '0123456789abcdef', 'active'));
  return table;
}

const synced = '512 clustered-core 8 nosync';

test.each(['before its RESUME', 'behind its RESUME, its join is on its way', 'when its join was delivered'])(
  'who has the log is not forgotten by a daemon that is killed %s',
  (when) => {
    const { group } = groupWith(synced, [1], { nodes: [1, 2] });
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    const two = group.host(2);
    two.construct(mirrorA, synced);
    group.settle();
    // Somebody says once more that there is quorum, as every member does when somebody has come or is lost.
    group.quorum(true, [1]);
    if (when !== 'before its RESUME') two.send(DM_ULOG_RESUME, mirrorA);
    const endTurn = () => two.service.endTurn(two.nowMs);
    group.step();
    endTurn();
    if (when === 'when its join was delivered') {
      expect(group.next?.type).toBe(MessageType.join);
      group.step();
      endTurn();
    }
    // Both daemons are killed, that of 2 is started first. The kernel of 1 goes on.
    for (const node of [2, 1]) group.killDaemon(node);
    group.join(2);
    group.settle();
    // Its kernel asks again.
    const seq = group.host(2).send(DM_ULOG_RESUME, mirrorA);
    group.settle();
    group.wait(1000);
    const members = group
      .host(2)
      .service.cluster?.tables.get(mirrorA.uuid)
      ?.members.map(({ node }) => node);
    expect([members, group.host(2).answerTo(seq)]).toEqual([[1, 2], undefined]);
  },
);

test.each([
  ['go on', 1],
  ['go on', 2],
  ['are started anew', 1],
  ['are started anew', 2],
])(
  'the only host that had a core log died with marks, the daemons %s: the next one, node %i, does not go by nosync',
  (what, next) => {
    const { group } = groupWith(synced, [1], { nodes: [1, 2, 3] });
    expect(group.ask(1, DM_ULOG_FLUSH, mirrorA, [5])?.error).toBe(0);
    group.cutPower(1);
    group.join(1);
    group.settle();
    if (what !== 'go on') {
      for (const node of [1, 2, 3]) group.killDaemon(node);
      for (const node of [1, 2, 3]) group.join(node);
      group.settle();
    }
    group.resume(mirrorA, synced, [next]);
    expect(group.host(next).state(mirrorA).map.isInSync(5)).toBe(false);
  },
);

test('of logs that nobody has any more the oldest are forgotten when daemons meet, by all alike', () => {
  const group = new Group([1, 2]);
  for (let i = 0; i < leftLogsMax + 10; i++) {
    const log = { uuid: `LVM-pvmove-${i}`, luid: 0x1000 + i };
    group.resume(log, '512 clustered-core 8 nosync', [1]);
    for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR]) group.ask(1, type, log);
  }
  const known = (node: number) => [...(group.host(node).service.cluster?.tables.keys() ?? [])].sort();
  group.killDaemon(2);
  group.settle();
  group.join(2);
  group.settle();
  expect(known(1)).toHaveLength(leftLogsMax);
  expect(known(2)).toEqual(known(1));
});
