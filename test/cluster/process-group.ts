/**
 * A model of a CPG group for `GroupSession`: agreed order within a component of the network, and nothing more. What corosync leaves
 * open is left to chance here: how long a process takes to see an event, when a multicast gets its place, what was on its way
 * when the network broke (it is sent in the next component), and that whoever comes in a merge sees the others come one by one. A
 * node that slept hears of what came meanwhile before it hears of what went.
 *
 * It checks at every step what a transport promises; whoever finds it wanting throws.
 */
import type { GroupMember, GroupView } from '../../ts/base/group-view.js';
import { GroupSession } from '../../ts/cluster/group-session.js';
import type { LogMessage } from '../../ts/mirror/messages.js';
import { type CpgConfiguration, type CpgProcess, CpgReason, CpgSent } from '../../ts/native/cpg-group.js';
import { message } from './transport-conformance.js';

type GroupEvent =
  | {
      readonly id: number;
      readonly kind: 'multicast';
      readonly node: number;
      readonly pid: number;
      readonly bytes: Buffer;
    }
  | { readonly id: number; readonly kind: 'configuration'; readonly configuration: CpgConfiguration };

const inbox = Buffer.alloc(65_536);

interface Seen {
  readonly id: number;
  readonly messages: number[];
  /** Event at which the view in force behind this event was entered, 0: none. */
  viewEvent: number;
  view: readonly number[];
}

export class ModelProcess {
  readonly session: GroupSession;
  readonly outbox: Buffer[] = [];
  readonly inbox: GroupEvent[] = [];
  readonly history = new Map<number, Seen>();
  readonly delivered = new Set<number>();
  /** Message of each order. */
  readonly byOrder = new Map<number, number>();
  /** Last message of each sender since it came into the view. */
  readonly lastOf = new Map<number, number>();
  readonly joinedAt = new Map<number, number>();
  readonly problems: string[] = [];
  view: GroupView | null = null;
  viewEvent = 0;
  submitted = 0;
  order = 0;
  acknowledged = 0;
  alive = true;
  /** Chance that corosync takes nothing, of 1. */
  busy = 0;
  #current: Seen | null = null;

  readonly group: ProcessGroup;
  readonly node: number;
  readonly pid: number;

  constructor(group: ProcessGroup, node: number, pid: number) {
    this.group = group;
    this.node = node;
    this.pid = pid;
    const self: GroupMember = { node, name: `host${node}`, bootId: `boot${node}`, incarnation: String(pid) };
    this.session = new GroupSession(
      self,
      {
        delivered: (order, got) => this.#onDelivered(order, got),
        acknowledged: (order) => this.#onAcknowledged(order),
        viewChanged: (view) => this.#onView(view),
        quorumChanged: () => {},
      },
      {
        send: (bytes, count) => {
          if (group.random() < this.busy) return CpgSent.busy;
          this.outbox.push(Buffer.from(bytes.subarray(0, count)));
          return CpgSent.sent;
        },
      },
      { problem: (_event, text) => this.problems.push(text) },
    );
    this.session.connected({ node, pid, session: 1 + Math.floor(group.random() * 2 ** 31) });
  }

  submit(bytes = 0): void {
    this.submitted += 1;
    // Message numbers are unique in the group: who sent it, and the how manieth it is.
    const sent = message(this.pid * 100_000 + this.submitted, [this.submitted, 3], this.node);
    sent.bytes = new Uint8Array(bytes).fill(this.submitted);
    sent.byteCount = bytes;
    this.session.submit(sent);
  }

  /** Takes the next event; true when there was one. */
  step(): boolean {
    const event = this.inbox.shift();
    if (event === undefined) return false;
    this.#current = { id: event.id, messages: [], viewEvent: 0, view: [] };
    if (event.kind === 'configuration') this.session.configuration(event.configuration);
    else {
      // The session overwrites what it reads.
      event.bytes.copy(inbox);
      const broken = this.session.multicast(event.node, event.pid, inbox, event.bytes.length);
      if (broken !== '') throw new Error(`process ${this.pid}: ${broken}`);
    }
    this.#current.viewEvent = this.viewEvent;
    this.#current.view = this.view?.members.map(({ incarnation }) => Number(incarnation)) ?? [];
    this.history.set(event.id, this.#current);
    this.group.compare(this, this.#current);
    if (this.group.random() < 0.7) this.settle();
    return true;
  }

  settle(): void {
    this.session.settle();
    this.session.flush();
  }

  #onDelivered(order: number, got: LogMessage): void {
    this.order += 1;
    if (order !== this.order) throw new Error(`order ${order} where ${this.order} is next`);
    if (got.byteCount > 0 && got.bytes[got.byteCount - 1] !== (got.seq % 100_000) % 256)
      throw new Error('bytes are mixed up');
    const sender = Math.floor(got.seq / 100_000);
    const last = this.lastOf.get(sender);
    if (last !== undefined && got.seq !== last + 1)
      throw new Error(`${this.pid} had ${last} of ${sender}, now ${got.seq}`);
    if (this.view?.members.some(({ incarnation }) => incarnation === String(sender)) !== true) {
      throw new Error(`${this.pid} has a message of ${sender}, which is not in its view`);
    }
    this.lastOf.set(sender, got.seq);
    this.delivered.add(got.seq);
    this.byOrder.set(order, got.seq);
    this.#current?.messages.push(got.seq);
  }

  #onAcknowledged(order: number): void {
    if (order <= this.acknowledged || order > this.order) throw new Error(`acknowledged ${order} of ${this.order}`);
    for (let at = this.acknowledged + 1; at <= order; at++) {
      const seq = this.byOrder.get(at) as number;
      const sender = Math.floor(seq / 100_000);
      for (const { incarnation } of this.view?.members ?? []) {
        const other = this.group.process(Number(incarnation));
        if ((this.joinedAt.get(other.pid) ?? 0) >= at) continue;
        // Its sender is the one for whom it is acknowledged, and whom nobody else waits for.
        if (other.pid === sender) continue;
        if (!other.delivered.has(seq))
          throw new Error(`${this.pid}: ${seq} is acknowledged and ${other.pid} has not had it`);
      }
    }
    this.acknowledged = order;
  }

