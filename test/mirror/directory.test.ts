/** What delivered messages and views make of a member table. */
import { expect, test } from 'vitest';
import type { DepartureReason, GroupMember } from '../../ts/base/group-view.js';
import { bootKey } from '../../ts/mirror/boot-key.js';
import { Directory } from '../../ts/mirror/directory.js';
import { memberOf } from '../../ts/mirror/member-table.js';

const uuid = 'LVM-a';
const host = (node: number): GroupMember => ({ node, name: `n${node}`, bootId: `boot-${node}`, incarnation: '1' });

/** A log that `nodes` have joined; those in `ready` are valid, one after the other. */
function directoryOf(nodes: readonly number[], ready: readonly number[], disk = true): Directory {
  const directory = new Directory();
  const geometry = { regionCount: 64, regionSizeSectors: 8, disk, marksUnknown: false };
  for (const node of nodes)
    directory.join(uuid, { node, name: `n${node}`, boot: bootKey(`boot-${node}`), ...geometry });
  for (const node of ready) directory.ready(uuid, node, 3, directory.tableOf(uuid).lineage);
  return directory;
}

/** With nothing out of sync, as it had seen the table. */
function leave(directory: Directory, node: number, seen = directory.tableOf(uuid).generation, seenOutOfSync = 0): void {
  directory.leave(uuid, node, { outOfSync: false, closedEpoch: 0, written: false, seen, seenOutOfSync });
}

function part(directory: Directory, nodes: readonly number[], reason: DepartureReason): void {
  directory.departed(nodes.map((node) => ({ member: host(node), reason })));
}

test('a copy of somebody who has left since does not count beside what another has begun', () => {
  const directory = directoryOf([1, 2, 3], [3]);
  const { lineage } = directory.tableOf(uuid);
  leave(directory, 3);
  // 2 has copied from 3 and says so; 1 is the first now and loads the device.
  expect(directory.tableOf(uuid).writer).toBe(1);
  expect(directory.ready(uuid, 2, 3, lineage)).toBe(false);
  expect(directory.ready(uuid, 2, 3, 0)).toBe(false);
  expect(directory.ready(uuid, 1, 3, 0)).toBe(true);
  expect(directory.ready(uuid, 2, 3, lineage)).toBe(false);
  expect(directory.ready(uuid, 2, 3, directory.tableOf(uuid).lineage)).toBe(true);
});

test('R8: what a dead writer left is looked at once, by the first that writes', () => {
  const directory = directoryOf([1, 2, 3], [1, 2, 3]);
  const table = directory.tableOf(uuid);
  part(directory, [1], 'node-down');
  expect(table.writer).toBe(1);
  directory.died(1, bootKey('boot-1'));
  expect([table.writer, table.writerDied]).toEqual([2, true]);
  expect(directory.durable(uuid, 2, table.epoch - 1)).toBe(false);
  expect(directory.durable(uuid, 3, table.epoch)).toBe(false);
  expect(directory.durable(uuid, 2, table.epoch)).toBe(true);
  leave(directory, 2);
  expect([table.writer, table.writerDied]).toEqual([3, false]);
});

test('R8: only a writer that does not follow gives its role back, and only of this epoch', () => {
  const directory = directoryOf([1, 2], [1, 2]);
  const table = directory.tableOf(uuid);
  expect(directory.retired(uuid, 1, table.epoch)).toBe(false);
  Object.assign(memberOf(table, 1) ?? {}, { valid: false });
  expect(directory.retired(uuid, 1, table.epoch - 1)).toBe(false);
  expect(directory.retired(uuid, 2, table.epoch)).toBe(false);
  expect(directory.retired(uuid, 1, table.epoch)).toBe(true);
  expect(table.writer).toBe(2);
});

test('R13: who is lost with its node may have gone on, until those who are left have quorum', () => {
  const directory = directoryOf([1, 2, 3], [1, 2, 3]);
  const table = Object.assign(directory.tableOf(uuid), { disk: false });
  part(directory, [2, 3], 'node-down');
  expect(table.members.map(({ needed }) => needed)).toEqual([false, true, true]);
  expect(directory.died(2, bootKey('boot-2'))).toMatchObject([{ uuid, lost: true }]);
  const before = table.generation;
  directory.quorumWon(false, false);
  expect(memberOf(table, 3)?.needed).toBe(false);
  expect(table.generation - before).toBeGreaterThan(1000);
  expect(directory.died(3, bootKey('boot-3'))).toMatchObject([{ uuid, lost: false }]);
});

