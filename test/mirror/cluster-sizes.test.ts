/** A cluster's limits: what happens at them is said, and nothing is lost. */
import { expect, test, vi } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import { membersMax, memberTableBytesMax, reportBytesMax } from '../../ts/base/limits.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { decodeMembers, encodeMembers } from '../../ts/mirror/member-record.js';
import {
  addMember,
  type BootInEpoch,
  decide,
  emptyTable,
  memberOf,
  newMember,
  removeMember,
  unknownName,
} from '../../ts/mirror/member-table.js';
import { MessageType } from '../../ts/mirror/messages.js';
import { decodeReport, encodeReports } from '../../ts/mirror/report-codec.js';
import { reportUnused } from '../../ts/mirror/return-merge.js';
import { Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const noFacts = { rank: 7, hint: 0, found: new Set<number>(), moreFound: false, membersGone: false };
const core = '512 clustered-core 8 nosync';

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function endedBoots(count: number): BootInEpoch[] {
  return numbers(count).map((i) => ({ boot: i.toString(16).padStart(16, '0'), epoch: i + 1 }));
}

test('one member too many is refused, and the others go on', () => {
  const { group } = groupWith(core, [1], { nodes: [1, 2] });
  const tables = [1, 2].map((node) => group.host(node).service.cluster?.tables.get(mirrorA.uuid));
  for (const i of numbers(membersMax - 1))
    for (const table of tables) addMember(table ?? emptyTable(''), newMember(100 + i, `n${i}`, `${i}`, 'active'));
  group.host(2).construct(mirrorA, core);
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(-Errno.EINVAL);
  const said = group.host(2).reports.find(({ event }) => event === 'resume-refused');
  expect(said?.text).toMatch(/has 58 members already/);
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [3]);
  expect(group.ask(1, DM_ULOG_FLUSH, mirrorA)?.error).toBe(0);
  // Its kernel asks again when another has left.
  for (const table of tables) removeMember(table ?? emptyTable(''), 100, false);
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
});

test('one member too many is refused also when somebody comes to the group meanwhile', () => {
  const { group } = groupWith(core, [1], { nodes: [1, 200, 300] });
  group.part(300, 'leave');
  group.settle();
  const tables = [1, 200].map((node) => group.host(node).service.cluster?.tables.get(mirrorA.uuid));
  for (const i of numbers(membersMax - 1))
    for (const table of tables) {
      const member = newMember(100 + i, `n${i}`, i.toString(16).padStart(16, '0'), 'active');
      addMember(table ?? emptyTable(''), Object.assign(member, { present: false, passed: true }));
    }
  group.host(200).construct(mirrorA, core);
  const seq = group.host(200).send(DM_ULOG_RESUME, mirrorA);
  // Before its join is delivered.
  group.join(300);
  group.settle();
  expect(group.host(1).service.cluster?.tables.get(mirrorA.uuid)?.members.length).toBe(membersMax);
  expect(group.host(200).answerTo(seq)?.error).toBe(-Errno.EINVAL);
});

test('a name is in a record whole or not at all: shortened it might be another host', () => {
  const table = emptyTable(mirrorA.uuid);
  const names = numbers(20).map((i) => `storage-node.dc1.example.com-${i + 1}`);
  for (const i of numbers(20)) table.members.push(newMember(i + 1, names[i] as string, '0123456789abcdef', 'active'));
  table.ended = endedBoots(16);
  const stored = decodeMembers(mirrorA.uuid, encodeMembers(table, noFacts))?.table.members ?? [];
  const whole = stored.filter(({ name }, i) => name === names[i]).length;
  expect(whole).toBeGreaterThan(5);
  expect(stored.slice(whole).map(({ name }) => name)).toEqual(names.slice(whole).map(() => unknownName));
});

test('a record says who may have gone on without those who are here, and a choice among them forgets nobody', () => {
  const table = Object.assign(emptyTable(mirrorA.uuid), { disk: true, writer: 1 });
  table.members.push(newMember(1, 'node1', '0123456789abcdef', 'active'));
  const away = newMember(3, 'node3', 'fedcba9876543210', 'active');
  table.members.push(Object.assign(away, { present: false, unwatched: true }));
  const stored = decodeMembers(mirrorA.uuid, encodeMembers(table, noFacts))?.table ?? emptyTable('');
  decide(Object.assign(stored, { disk: true }));
  expect(stored.members.map(({ valid, unwatched }) => [valid, unwatched])).toEqual([
    [true, false],
    [false, true],
  ]);
});

