/** What daemons that meet make of what each of them says. */
import { expect, test } from 'vitest';
import { membersMax } from '../../ts/base/limits.js';
import { emptyTable, type Member, type MemberTable, memberOf, newMember } from '../../ts/mirror/member-table.js';
import { type LogReport, mergeReports, type Reporter } from '../../ts/mirror/return-merge.js';

const uuid = 'LVM-a';

function member(node: number, facts: Partial<Member> = {}): Member {
  return Object.assign(newMember(node, `n${node}`, `boot${node}`, 'active'), { valid: true }, facts);
}

function tableOf(generation: number, members: readonly Member[], facts: Partial<MemberTable> = {}): MemberTable {
  return { ...emptyTable(uuid), generation, lineage: 1, members: [...members], writer: 1, epoch: 3, ...facts };
}

function reporter(node: number, table: MemberTable, facts: Partial<LogReport & Reporter> = {}): Reporter {
  const { quorate = false, boot = `boot${node}`, ...of } = facts;
  const { generation: rank } = table;
  const log = {
    table,
    live: 'active' as const,
    tableGone: false,
    marksUnknown: false,
    shape: table,
    valid: true,
    writing: false,
    rank,
    position: 0,
    ...of,
  };
  return { node, name: `n${node}`, boot, quorate, log };
}

const validOf = (table: MemberTable) => table.members.filter(({ valid }) => valid).map(({ node }) => node);

test('R13: a copy that was cut off alone yields to a newer record, also of a daemon that was restarted', () => {
  const newer = tableOf(200, [member(1), member(2, { present: false, valid: false })]);
  const older = tableOf(9, [member(1, { present: false, valid: false, needed: true }), member(2)]);
  const { table } = mergeReports([reporter(1, newer, { valid: false }), reporter(2, older)]);
  expect(validOf(table)).toEqual([1]);
});

test('R13: a copy that was cut off is in doubt when who went on without it has left meanwhile and comes anew', () => {
  const newer = tableOf(
    200,
    [member(1, { stage: 'joining', valid: false }), member(2, { present: false, valid: false })],
    {
      doubt: true,
      lineage: 0,
    },
  );
  const older = tableOf(9, [member(1, { present: false, valid: false, needed: true }), member(2)]);
  const anew = reporter(1, newer, { valid: false, live: 'joining', rank: 0 });
  const { table } = mergeReports([anew, reporter(2, older)]);
  expect([validOf(table), table.doubt]).toEqual([[2], true]);
  // Where no one went on without it nothing is.
  const calm = mergeReports([
    reporter(1, { ...newer, doubt: false }, { valid: false, live: 'joining', rank: 0 }),
    reporter(2, older),
  ]);
  expect([validOf(calm.table), calm.table.doubt]).toEqual([[2], false]);
});

test('R13: without quorum a copy waits for those who may have gone on without it', () => {
  const alone = tableOf(9, [member(1, { present: false, valid: false, needed: true }), member(2)]);
  const fresh = { ...reporter(3, emptyTable(uuid)), log: undefined };
  expect(validOf(mergeReports([reporter(2, alone), fresh]).table)).toEqual([]);
  expect(validOf(mergeReports([reporter(2, alone, { quorate: true }), fresh]).table)).toEqual([2]);
});

test('R7: who may have gone on and is there with another boot has taken what it did along', () => {
  const members = [member(1, { present: false, valid: false, needed: true }), member(2)];
  const back = { ...reporter(1, emptyTable(uuid)), boot: 'another', log: undefined };
  const { table, dead, lost } = mergeReports([back, reporter(2, tableOf(9, members))]);
  expect([validOf(table), dead.map(({ node }) => node), lost]).toEqual([[2], [1], true]);
  const seen = [member(1, { present: false, valid: false }), member(2)];
  expect(mergeReports([back, reporter(2, tableOf(9, seen))]).lost).toBe(false);
});

test('who has left, of which the others had not heard, is taken off', () => {
  const theirs = tableOf(9, [member(1), member(2, { present: false, valid: false })]);
  const own = tableOf(8, [member(1)], { ended: [{ boot: 'boot2', epoch: 1 }] });
  const { table, left } = mergeReports([
    reporter(1, theirs, { quorate: true }),
    reporter(2, own, { live: null, valid: false }),
  ]);
  expect([table.members.map(({ node }) => node), left.map(({ node }) => node)]).toEqual([[1], [2]]);
});

test('what the newest table has missed of those who go on is taken from theirs: members, and the writer', () => {
  const old = tableOf(200, [], { lineage: 0, writer: -1, epoch: 1, ended: [{ boot: 'boot4', epoch: 1 }] });
  const away = [3, 4].map((node) => member(node, { present: false, valid: false, needed: true }));
  const joined = member(5, { stage: 'joining', present: false, valid: false });
  const theirs = tableOf(9, [member(1), ...away, joined], { writer: 3, epoch: 4 });
  const { table } = mergeReports([reporter(1, theirs), reporter(2, old, { live: null, valid: false, rank: 0 })]);
  // Node 4 had left, and node 5 has no part in it yet.
  expect(table.members.map(({ node, needed }) => [node, needed])).toEqual([
    [1, true],
    [3, true],
  ]);
  expect([validOf(table), table.writer, table.epoch]).toEqual([[], 3, 4]);
});