test.each([
  [1, false],
  [3, true],
])('R8, R13: nobody promises anything of a disk log without its writer (node %i)', (writer, lost) => {
  const directory = directoryOf([1, 2, 3], [1, 2, 3]);
  Object.assign(directory.tableOf(uuid), { writer });
  part(directory, [2, 3], 'node-down');
  expect(directory.died(2, bootKey('boot-2'))).toMatchObject([{ uuid, lost }]);
});

test('only the daemon of a member is gone: it does not go on', () => {
  const directory = directoryOf([1, 2], [1, 2]);
  part(directory, [2], 'process-down');
  expect(memberOf(directory.tableOf(uuid), 2)?.needed).toBe(false);
});

test('the last valid member leaves others that are in use and have no whole copy: they are told to doubt', () => {
  const directory = directoryOf([1, 2], [1, 2]);
  const table = directory.tableOf(uuid);
  Object.assign(memberOf(table, 2) ?? {}, { valid: false, rank: 0 });
  leave(directory, 1);
  expect([memberOf(table, 2)?.valid, table.doubt, table.writerDied]).toEqual([true, true, true]);
  expect(directory.ready(uuid, 2, 1, table.lineage)).toBe(true);
  expect(table.doubt).toBe(false);
});

test('R13: of two who each have quorum alone neither knows what the other promised of a core log', () => {
  for (const disk of [true, false]) {
    const directory = directoryOf([1, 2], [1, 2]);
    Object.assign(directory.tableOf(uuid), { disk });
    part(directory, [2], 'node-down');
    expect(memberOf(directory.tableOf(uuid), 2)?.passed).toBe(false);
    directory.quorumWon(true, false);
    expect(directory.tableOf(uuid).members.map(({ passed }) => passed)).toEqual([false, true]);
    expect(directory.died(2, bootKey('boot-2'))).toMatchObject([{ lost: !disk }]);
  }
});

test('R8, R13: of two who each have quorum alone the writer may have promised what only the device knows', () => {
  const directory = directoryOf([1, 2], [1, 2]);
  const table = directory.tableOf(uuid);
  part(directory, [1], 'node-down');
  directory.quorumWon(true, false);
  expect(directory.died(1, bootKey('boot-1'))).toMatchObject([{ lost: false }]);
  expect([table.writer, table.writerDied, table.deviceAhead]).toEqual([2, true, true]);
});

test.each([
  ['one is away, and all was in sync', [1, 2], false, false],
  ['one is away, and regions were out of sync', [1, 2], true, true],
  ['two are away', [1, 2, 3], false, true],
] as const)('the last valid member leaves, what others have is older: %s', (_what, members, outOfSync, doubt) => {
  const directory = directoryOf(members, members);
  part(
    directory,
    members.filter((node) => node !== 1),
    'process-down',
  );
  const { generation: seen } = directory.tableOf(uuid);
  directory.leave(uuid, 1, { outOfSync, closedEpoch: 0, written: false, seen, seenOutOfSync: 0 });
  const table = directory.tableOf(uuid);
  expect([memberOf(table, 2)?.valid, table.doubt]).toEqual([false, doubt]);
});

test('R3: the state of the only member was lost: whoever is first loads the device', () => {
  const directory = directoryOf([2], [2]);
  const table = directory.tableOf(uuid);
  part(directory, [2], 'process-down');
  const geometry = { regionCount: 64, regionSizeSectors: 8, disk: true };
  directory.join(uuid, { node: 2, name: 'n2', boot: bootKey('boot-2'), ...geometry, marksUnknown: true });
  expect([memberOf(table, 2)?.stage, memberOf(table, 2)?.settled, table.writer, table.doubt]).toEqual([
    'joining',
    false,
    2,
    true,
  ]);
});

test('R7: who was lost together with the one that follows may have the log from there, and is waited for when that one is dead', () => {
  const directory = directoryOf([2, 1], [2]);
  const table = directory.tableOf(uuid);
  part(directory, [2, 3], 'node-down');
  expect(table.members.map(({ node, needed }) => [node, needed])).toEqual([
    [1, false],
    [2, true],
    [3, true],
  ]);
  directory.died(2, bootKey('boot-2'));
  expect([table.writer, table.doubt]).toEqual([-1, true]);
  directory.died(3, bootKey('boot-3'));
  expect(table.writer).toBe(1);
});