test('names that had no room are said again by those who are there', () => {
  const nodes = numbers(42).map((i) => i + 1);
  const group = new Group(nodes, { stickyMax: 0 });
  group.resume(mirrorA, core, nodes);
  for (const node of nodes) group.killDaemon(node);
  for (const node of nodes) group.join(node);
  group.settle();
  group.part(10, 'node-down');
  group.settle();
  const lost = memberOf(group.host(2).service.cluster?.tables.get(mirrorA.uuid), 10);
  expect([lost?.present, lost?.name]).toEqual([false, 'node10']);
});

test('a record of more members than it has room for is one in doubt', () => {
  const table = emptyTable(mirrorA.uuid);
  for (const i of numbers(membersMax + 7))
    table.members.push(newMember(i + 1, `host-${i}`, '0123456789abcdef', 'active'));
  const bytes = encodeMembers(table, noFacts);
  expect(bytes.length).toBeLessThanOrEqual(memberTableBytesMax);
  const stored = decodeMembers(mirrorA.uuid, bytes);
  expect([stored?.table.members.length, stored?.table.doubt]).toEqual([membersMax, true]);
});

test.each([
  [3, 16, [3, 70]],
  [55, 2, [3, 70]],
  [membersMax, 0, []],
])(
  'a record of %i members has room for the newest %i boots of those who are none any more',
  (count, boots, regions) => {
    const table = emptyTable(mirrorA.uuid);
    for (const i of numbers(count)) table.members.push(newMember(i + 1, `host-${i}`, '0123456789abcdef', 'active'));
    const ended = endedBoots(40);
    Object.assign(table, { ended, endedEpoch: 7, closedEpoch: 5, leftWritten: true, outOfSyncSince: 9 });
    const found = new Set([3, 70]);
    const stored = decodeMembers(mirrorA.uuid, encodeMembers(table, { ...noFacts, found }));
    expect(stored?.table.ended).toEqual(boots === 0 ? [] : ended.slice(-boots));
    const { endedEpoch, closedEpoch, leftWritten, outOfSyncSince } = stored?.table ?? emptyTable('');
    expect([endedEpoch, closedEpoch, leftWritten, outOfSyncSince]).toEqual([7, 5, true, 9]);
    expect(stored?.table.members.length).toBe(count);
    expect([stored?.moreFound, ...(stored?.found ?? [])]).toEqual([regions.length < 2, ...regions]);
  },
);

test.each([
  [3, 8],
  [36, 2],
  [membersMax, 0],
])('a record of %i members has room for the newest %i of those who had the role of the writer', (count, past) => {
  const table = emptyTable(mirrorA.uuid);
  for (const i of numbers(count)) table.members.push(newMember(i + 1, `host-${i}`, '0123456789abcdef', 'active'));
  const [ended, writers] = [endedBoots(40), endedBoots(16)];
  const found = new Set([3, 70]);
  const bytes = encodeMembers(Object.assign(table, { ended, writers }), { ...noFacts, found });
  expect(bytes.length).toBeLessThanOrEqual(memberTableBytesMax);
  const stored = decodeMembers(mirrorA.uuid, bytes);
  expect(stored?.table.writers).toEqual(past === 0 ? [] : writers.slice(-past));
  expect([...(stored?.found ?? [])]).toEqual(count === membersMax ? [] : [3, 70]);
  const cut = bytes.length - 4 * (stored?.found.size ?? 0) - 1;
  expect(decodeMembers(mirrorA.uuid, bytes.subarray(0, cut))).toBeNull();
});

test.each([
  ['epochs of the boots', 128, 16],
  ['nothing but boots', 64, 8],
])('a record of before is read, whose ends have %s', (_what, flag, each) => {
  const table = Object.assign(emptyTable(mirrorA.uuid), { endedEpoch: 2, closedEpoch: 5, ended: endedBoots(2) });
  const now = Buffer.from(encodeMembers(table, noFacts));
  const [head, numbersOfEnds, boots] = [now.subarray(0, 42), now.subarray(42, 67), now.subarray(68)];
  head.writeUInt8((head.readUInt8(24) & 63) | flag, 24);
  const before = [0, 16].map((at) => boots.subarray(at, at + each));
  const read = decodeMembers(mirrorA.uuid, Buffer.concat([head, numbersOfEnds, ...before]))?.table;
  const epochs = each === 16 ? [1, 2] : [2, 2];
  expect(read?.ended).toEqual(endedBoots(2).map(({ boot }, i) => ({ boot, epoch: epochs[i] })));
  expect([read?.endedEpoch, read?.closedEpoch, read?.leftWritten]).toEqual([2, 5, false]);
});

