/** The transport of a cluster over real corosync: three nodes in network namespaces, each member a process of its own. */
import { afterAll, beforeAll } from 'vitest';
import type { TransportEvents } from '../../ts/cluster/transport.js';
import { CorosyncCluster, sleep, until, whyNoCluster } from './corosync-cluster.mjs';
import { MemberProcess, settle } from './member-process.js';
import { type ChangingGroup, describeChanges, describeTransport } from './transport-conformance.js';

const why = whyNoCluster();
const nodes = [1, 2, 3];
let cluster: CorosyncCluster;
let groups = 0;

if (why === '') {
  beforeAll(async () => {
    cluster = await CorosyncCluster.start(nodes.length);
  });
  afterAll(() => cluster.close());
}

class RealGroup implements ChangingGroup {
  readonly #group = `lockstep.test.${++groups}`;
  readonly members: MemberProcess[] = [];

  join(node: number, events: TransportEvents): MemberProcess {
    const member = new MemberProcess(cluster, node, this.#group, String(this.members.length + 1), events);
    this.members.push(member);
    return member;
  }

  get #living(): MemberProcess[] {
    return this.members.filter((member) => !member.ended && !member.closed);
  }

  async settle(): Promise<void> {
    const list = this.#living.map(({ node }) => node).sort((a, b) => a - b);
    await settle(this.#living, list);
  }

  async kill(node: number): Promise<void> {
    await this.#of(node).kill();
  }

  async hold(node: number, held: boolean): Promise<void> {
    this.#of(node).child.kill(held ? 'SIGSTOP' : 'SIGCONT');
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    for (const member of this.#living) member.flush();
    await until(what, condition);
  }

  pause(): Promise<void> {
    return sleep(300);
  }

  #of(node: number): MemberProcess {
    const member = this.#living.find((other) => other.node === node);
    if (member === undefined) throw new Error(`no member on node ${node}`);
    return member;
  }

  async close(): Promise<void> {
    for (const member of this.members) if (!member.ended) member.close();
    await until('the members end', () => this.members.every(({ ended }) => ended));
  }
}

describeTransport('corosync transport conforms', nodes, () => new RealGroup(), why);
describeChanges('corosync transport, members that come and go', () => new RealGroup(), why);
