/** What the log says of a cluster: each change once, and a wait only when it lasts. */
import { expect, it } from 'vitest';
import { ClusterChanges, viewEvent } from '../../ts/daemon/cluster-changes.js';
import { LastingWaits, type WaitNow } from '../../ts/daemon/log-waits.js';
import { addMember, emptyTable, type MemberTable, memberOf, newMember } from '../../ts/mirror/member-table.js';

function watched() {
  const said: string[] = [];
  const changes = new ClusterChanges(({ event, fields: { text } }) => said.push(`${event}: ${text}`));
  const look = (quorate: boolean, ...tables: MemberTable[]): string[] => {
    changes.look(quorate, tables);
    return said.splice(0);
  };
  return { look };
}

function table(nodes: readonly number[], writer: number, disk = true): MemberTable {
  const made = { ...emptyTable('LVM-a'), disk, writer, epoch: 2 };
  for (const node of nodes) addMember(made, newMember(node, `host${node}`, `boot${node}`, 'active'));
  return made;
}

it('members and the writer of a log are told when they change', () => {
  const { look } = watched();
  expect(look(true, table([1, 2], 1))).toEqual([
    'quorum: this side of the cluster has quorum',
    'log-member: node 1 (host1) has the log',
    'log-member: node 2 (host2) has the log',
    'log-writer: node 1 (host1) writes the log device, epoch 2',
  ]);
  expect(look(true, table([1, 2], 1))).toEqual([]);
  const away = table([1, 2], 1);
  Object.assign(memberOf(away, 1) ?? {}, { present: false });
  expect(look(true, away)).toEqual([
    'log-writer: node 1 (host1) is to write the log device and is away: new marks wait',
  ]);
  expect(look(true, { ...table([2], 2), epoch: 3 })).toEqual([
    'log-member-gone: node 1 (host1) does not have the log any more',
    'log-writer: node 2 (host2) writes the log device, epoch 3',
  ]);
  expect(look(false)).toEqual([
    'no-quorum: this side of the cluster has no quorum: new marks wait or fail, nothing is cleaned or recovered',
  ]);
});

it('a daemon that begins without quorum does not say that it lost it, and a core log has no writer', () => {
  const { look } = watched();
  expect(look(false, table([1], 1, false))).toEqual(['log-member: node 1 (host1) has the log']);
  expect(look(true, table([1], 1, false))).toEqual(['quorum: this side of the cluster has quorum']);
});

it('a view names who is there, who came, and who left and why', () => {
  const member = (node: number) => ({ node, name: `host${node}`, bootId: 'b', incarnation: '1' });
  const left = [{ member: member(3), reason: 'process-down' as const }];
  const event = viewEvent({ epoch: 7, meeting: '1', members: [member(1), member(2)], joined: [member(2)], left });
  expect(event?.fields).toEqual({
    view: 7,
    text: 'members: 1 host1, 2 host2; came: 2 host2; left: 3 host3 (its daemon is gone, or has lost corosync)',
  });
  expect(viewEvent({ epoch: 8, meeting: '1', members: [], joined: [], left })).toBeNull();
});

it('a wait is told when two looks find the same, and its end then only', () => {
  const said: string[] = [];
  const lasting = new LastingWaits((uuid, waits) => said.push(`${uuid} ${waits.map(({ code }) => code).join()}`));
  const acknowledgement = (progress: number): WaitNow => ({ code: 'acknowledgement', nodes: [2], progress });
  const look = (nowMs: number, ...waits: WaitNow[]) => {
    lasting.look([{ uuid: 'a', waits }], nowMs);
    return said.splice(0);
  };
  // Under load something waits at every look, and gets on.
  expect(look(0, acknowledgement(5))).toEqual([]);
  expect(look(2000, acknowledgement(9))).toEqual([]);
  expect(look(4000)).toEqual([]);
  expect(look(6000, acknowledgement(9))).toEqual([]);
  expect(lasting.sinceMs('a', [acknowledgement(9)])).toBe(6000);
  expect(lasting.sinceMs('a', [acknowledgement(10)])).toBe(-1);
  expect(look(8000, acknowledgement(9))).toEqual(['a acknowledgement']);
  expect(look(10_000, acknowledgement(9))).toEqual([]);
  expect(look(12_000, { code: 'quorum', nodes: [], progress: 0 })).toEqual([]);
  expect(look(14_000, { code: 'quorum', nodes: [], progress: 0 })).toEqual(['a quorum']);
  expect(look(16_000)).toEqual(['a ']);
});