test('a report of 1600 logs with eight members goes in several messages', () => {
  const group = new Group([1, 2], { stickyMax: 0 });
  const tables = group.host(1).service.cluster?.directory.tables;
  for (const i of numbers(1600)) {
    const table = emptyTable(`LVM-${String(i).padStart(64, '0')}`);
    for (const node of numbers(8)) table.members.push(newMember(node + 1, `host-${node}.cluster`, `${node}`, 'active'));
    table.ended = endedBoots(64);
    tables?.set(table.uuid, table);
  }
  const lengths: number[] = [];
  group.tamper = ({ type, byteCount }) => {
    if (type === MessageType.report) lengths.push(byteCount);
  };
  group.killDaemon(2);
  group.join(2);
  group.settle();
  expect(lengths.length).toBeGreaterThan(4);
  expect(Math.max(...lengths)).toBeLessThan(reportBytesMax + 10_000);
  expect(group.host(2).service.cluster?.exchanging).toBe(false);
  expect(group.host(2).service.cluster?.tables.size).toBe(1600);
});

test('the logs of a report come in order, each once', () => {
  const table = emptyTable('LVM-a');
  table.ended = endedBoots(64);
  const logs = numbers(2000).map((i) => reportUnused({ ...table, uuid: `LVM-${i}` }, false));
  const said = encodeReports('tag', true, logs).map((bytes) => decodeReport(bytes));
  expect(said.map((one) => [one?.part, one?.parts])).toEqual(said.map((_, part) => [part, said.length]));
  expect(said.flatMap((one) => one?.logs.map(({ table: { uuid } }) => uuid))).toEqual(
    logs.map((one) => one.table.uuid),
  );
  expect(encodeReports('tag', false, []).length).toBe(1);
});

test('a report is none when what it says cannot be kept or told on', () => {
  const member = newMember(2, 'node2', '0123456789abcdef', 'active');
  const table = Object.assign(emptyTable('LVM-a'), { members: [member], writer: 2 });
  const log = reportUnused(table, false);
  const decoded = (change: object, of: object = {}) => {
    const said = { ...log, table: { ...table, ...change, members: [{ ...member, ...of }] } };
    return decodeReport(encodeReports('tag', true, [said])[0] ?? Buffer.of());
  };
  expect(decoded({})?.logs[0]?.table).toEqual(table);
  expect(encodeMembers(table, noFacts).length).toBeLessThan(memberTableBytesMax);
  const nonsense = [{ writer: -2 }, { writer: 2 ** 32 }, { lastLeaver: 0.5 }, { generation: Number.POSITIVE_INFINITY }];
  for (const change of [
    ...nonsense,
    { epoch: '1' },
    { uuid: 'x'.repeat(400) },
    { ended: [7] },
    { leftWritten: 1 },
    { writers: [{ boot: '0' }] },
  ])
    expect([change, decoded(change)]).toEqual([change, null]);
  for (const of of [{ stage: 'gone' }, { name: undefined }, { node: -1 }, { node: 2 ** 32 }, { rank: -2 }])
    expect([of, decoded({}, of)]).toEqual([of, null]);
});

test('R17: owners that did not fit are missing in a copy too: who takes it cleans nothing', () => {
  const group = new Group([1, 2, 3], { stickyMax: 0 }, { ownersMax: 4 });
  group.resume(mirrorA, core, [1, 2]);
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [1, 2, 3, 4]);
  group.ask(2, DM_ULOG_MARK_REGION, mirrorA, [4, 9]);
  group.resume(mirrorA, core, [3]);
  // Node 2 holds it, and nobody has it as an owner.
  group.ask(1, DM_ULOG_CLEAR_REGION, mirrorA, [4]);
  for (const node of [1, 2, 3]) expect(group.host(node).state(mirrorA).map.isClean(4)).toBe(false);
});

test('R17: so does who takes a copy in parts, of which the last one says it', () => {
  const group = new Group([1, 2, 3], { stickyMax: 0, chunkRegions: 64 }, { ownersMax: 4 });
  const inParts = '2048 clustered-core 8 nosync';
  group.resume(mirrorA, inParts, [1, 2]);
  group.ask(1, DM_ULOG_MARK_REGION, mirrorA, [1, 2, 3, 4]);
  group.ask(2, DM_ULOG_MARK_REGION, mirrorA, [4, 9]);
  group.host(3).construct(mirrorA, inParts);
  group.host(3).send(DM_ULOG_RESUME, mirrorA);
  while (group.next?.type !== MessageType.chunk) group.step();
  group.step();
  group.host(1).send(DM_ULOG_CLEAR_REGION, mirrorA, [4]);
  group.settle();
  expect(group.host(3).log(mirrorA).replica.phase).toBe('following');
  for (const node of [1, 2, 3]) expect(group.host(node).state(mirrorA).map.isClean(4)).toBe(false);
});