  #onView(view: GroupView): void {
    const before = this.view?.members ?? [];
    const kept = before.filter(
      ({ incarnation }) => !view.left.some(({ member }) => member.incarnation === incarnation),
    );
    const expected = [...kept, ...view.joined].sort((a, b) => a.node - b.node);
    if (JSON.stringify(expected) !== JSON.stringify(view.members)) throw new Error('a view is not what came and went');
    if (new Set(view.members.map(({ node }) => node)).size !== view.members.length)
      throw new Error('a node is there twice');
    this.view = view.members.length === 0 ? null : view;
    this.viewEvent = this.view === null ? 0 : (this.#current?.id ?? 0);
    for (const { incarnation } of view.joined) {
      this.lastOf.delete(Number(incarnation));
      this.joinedAt.set(Number(incarnation), this.order);
    }
  }
}

export class ProcessGroup {
  readonly processes: ModelProcess[] = [];
  /** Component of each node. */
  readonly #component = new Map<number, number>();
  readonly #byPid = new Map<number, ModelProcess>();
  /** Nodes that sleep: where they belong, and whom they believe to be there. */
  readonly #asleep = new Map<number, { readonly home: number; readonly knew: readonly ModelProcess[] }>();
  #events = 0;
  #pids = 0;

  readonly random: () => number;

  constructor(random: () => number, nodes: number) {
    this.random = random;
    for (let node = 1; node <= nodes; node++) this.#component.set(node, 0);
  }

  process(pid: number): ModelProcess {
    return this.#byPid.get(pid) as ModelProcess;
  }

  get living(): ModelProcess[] {
    return this.processes.filter(({ alive }) => alive);
  }

  component(node: number): number {
    return this.#component.get(node) ?? 0;
  }

