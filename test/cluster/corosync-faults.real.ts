/**
 * What happens to corosync, and what members make of it: nodes that fall silent, networks that break and heal, a corosync that
 * is stopped, killed and started again, one that is not there. Real corosync, as in `corosync.real.ts`.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CorosyncCluster, sleep, until, whyNoCluster } from './corosync-cluster.mjs';
import { MemberProcess, settle } from './member-process.js';
import { message, Witness } from './transport-conformance.js';

const why = whyNoCluster();
const nodes = [1, 2, 3];
let groups = 0;

describe.skipIf(why !== '')(why === '' ? 'faults of corosync' : `faults of corosync (skipped: ${why})`, () => {
  let cluster: CorosyncCluster;
  let members: MemberProcess[];
  let witnesses: Witness[];
  let group: string;

  const member = (node: number) => members[node - 1] as MemberProcess;
  const witness = (node: number) => witnesses[node - 1] as Witness;
  const views = (node: number) => witness(node).views.map((view) => view.members.map((other) => other.node).join());
  const sees = (node: number, list: readonly number[]) =>
    until(
      `node ${node} sees ${list.join() || 'nobody'}`,
      () =>
        member(node)
          .view?.members.map((m) => m.node)
          .join() === list.join(),
    );
  const settled = (list: readonly number[]) => settle(list.map(member), list);
  const lastLeft = (node: number) =>
    witness(node)
      .views.at(-1)
      ?.left.map((one) => [one.member.node, one.reason]);

  beforeAll(async () => {
    cluster = await CorosyncCluster.start(nodes.length);
  });
  afterAll(() => cluster.close());

  beforeEach(async () => {
    groups += 1;
    group = `lockstep.test.faults.${groups}`;
    witnesses = nodes.map(() => new Witness());
    members = nodes.map((node) => new MemberProcess(cluster, node, group, '1', witness(node)));
    await settled(nodes);
  });
  afterEach(async () => {
    for (const node of nodes) {
      cluster.pauseCorosync(node, false);
      cluster.startCorosync(node);
    }
    cluster.heal();
    for (const one of members) if (!one.ended) one.close();
    await until('the members end', () => members.every(({ ended }) => ended));
    await cluster.settled(nodes);
  });

  it('a network that breaks and heals: two sides, and one view again, with nothing of the other side in between', async () => {
    cluster.partition([1, 2], [3]);
    await sees(1, [1, 2]);
    await sees(2, [1, 2]);
    await sees(3, [3]);
    expect(lastLeft(1)).toEqual([[3, 'node-down']]);
    await until('quorum is known', () => member(1).quorate && !member(3).quorate);
    // Told again behind the view, though on this side it has not changed.
    await until('quorum is told again', () => witness(1).quorum.length > 1);
    member(1).submit(message(11, [], 1));
    member(3).submit(message(33, [], 3));
    await until('both sides go on', () => {
      for (const node of nodes) member(node).flush();
      return member(1).acknowledged === 1 && member(2).acknowledged === 1 && member(3).acknowledged === 1;
    });
    cluster.heal();
    await settled(nodes);
    expect(witness(1).messages.map(({ seq }) => seq)).toEqual([11]);
    expect(witness(3).messages.map(({ seq }) => seq)).toEqual([33]);
    expect(
      witness(1)
        .views.at(-1)
        ?.joined.map(({ node }) => node),
    ).toEqual([3]);
    expect(
      witness(3)
        .views.at(-1)
        ?.joined.map(({ node }) => node),
    ).toEqual([1, 2]);
    member(2).submit(message(22, [], 2));
    await settled(nodes);
    for (const node of nodes) expect(witness(node).messages.at(-1)?.seq).toBe(22);
  });

  it('who begins where there is no quorum is told so', async () => {
    cluster.partition([1, 2], [3]);
    await until('quorum is lost', () => !member(3).quorate);
    const late = new Witness();
    const newcomer = new MemberProcess(cluster, 3, `${group}.late`, '1', late);
    await until('it has its view', () => late.views.length > 0);
    await until('it is told', () => late.quorum.length > 0);
    expect(late.quorum).toEqual([false]);
    newcomer.close();
    await until('it ends', () => newcomer.ended);
  });

  it('a corosync that is killed and started again: nobody there, no quorum, and a member anew', async () => {
    member(3).submit(message(1, [], 3));
    await settled(nodes);
    await cluster.killCorosync(3);
    await sees(3, []);
    expect(lastLeft(3)).toEqual(nodes.map((node) => [node, 'unknown']));
    expect(witness(3).quorum.at(-1)).toBe(false);
    await sees(1, [1, 2]);
    // Submitted while there is no group: it comes behind the next view.
    member(3).submit(message(2, [], 3));
    member(3).flush();
    await sleep(500);
    const { state, cpuMs: before = 0 } = await member(3).ask('state');
    expect(state?.problem).toMatch(/corosync does not answer: /);
    await sleep(1500);
    const { cpuMs: after = 0 } = await member(3).ask('state');
    // No busy loop while it is away.
    expect(after - before).toBeLessThan(500);
    // One line when it went, and no more while it stays away.
    expect(member(3).problems).toHaveLength(1);
    cluster.startCorosync(3);
    await settled(nodes);
    // Corosync may have begun alone: whoever is in the view behind which it came has it, and nobody else.
    const seen = witness(3).seen.slice(0, witness(3).seen.indexOf('message 2'));
    const view = witness(3).views[seen.filter((what) => what.startsWith('view ')).length - 1];
    const within = new Set(view?.members.map(({ node }) => node));
    expect(within).toContain(3);
    for (const node of nodes) {
      expect(witness(node).messages.map(({ seq }) => seq)).toEqual(within.has(node) ? [1, 2] : [1]);
    }
    expect(member(3).recovered).toHaveLength(1);
  });

  it('a corosync that ends in order takes its members with it', async () => {
    await cluster.killCorosync(2, 'SIGTERM');
    await sees(2, []);
    await sees(1, [1, 3]);
    cluster.startCorosync(2);
    await settled(nodes);
  });

  it('R15: a corosync that is stopped: the member works on, waits for it, and comes back by itself', async () => {
    member(3).submit(message(1, [], 3));
    await settled(nodes);
    await member(3).ask('state');
    cluster.pauseCorosync(3, true);
    for (let i = 0; i < 3000; i++) {
      member(3).submit(message(100 + i, [i], 3));
      if (i % 10 === 0) member(3).flush();
    }
    await sees(1, [1, 2]);
    await sleep(1000);
    const { state, slowestMs } = await member(3).ask('state');
    // Its event loop was never held up by corosync: nothing was sent that would have been.
    expect(slowestMs).toBeLessThan(1000);
    expect(state?.onTheWay).toBeLessThanOrEqual(17);
    expect(state?.waitingBytes).toBeGreaterThan(1000);
    // Whoever asks gets his answer when corosync goes on, and holds up nobody meanwhile.
    const asked = member(3).ask('groups');
    cluster.pauseCorosync(3, false);
    await settled(nodes);
    expect((await asked).groups).not.toContain(group);
    expect(witness(3).messages.map(({ seq }) => seq)).toEqual([1, ...Array.from({ length: 3000 }, (_, i) => 100 + i)]);
    // Alone on its side first, as after any break of the network; then with the others again.
    expect(views(3)).toContain('3');
    member(3).submit(message(9, [], 3));
    await settled(nodes);
    for (const node of nodes) expect(witness(node).messages.at(-1)?.seq).toBe(9);
  });

  it('a member that starts without corosync says so, and enters when it comes', async () => {
    await cluster.killCorosync(2);
    await member(2).kill();
    witnesses[1] = new Witness();
    members[1] = new MemberProcess(cluster, 2, group, '2', witness(2));
    await until('it says so', () => member(2).problems.length > 0);
    expect(member(2).problems[0]).toMatch(/corosync does not answer: /);
    expect(views(2)).toEqual([]);
    member(2).submit(message(7, [], 2));
    cluster.startCorosync(2);
    await settled(nodes);
    expect(witness(2).seen[0]).toMatch(/^view /);
    expect(witness(2).messages.map(({ seq }) => seq)).toEqual([7]);
    expect(witness(1).views.at(-1)?.joined[0]?.incarnation).toBe('2');
  });

  it('the names of other groups are there for the asking', async () => {
    const other = new MemberProcess(cluster, 2, 'LVM-of-another-kind\\0', '1', new Witness());
    await until('it is in its group', () => other.view !== null);
    const { groups: names } = await member(1).ask('groups');
    expect(names).toContain('LVM-of-another-kind\0');
    expect(names).not.toContain(group);
    await other.kill();
  });

  it('two daemons of one node: one is in the view, and the other when that is gone', async () => {
    const second = new Witness();
    const other = new MemberProcess(cluster, 1, group, '2', second);
    await until('it is told', () => other.problems.length > 0);
    expect(other.problems[0]).toMatch(/another daemon of this node is in the group/);
    expect(second.views).toEqual([]);
    await member(1).kill();
    await until('it is in', () => other.view?.members.length === 3);
    await until('the others see it', () => witness(2).views.at(-1)?.members[0]?.incarnation === '2');
    await other.kill();
  });
});