test('R8, R1: a writer that comes back without a copy keeps its role while a write of it is under way, in another epoch', () => {
  const theirs = tableOf(200, [member(1, { present: false, valid: false }), member(2)]);
  const merged = (writing: boolean) =>
    mergeReports([
      reporter(1, tableOf(9, [member(1)]), { valid: false, writing }),
      reporter(2, theirs, { quorate: true }),
    ]).table;
  expect([merged(true).writer, merged(true).epoch]).toEqual([1, 4]);
  expect([merged(false).writer, merged(false).epoch]).toEqual([2, 4]);
});

test('two sides with quorum: one of them counts, and that is told', () => {
  const one = tableOf(20, [member(1), member(2, { present: false, valid: false })]);
  const other = tableOf(30, [member(1, { present: false, valid: false }), member(2)]);
  const merged = mergeReports([reporter(1, one, { quorate: true }), reporter(2, other, { quorate: true })]);
  expect([merged.conflict, validOf(merged.table)]).toEqual([true, [2]]);
  expect(memberOf(merged.table, 1)?.present).toBe(true);
});

test('R8: who writes has the role, also where the newest table knows nothing of its load', () => {
  const loads = tableOf(0, [member(2, { stage: 'joining', valid: false })], { disk: true, writer: 2, epoch: 3 });
  const newer = tableOf(200, [], { disk: true, writer: -1, epoch: 2 });
  const shape = { regionCount: 0, regionSizeSectors: 0, disk: true };
  const merged = (writing: boolean) =>
    mergeReports([
      reporter(1, loads, { valid: false, live: 'joining', shape, rank: 0 }),
      reporter(2, loads, { valid: false, live: 'joining', shape, rank: 0, writing }),
      reporter(3, newer, { valid: false, live: null }),
    ]).table;
  expect([merged(true).writer, merged(true).epoch]).toEqual([2, 4]);
  expect(merged(false).writer).toBe(1);
});

test('who may have gone on and has no copy any more leaves a doubt', () => {
  const own = tableOf(9, [member(1), member(2)]);
  const without = { ...reporter(1, emptyTable(uuid)), log: undefined };
  const { table } = mergeReports([without, reporter(2, own, { valid: false })]);
  expect([validOf(table), table.doubt]).toEqual([[2], true]);
});

test('R3: a member whose daemon knows nothing of the log has no copy that could count', () => {
  const table = tableOf(9, [member(1)]);
  const merged = mergeReports([reporter(1, table, { live: null, valid: false, rank: 0 })]).table;
  expect([merged.members.map(({ node }) => node), validOf(merged)]).toEqual([[1], []]);
});

test('R2: a kernel whose resume was answered uses the log, though its daemon was killed before it had stored its place', () => {
  const stored = tableOf(9, [member(2, { stage: 'joining', valid: false })]);
  const merged = (live: LogReport['live']) => mergeReports([reporter(2, stored, { live, valid: false })]).table;
  expect([merged('active').members[0]?.stage, validOf(merged('active'))]).toEqual(['active', [2]]);
  expect([merged('joining').members[0]?.stage, validOf(merged('joining'))]).toEqual(['joining', []]);
});

test('R8: what the writer of a disk log did without those who follow stands on its device', () => {
  const members = [member(1, { present: false, valid: false, needed: true }), member(2)];
  const back = { ...reporter(1, emptyTable(uuid)), boot: 'another', log: undefined };
  for (const disk of [true, false]) {
    const merged = mergeReports([back, reporter(2, tableOf(9, members, { disk }))]);
    expect([merged.lost, merged.table.deviceAhead, merged.table.writerDied]).toEqual([!disk, disk, true]);
  }
});

test('R7: who was lost together with the one that followed is waited for also when that one is here with another boot', () => {
  const lost = { present: false, valid: false, needed: true };
  const me = member(1, { stage: 'joining', valid: false });
  const surmised = member(3, { ...lost, stage: 'joining', surmised: true });
  const known = tableOf(9, [me, member(2, lost), surmised], { writer: 2 });
  const joining = reporter(1, known, { valid: false, live: 'joining', rank: 0 });
  const anew = reporter(2, emptyTable(uuid), { boot: 'again', live: null, valid: false });
  const { table } = mergeReports([joining, anew]);
  expect([table.writer, table.members.map(({ node }) => node), table.doubt]).toEqual([-1, [1, 3], true]);
  // Here it is, and has not come to the log.
  const three = { ...reporter(3, emptyTable(uuid)), log: undefined };
  const all = mergeReports([joining, anew, three]).table;
  expect([all.writer, all.members.map(({ node }) => node)]).toEqual([1, [1]]);
  // Or it has.
  const theirs = tableOf(20, [member(2, lost), member(3)], { writer: 2 });
  const found = mergeReports([joining, anew, reporter(3, theirs)]).table;
  expect([validOf(found), memberOf(found, 3)?.surmised]).toEqual([[3], false]);
});