test('R17: what is held by whom nobody knows is not recovered, and out of sync when a holder is dead', () => {
  const group = new Group([1, 2, 3], { stickyMax: 0 }, { ownersMax: 4 });
  group.resume(mirrorA, core, [1, 2, 3]);
  for (const [node, regions] of [
    [1, [1, 2, 3, 4]],
    [2, [9]],
    [3, [11]],
  ] as const)
    expect(group.ask(node, DM_ULOG_FLUSH, mirrorA, regions)?.error).toBe(0);
  group.ask(1, DM_ULOG_SET_REGION_SYNC, mirrorA, [9, 0]);
  // Kernel 2 writes there, which nobody else knows of.
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  expect(group.host(1).restarts).toEqual([]);
  group.cutPower(3);
  for (const node of [1, 2]) group.host(node).service.confirmDead(3, null, group.host(node).nowMs);
  group.settle();
  for (const node of [1, 2]) expect(group.host(node).state(mirrorA).map.isInSync(11)).toBe(false);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  // Whoever is alone knows what it holds.
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND]) group.ask(2, type, mirrorA);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values[0]).toBe(1);
});

test('a log of another size that waited for the group is no member behind its refusal', () => {
  const { group } = groupWith(core, [1], { nodes: [1, 2] });
  group.part(2, 'process-down');
  const larger = '1024 clustered-core 8 nosync';
  group.host(2).construct(mirrorA, larger);
  const seq = group.host(2).send(DM_ULOG_RESUME, mirrorA);
  group.settle();
  group.join(2);
  group.settle();
  expect(group.host(2).answerTo(seq)?.error).toBe(-Errno.EINVAL);
  expect(
    group
      .host(1)
      .log(mirrorA)
      .replica.rights.table?.members.map(({ node }) => node),
  ).toEqual([1]);
  for (const type of [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_DTR]) group.ask(1, type, mirrorA);
  expect(group.ask(2, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
});

test('what concerns all regions of a log is not done region by region', () => {
  const { group } = groupWith(`${8 * 2 ** 16} clustered-core 8`, [1, 2]);
  const log = group.host(1).log(mirrorA);
  const { map } = log.state;
  const looks = [vi.spyOn(map, 'nextDirty'), vi.spyOn(map, 'nextOutOfSync'), vi.spyOn(map, 'setInSync')];
  // Its daemon had ended, and what its kernel held was in the memory of that.
  log.memberGone(Object.assign(newMember(2, 'node2', '2', 'active'), { settled: false }), true);
  expect([map.syncCount, log.state.searchPosition]).toEqual([0, 0]);
  // Nobody but the other may recover anything.
  log.restrictAll(2, true);
  expect(group.ask(1, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values).toEqual([0, 0]);
  for (const look of looks) expect(look.mock.calls.length).toBeLessThan(20);
});

test('a region behind the end of the log: no member does what the message says, and none ends', () => {
  const { group } = groupWith(core, [1, 2]);
  for (const type of [MessageType.mark, MessageType.release, MessageType.inSync, MessageType.wish]) {
    group.tamper = (message) => {
      if (message.type === MessageType.mark)
        Object.assign(message, { type, regions: Float64Array.of(3, 64), count: 2 });
    };
    group.host(1).send(DM_ULOG_MARK_REGION, mirrorA, [type]);
    group.settle();
  }
  group.tamper = null;
  for (const node of [1, 2]) {
    expect(group.host(node).state(mirrorA).map.cleanCount).toBe(64);
    expect(group.host(node).reports.filter(({ event }) => event === 'message-ignored')).toHaveLength(4);
  }
  expect(group.ask(2, DM_ULOG_FLUSH, mirrorA, [9])?.error).toBe(0);
});

test('R9: a name that two hosts have says of neither that it has ended', () => {
  const group = new Group([1], {});
  const { service, reports, nowMs } = group.host(1);
  const said = () => reports.filter(({ event }) => event === 'same-name').map(({ text }) => text);
  const called = (node: number, name: string) => ({ node, name, bootId: `boot-${node}`, incarnation: '1' });
  const see = (members: readonly ReturnType<typeof called>[]) =>
    service.viewChanged({ epoch: 9, meeting: '1', members, joined: members, left: [] }, nowMs);
  see([called(1, 'a'), called(2, 'b')]);
  expect(said()).toEqual([]);
  const before = { uuid: mirrorA.uuid, nodeName: 'b', bootId: 'boot-before', writerEpoch: 1 };
  expect(service.cluster?.hasEnded(before)).toBe(true);
  see([called(1, 'a'), called(2, 'b'), called(3, 'b')]);
  expect(said()).toEqual(['nodes 2 and 3 are all called b']);
  expect(service.cluster?.hasEnded(before)).toBe(false);
});
