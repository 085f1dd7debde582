/**
 * The core over the real group session: hosts whose messages go through `GroupSession` and a model of a CPG group (agreed order in
 * each component of the network). One process a node; it may lose its connection and come again under the same pid.
 */
import type { GroupView } from '../../ts/base/group-view.js';
import { GroupSession } from '../../ts/cluster/group-session.js';
import { emptyHeader, openMulticast, sealMulticast } from '../../ts/cluster/wire.js';
import type { MirrorSettings } from '../../ts/mirror/mirror-service.js';
import { type CpgConfiguration, type CpgProcess, CpgReason, CpgSent } from '../../ts/native/cpg-group.js';
import { Host, TestDisk } from './host.js';

const inbox = Buffer.alloc(65_536);

type NetEvent =
  | { readonly kind: 'multicast'; readonly node: number; readonly pid: number; readonly bytes: Buffer }
  | { readonly kind: 'configuration'; readonly configuration: CpgConfiguration };

export class NetNode {
  readonly net: Net;
  readonly node: number;
  host: Host;
  session: GroupSession;
  pid: number;
  connected = false;
  outbox: Buffer[] = [];
  inbox: NetEvent[] = [];
  view: GroupView | null = null;
  readonly views: GroupView[] = [];
  readonly problems: string[] = [];
  readonly broken: string[] = [];
  quorumTold = false;
  quorumDue = false;
  busy = 0;
  boot = 1;

  constructor(net: Net, node: number) {
    this.net = net;
    this.node = node;
    this.pid = net.newPid();
    this.host = this.#newHost();
    this.session = this.#newSession();
  }

  get name(): string {
    return this.net.nameOf(this.node);
  }

  get bootId(): string {
    return `boot-${this.node}-${this.boot}`;
  }

  #newHost(): Host {
    return new Host({
      node: this.node,
      nodeName: this.name,
      bootId: this.bootId,
      disks: this.net.disks,
      settings: { ...this.net.settings, shared: true },
      submit: (message) => this.session.submit(message),
    });
  }

  #newSession(): GroupSession {
    const { host } = this;
    const self = { node: this.node, name: this.name, bootId: this.bootId, incarnation: String(this.pid) };
    return new GroupSession(
      self,
      {
        delivered: (order, message) => host.service.deliver(order, message, host.nowMs),
        acknowledged: (order) => host.service.acknowledged(order, host.nowMs),
        viewChanged: (view) => {
          this.view = view.members.length === 0 ? null : view;
          this.views.push(view);
          if (view.left.some(({ reason }) => reason === 'node-down' || reason === 'unknown')) this.quorumDue = true;
          host.service.viewChanged(view, host.nowMs);
          this.tellQuorum();
        },
        quorumChanged: () => {},
      },
      {
        send: (bytes, count) => {
          if (this.net.random() < this.busy) return CpgSent.busy;
          this.outbox.push(Buffer.from(bytes.subarray(0, count)));
          return CpgSent.sent;
        },
      },
      { problem: (_event, text) => this.problems.push(text) },
    );
  }

  tellQuorum(): void {
    const quorate = this.connected && this.net.isQuorate(this.node);
    if (quorate === this.quorumTold && !this.quorumDue) return;
    if (quorate && (!this.session.inView || this.session.awaited.length > 0)) return;
    this.quorumDue = false;
    this.quorumTold = quorate;
    this.host.service.quorumChanged(quorate, this.host.nowMs);
  }

  /** Connects; the group hears it come. */
  connect(): void {
    if (this.connected) return;
    this.connected = true;
    this.outbox = [];
    this.inbox = [];
    this.session.connected({ node: this.node, pid: this.pid, session: 1 + Math.floor(this.net.random() * 2 ** 31) });
    this.net.came(this);
  }

  /** The connection is lost, or given up: the daemon goes on. */
  disconnect(reason: number): void {
    if (!this.connected) return;
    this.net.goes(this, reason);
    this.connected = false;
    this.inbox = [];
    this.outbox = [];
    // As corosync.ts: quorum is told before the session.
    if (this.quorumTold) {
      this.quorumTold = false;
      this.host.service.quorumChanged(false, this.host.nowMs);
    }
    this.session.disconnected();
    this.host.service.endTurn(this.host.nowMs);
  }

  /** SIGKILL of the daemon, and a new one that is not connected. */
  restart(samePid = false): void {
    if (this.connected) {
      this.net.goes(this, CpgReason.processDown);
      this.connected = false;
    }
    this.#begin(samePid);
    this.host.restart(false);
    this.session = this.#newSession();
  }

  /** Power cut. */
  cutPower(): void {
    if (this.connected) {
      this.net.goes(this, CpgReason.nodeDown);
      this.connected = false;
    }
    this.boot += 1;
    this.#begin(false);
    this.host = this.#newHost();
    this.session = this.#newSession();
  }

  #begin(samePid: boolean): void {
    this.inbox = [];
    this.outbox = [];
    this.view = null;
    this.quorumTold = false;
    this.quorumDue = false;
    if (!samePid) this.pid = this.net.newPid();
  }

  /** Takes one event; false: there was none. */
  step(): boolean {
    const event = this.inbox.shift();
    if (event === undefined || !this.connected) return false;
    if (event.kind === 'configuration') this.session.configuration(event.configuration);
    else {
      event.bytes.copy(inbox);
      const why = this.session.multicast(event.node, event.pid, inbox, event.bytes.length);
      if (why !== '') {
        this.broken.push(why);
        this.disconnect(CpgReason.leave);
        return true;
      }
    }
    return true;
  }

  /** The end of a wake: as `CorosyncTransport.#drain` and the engine's turn. */
  turn(): void {
    if (this.connected) {
      this.tellQuorum();
      this.session.settle();
      this.session.flush();
    }
    this.host.service.endTurn(this.host.nowMs);
    if (this.connected) this.session.flush();
  }
}