  #inComponent(component: number): ModelProcess[] {
    return this.living.filter(({ node }) => this.component(node) === component);
  }

  /** Until nothing is on its way and nobody has anything to say. */
  drain(): void {
    for (let round = 0; round < 10_000; round++) {
      let busy = false;
      for (const process of this.living) {
        process.busy = 0;
        while (process.step()) busy = true;
        process.settle();
        while (process.outbox.length > 0) {
          busy = true;
          this.orderNext(process);
        }
      }
      if (!busy) return;
    }
    throw new Error('the group never comes to rest');
  }

  start(node: number, Kind: typeof ModelProcess = ModelProcess): ModelProcess {
    this.wake(node);
    this.#pids += 1;
    const process = new Kind(this, node, this.#pids);
    this.processes.push(process);
    this.#byPid.set(process.pid, process);
    const there = this.#inComponent(this.component(node));
    const joined = [{ node, pid: process.pid, reason: CpgReason.join }];
    this.#tell(there, { members: there.map(address), left: [], joined });
    return process;
  }

  /** Ends a process; `reason` is what the others hear. What it sent last may or may not still come. */
  end(process: ModelProcess, reason: number): void {
    while (process.outbox.length > 0 && this.random() < 0.5) this.orderNext(process);
    process.alive = false;
    const there = this.#inComponent(this.component(process.node));
    this.#tell(there, { members: there.map(address), left: [{ ...address(process), reason }], joined: [] });
  }

  /** Puts the next multicast of a process into the order. */
  orderNext(process: ModelProcess): void {
    const bytes = process.outbox.shift();
    if (bytes === undefined) return;
    this.#events += 1;
    const event: GroupEvent = { id: this.#events, kind: 'multicast', node: process.node, pid: process.pid, bytes };
    for (const other of this.#inComponent(this.component(process.node))) other.inbox.push(event);
  }

  /** Gives every node a component anew; those that part see each other leave, those that meet see each other come. */
  rewire(componentOf: (node: number) => number): void {
    this.wakeAll();
    const before = new Map(this.#component);
    for (const node of before.keys()) this.#component.set(node, componentOf(node));
    const sides = new Map<string, ModelProcess[]>();
    for (const process of this.living) {
      const side = `${before.get(process.node)}/${this.component(process.node)}`;
      sides.set(side, [...(sides.get(side) ?? []), process]);
    }
    for (const side of sides.values()) {
      const first = side[0] as ModelProcess;
      const gone = this.living.filter(
        ({ node }) =>
          before.get(node) === before.get(first.node) && this.component(node) !== this.component(first.node),
      );
      const left = gone.map((process) => ({ ...address(process), reason: CpgReason.nodeDown }));
      if (left.length > 0) this.#tell(side, { members: side.map(address), left, joined: [] });
      // One by one, and in whatever order: nodes that come bring their processes.
      const members = side.map(address);
      const others = this.#inComponent(this.component(first.node)).filter((process) => !side.includes(process));
      for (const node of [...new Set(others.map((process) => process.node))].sort(() => this.random() - 0.5)) {
        const joined = others
          .filter((process) => process.node === node)
          .map((process) => ({ ...address(process), reason: CpgReason.nodeUp }));
        members.push(...joined);
        this.#tell(side, { members: [...members], left: [], joined });
      }
    }
  }

  /** The node hears nothing, and does not notice; to the others it is gone. Only a node that has one process, with others beside. */
  sleep(node: number): void {
    const [own, ...more] = this.living.filter((process) => process.node === node);
    const others = this.#inComponent(this.component(node)).filter((process) => process.node !== node);
    if (own === undefined || more.length > 0 || others.length === 0 || this.#asleep.has(node)) return;
    this.#asleep.set(node, { home: this.component(node), knew: [own, ...others] });
    this.#component.set(node, -node);
    const left = [{ ...address(own), reason: CpgReason.nodeDown }];
    this.#tell(others, { members: others.map(address), left, joined: [] });
  }

  /** It meets the others again: their processes go and come again at once, successors come before those that are gone leave. */
  wake(node: number): void {
    const slept = this.#asleep.get(node);
    if (slept === undefined) return;
    this.#asleep.delete(node);
    const own = this.living.find((process) => process.node === node);
    this.#component.set(node, slept.home);
    if (own === undefined) return;
    const there = this.#inComponent(slept.home).filter((process) => process !== own);
    const members = [...slept.knew];
    for (const process of there) {
      const known = members.includes(process);
      const left = known ? [{ ...address(process), reason: CpgReason.nodeDown }] : [];
      if (known)
        this.#tell([own], { members: members.filter((other) => other !== process).map(address), left, joined: [] });
      else members.push(process);
      const joined = [{ ...address(process), reason: CpgReason.nodeUp }];
      this.#tell([own], { members: members.map(address), left: [], joined });
    }
    for (const gone of slept.knew.filter((process) => process !== own && !there.includes(process))) {
      members.splice(members.indexOf(gone), 1);
      const left = [{ ...address(gone), reason: CpgReason.processDown }];
      this.#tell([own], { members: members.map(address), left, joined: [] });
    }
    this.#tell(there, {
      members: [...there, own].map(address),
      left: [],
      joined: [{ ...address(own), reason: CpgReason.nodeUp }],
    });
  }

  wakeAll(): void {
    for (const node of [...this.#asleep.keys()]) this.wake(node);
  }

  #tell(processes: readonly ModelProcess[], configuration: CpgConfiguration): void {
    this.#events += 1;
    for (const process of processes) process.inbox.push({ id: this.#events, kind: 'configuration', configuration });
  }

  /** Who entered the same view at the same event has the same behind every later one. */
  compare(process: ModelProcess, seen: Seen): void {
    for (const other of this.processes) {
      const there = other.history.get(seen.id);
      if (other === process || there === undefined) continue;
      const together = seen.view.includes(other.pid) && there.view.includes(process.pid);
      if (together && seen.view.join() !== there.view.join()) {
        throw new Error(`event ${seen.id}: ${process.pid} sees ${seen.view}, ${other.pid} sees ${there.view}`);
      }
      if (together && seen.viewEvent === there.viewEvent && seen.viewEvent < seen.id) {
        if (seen.messages.join() !== there.messages.join()) {
          throw new Error(`event ${seen.id}: ${process.pid} had ${seen.messages}, ${other.pid} had ${there.messages}`);
        }
      }
      // A view in which both are begins for both or for neither.
      if (seen.viewEvent === seen.id && seen.view.includes(other.pid) && !there.view.includes(process.pid)) {
        throw new Error(`event ${seen.id}: ${process.pid} has ${other.pid} in its view, which has ${there.view}`);
      }
    }
  }
}

function address({ node, pid }: ModelProcess): CpgProcess {
  return { node, pid, reason: 0 };
}
