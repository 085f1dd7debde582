/** R7: who is lost, and when somebody is asked about it. */
import { expect, it } from 'vitest';
import { type LostHost, LostNodes } from '../../ts/daemon/lost-nodes.js';
import { addMember, emptyTable, type MemberTable, newMember } from '../../ts/mirror/member-table.js';

function table(...members: readonly (readonly [node: number, present: boolean, boot?: string])[]): MemberTable {
  const made = emptyTable('LVM-a');
  for (const [node, present, boot] of members) {
    const member = newMember(node, `host${node}`, boot ?? `boot${node}`, 'active');
    member.present = present;
    addMember(made, member);
  }
  return made;
}

class Watched {
  readonly said: string[] = [];
  readonly lost: LostHost[] = [];
  readonly nodes = new LostNodes({
    lost: (host) => {
      this.lost.push(host);
      this.said.push(`lost ${host.node}`);
    },
    settled: (node) => this.said.push(`settled ${node}`),
  });

  look(tables: MemberTable[], heard: number[], mayAsk = true, nowMs = 0): string[] {
    this.nodes.look(tables, heard, mayAsk, { lostMs: nowMs, lostUpMs: nowMs + 7 });
    return this.said.splice(0);
  }
}

it('a host that corosync does not hear, once, until it is back', () => {
  const watched = new Watched();
  expect(watched.look([table([1, true], [2, true])], [1, 2])).toEqual([]);
  expect(watched.look([table([1, true], [2, false])], [1], true, 500)).toEqual(['lost 2']);
  expect(watched.lost).toEqual([{ node: 2, name: 'host2', boot: 'boot2', lostMs: 500, lostUpMs: 507 }]);
  expect(watched.look([table([1, true], [2, false]), table([2, false])], [1], true, 900)).toEqual([]);
  expect(watched.nodes.find(2)?.lostMs).toBe(500);
  expect(watched.look([table([1, true], [2, true])], [1, 2])).toEqual(['settled 2']);
  expect(watched.look([table([1, true], [2, false])], [1])).toEqual(['lost 2']);
});

it('not a host whose daemon alone is gone; but when that host goes too', () => {
  const watched = new Watched();
  expect(watched.look([table([1, true], [2, false])], [1, 2])).toEqual([]);
  expect(watched.nodes.find(2)).toBeNull();
  expect(watched.look([table([1, true], [2, false])], [1])).toEqual(['lost 2']);
});

it('settled when no log waits for it any more', () => {
  const watched = new Watched();
  watched.look([table([1, true], [2, false])], [1]);
  expect(watched.look([table([1, true])], [1])).toEqual(['settled 2']);
});

it('nobody is asked without quorum, and the time of the loss is kept meanwhile', () => {
  const watched = new Watched();
  const after = [table([1, true], [2, false])];
  expect(watched.look(after, [1], false, 100)).toEqual([]);
  expect(watched.nodes.find(2)?.lostMs).toBe(100);
  expect(watched.look(after, [1], true, 200)).toEqual(['lost 2']);
  expect(watched.lost[0]?.lostMs).toBe(100);
  expect(watched.look(after, [1], false, 300)).toEqual(['settled 2']);
});

it('lost again in another boot is another loss', () => {
  const watched = new Watched();
  watched.look([table([1, true], [2, false, 'first'])], [1], true, 100);
  expect(watched.look([table([1, true], [2, false, 'second'])], [1], true, 200)).toEqual(['settled 2', 'lost 2']);
  expect(watched.nodes.find(2)).toMatchObject({ boot: 'second', lostMs: 200 });
});