export class Net {
  readonly disks = new Map<string, TestDisk>();
  readonly nodes: NetNode[] = [];
  readonly settings: Partial<MirrorSettings>;
  readonly random: () => number;
  readonly nameOf: (node: number) => string;
  readonly #component = new Map<number, number>();
  #pids = 100;

  constructor(
    nodes: readonly number[],
    {
      settings = {},
      random = () => 0.5,
      nameOf = (node) => `node${node}`,
    }: { settings?: Partial<MirrorSettings>; random?: () => number; nameOf?: (node: number) => string } = {},
  ) {
    this.settings = settings;
    this.random = random;
    this.nameOf = nameOf;
    this.disks.set('/dev/log', new TestDisk(1024 * 1024));
    for (const node of nodes) {
      this.#component.set(node, 0);
      this.nodes.push(new NetNode(this, node));
    }
  }

  newPid(): number {
    this.#pids += 1;
    return this.#pids;
  }

  of(node: number): NetNode {
    const found = this.nodes.find((one) => one.node === node);
    if (found === undefined) throw new Error(`no node ${node}`);
    return found;
  }

  component(node: number): number {
    return this.#component.get(node) ?? 0;
  }

  isQuorate(node: number): boolean {
    const side = [...this.#component.values()].filter((of) => of === this.component(node)).length;
    return 2 * side > this.nodes.length;
  }

  #side(component: number): NetNode[] {
    return this.nodes.filter((one) => one.connected && this.component(one.node) === component);
  }

  #tell(nodes: readonly NetNode[], configuration: CpgConfiguration): void {
    for (const one of nodes) one.inbox.push({ kind: 'configuration', configuration });
  }

  came(node: NetNode): void {
    const side = this.#side(this.component(node.node));
    const joined = [{ ...address(node), reason: CpgReason.join }];
    this.#tell(side, { members: side.map(address), left: [], joined });
  }

  goes(node: NetNode, reason: number): void {
    while (node.outbox.length > 0 && this.random() < 0.5) this.order(node);
    node.outbox = [];
    const side = this.#side(this.component(node.node)).filter((one) => one !== node);
    this.#tell(side, { members: side.map(address), left: [{ ...address(node), reason }], joined: [] });
  }

  /** Gives the next multicast of the node its place. */
  order(node: NetNode): boolean {
    const bytes = node.outbox.shift();
    if (bytes === undefined) return false;
    const event: NetEvent = { kind: 'multicast', node: node.node, pid: node.pid, bytes };
    for (const one of this.#side(this.component(node.node))) one.inbox.push(event);
    return true;
  }

  rewire(componentOf: (node: number) => number): void {
    const before = new Map(this.#component);
    for (const node of before.keys()) this.#component.set(node, componentOf(node));
    const living = this.nodes.filter(({ connected }) => connected);
    const sides = new Map<string, NetNode[]>();
    for (const one of living) {
      const key = `${before.get(one.node)}/${this.component(one.node)}`;
      sides.set(key, [...(sides.get(key) ?? []), one]);
    }
    for (const side of sides.values()) {
      const first = side[0] as NetNode;
      const gone = living.filter(
        ({ node }) =>
          before.get(node) === before.get(first.node) && this.component(node) !== this.component(first.node),
      );
      const left = gone.map((one) => ({ ...address(one), reason: CpgReason.nodeDown }));
      if (left.length > 0) this.#tell(side, { members: side.map(address), left, joined: [] });
      const members = side.map(address);
      for (const other of this.#side(this.component(first.node)).filter((one) => !side.includes(one))) {
        const joined = [{ ...address(other), reason: CpgReason.nodeUp }];
        members.push(...joined);
        this.#tell(side, { members: [...members], left: [], joined });
      }
    }
    // libquorum says so in no order: a loss at once.
    for (const one of living) if (!this.isQuorate(one.node)) one.tellQuorum();
  }

  /** Events, multicasts, turns and devices until nothing is left to do now. */
  settle(limit = 20_000): void {
    for (let round = 0; round < limit; round++) {
      let busy = false;
      for (const one of this.nodes) {
        while (one.step()) busy = true;
        one.turn();
        const before = one.host.submitted + one.host.answers.length;
        one.host.settle();
        one.turn();
        if (one.host.submitted + one.host.answers.length !== before) busy = true;
        while (this.order(one)) busy = true;
      }
      if (!busy) return;
    }
    throw new Error('the net does not come to rest');
  }

  wait(ms: number): void {
    for (let passed = 0; passed < ms; passed += 100) {
      for (const one of this.nodes) one.host.wait(100);
      this.settle();
    }
  }
}

/** The next own multicast of messages in the outbox, spoiled: of an unknown type, with the right checksum. */
export function spoil(bytes: Buffer): void {
  const header = emptyHeader();
  const copy = Buffer.from(bytes);
  if (openMulticast(copy, copy.length, header) !== 'sound') throw new Error('not sound');
  bytes[52] = 99;
  sealMulticast(bytes, bytes.length, header);
}

function address({ node, pid }: NetNode): CpgProcess {
  return { node, pid, reason: 0 };
}