test('R8: while nobody follows, who loads the device by the newest knowledge goes on, not who did before', () => {
  const members = (away: number) =>
    [1, 2].map((node) => member(node, { stage: 'joining', valid: false, present: node !== away }));
  const joining = { live: 'joining' as const, valid: false };
  const before = reporter(1, tableOf(0, members(0), { lineage: 0, writer: 1, epoch: 4 }), joining);
  const loading = reporter(2, tableOf(0, members(1), { lineage: 0, writer: 2, epoch: 5 }), {
    ...joining,
    writing: true,
  });
  const { table } = mergeReports([before, loading]);
  expect([table.writer, table.epoch]).toEqual([2, 5]);
});

test('R13: two sides went on with quorum, and the daemons of one or of both have begun again since', () => {
  const away = (passed: boolean) => ({ present: false, valid: false, needed: true, passed });
  const one = (passed: boolean) => tableOf(2 ** 20 + 3, [member(1), member(2, away(passed))]);
  const other = (passed: boolean) => tableOf(2 ** 20 + 9, [member(1, away(passed)), member(2)]);
  const again = { valid: false };
  const merged = (passed: boolean, first: { valid?: boolean }) =>
    mergeReports([reporter(1, one(passed), { quorate: true, ...first }), reporter(2, other(true), again)]);
  expect([merged(true, {}).conflict, validOf(merged(true, {}).table)]).toEqual([true, [1]]);
  // Who was without quorum had to wait; and who knows of one of those who follow has been with them since.
  const waited = mergeReports([reporter(1, one(true), { quorate: true }), reporter(2, other(false), again)]);
  expect(waited.conflict).toBe(false);
  const third = tableOf(2 ** 20 + 9, [member(1, away(true)), member(2), member(3)]);
  const both = [member(1), member(2, away(true)), member(3)];
  const sides = (node: number) => reporter(node, tableOf(2 ** 20 + 30, both), { quorate: true });
  expect(mergeReports([sides(1), reporter(2, third, again), sides(3)]).conflict).toBe(false);
  // Nobody follows: the one that begins doubts what it has.
  const doubts = [true, false].map((passed) => merged(passed, again).table.doubt);
  expect([doubts, merged(true, again).conflict]).toEqual([[true, false], false]);
  expect(memberOf(merged(true, {}).table, 2)?.passed).toBe(false);
});

test('R13: who went on with quorum has left the log since, and its table says so', () => {
  const left = tableOf(2 ** 20 + 9, [member(1, { present: false, valid: false, passed: true })], { doubt: true });
  const other = tableOf(2 ** 20 + 3, [member(1), member(2, { present: false, valid: false, passed: true })]);
  const gone = reporter(2, left, { valid: false, live: null, rank: 0 });
  expect(mergeReports([reporter(1, other, { quorate: true }), gone]).conflict).toBe(true);
});

test('a kernel uses a log that others have begun without it: nothing is known to be in sync', () => {
  const begun = tableOf(5, [member(1)], { ended: [{ boot: 'boot3', epoch: 1 }] });
  const one = reporter(1, begun, { quorate: true });
  const merged = (node: number, members: readonly Member[], facts: Partial<LogReport> = {}) =>
    mergeReports([one, reporter(node, tableOf(9, members), { valid: false, ...facts })]).conflict;
  expect(merged(2, [member(2)])).toBe(true);
  expect(merged(2, [member(2)], { live: 'joining' })).toBe(false);
  // It was with those who follow, and they heard of its leave or of its end.
  expect(merged(2, [member(1), member(2)])).toBe(false);
  expect(merged(3, [member(1), member(3)])).toBe(true);
});

test('of sides that meet all who use the log are members, also when they are too many; who is about to join is not', () => {
  const away = { present: false, passed: true, valid: false };
  const others = Array.from({ length: membersMax - 1 }, (_, i) => member(100 + i, away));
  const full = tableOf(200, [member(1), ...others]);
  const own = tableOf(9, [member(2)]);
  const membersWith = (live: 'active' | 'joining') => {
    const returns = reporter(2, own, { valid: live === 'active', live });
    return mergeReports([reporter(1, full, { quorate: true }), returns]).table.members;
  };
  expect(membersWith('active').map(({ node }) => node)).toContain(2);
  expect(membersWith('active').length).toBe(membersMax + 1);
  expect(membersWith('joining').map(({ node }) => node)).not.toContain(2);
});