test('who is lost alone while another follows is not taken for a member', () => {
  const directory = directoryOf([2, 1], [2]);
  part(directory, [3], 'node-down');
  part(directory, [2], 'process-down');
  expect(directory.tableOf(uuid).members.map(({ node }) => node)).toEqual([1, 2]);
});

test('R7: one that was about to have the log when it was lost may have it by now', () => {
  const directory = directoryOf([1, 2], []);
  const table = directory.tableOf(uuid);
  expect(table.writer).toBe(1);
  part(directory, [1], 'node-down');
  directory.died(1, bootKey('boot-1'));
  expect(table.writer).toBe(2);
  const other = directoryOf([1, 2, 3], []);
  part(other, [1, 2], 'node-down');
  other.died(1, bootKey('boot-1'));
  expect(other.tableOf(uuid).writer).toBe(-1);
  other.died(2, bootKey('boot-2'));
  expect(other.tableOf(uuid).writer).toBe(3);
});

test('nobody who was only taken for a member stays one when somebody has the log here', () => {
  const directory = directoryOf([1, 2], []);
  const table = directory.tableOf(uuid);
  part(directory, [2, 3], 'node-down');
  expect(table.members.map(({ node }) => node)).toEqual([1, 2, 3]);
  expect(directory.ready(uuid, 1, 3, 0)).toBe(true);
  expect(table.members.map(({ node, needed }) => [node, needed])).toEqual([
    [1, false],
    [2, false],
  ]);
});

test('the last one leaves, and somebody died behind its back: that nothing is out of sync it could not know', () => {
  for (const seen of [true, false]) {
    const directory = directoryOf([1, 2], [1, 2]);
    const table = directory.tableOf(uuid);
    part(directory, [2], 'node-down');
    const before = table.generation;
    directory.died(2, bootKey('boot-2'));
    leave(directory, 1, seen ? table.generation : before);
    expect([table.lastLeaver, table.leftOutOfSync]).toEqual([1, !seen]);
  }
});

test('two leave at once, with nothing out of sync: it is known of the last one', () => {
  const directory = directoryOf([1, 2], [1, 2]);
  const table = directory.tableOf(uuid);
  const { generation } = table;
  leave(directory, 1, generation);
  leave(directory, 2, generation);
  expect([table.lastLeaver, table.leftOutOfSync]).toEqual([2, false]);
});

test.each([true, false])(
  'R13: members were without quorum, and have it from a host whose daemon is not there: disk log %s',
  (disk) => {
    for (const lost of [1, 3]) {
      const directory = directoryOf([1, 2, 3], [1, 2, 3]);
      const table = directory.tableOf(uuid);
      Object.assign(table, { disk });
      part(directory, [lost], 'node-down');
      directory.quorumWon(false, true);
      // The writer is 1: where it is not, nobody has promised a mark of a disk log.
      const counts = disk && lost === 3;
      expect(memberOf(table, 2)?.valid).toBe(counts);
      expect(memberOf(table, lost)?.needed).toBe(!counts);
      directory.died(lost, bootKey(`boot-${lost}`));
      expect([table.members.some(({ valid }) => valid), table.doubt]).toEqual([true, !counts]);
    }
  },
);

test('the last one leaves before it hears what is out of sync: by what it says all who hear it know', () => {
  for (const heard of [true, false]) {
    const directory = directoryOf([1], [1]);
    directory.putOutOfSync(uuid, 1);
    leave(directory, 1, undefined, heard ? 1 : 0);
    expect(directory.tableOf(uuid).leftOutOfSync).toBe(!heard);
  }
});

test('what was put out of sync before daemons told each other what they know is in what they told', () => {
  const directory = directoryOf([1], [1]);
  directory.putOutOfSync(uuid, 1);
  directory.met();
  leave(directory, 1);
  expect(directory.tableOf(uuid).leftOutOfSync).toBe(false);
});

test.each([true, false])(
  'the last one leaves before it has read what a dead writer left on its log device: %s',
  (disk) => {
    const directory = directoryOf([1, 2], [1, 2], disk);
    part(directory, [1], 'node-down');
    directory.died(1, bootKey('boot-1'));
    leave(directory, 2);
    expect(directory.tableOf(uuid).leftOutOfSync).toBe(disk);
  },
);
