/** The parent's side of `corosync-member.mjs`: an `OrderedTransport` whose calls and events go through a pipe. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { GroupView } from '../../ts/base/group-view.js';
import type { CorosyncState } from '../../ts/cluster/corosync.js';
import type { OrderedTransport, TransportEvents } from '../../ts/cluster/transport.js';
import type { LogMessage } from '../../ts/mirror/messages.js';
import { type CorosyncCluster, until } from './corosync-cluster.mjs';

interface Answer {
  readonly state?: CorosyncState;
  readonly slowestMs?: number;
  readonly cpuMs?: number;
  readonly rss?: number;
  readonly groups?: string[];
  readonly error?: string;
}

type SentMessage = Omit<LogMessage, 'regions' | 'count' | 'bytes' | 'byteCount'> & {
  readonly regions: number[];
  readonly bytes: string;
};

interface Said extends Answer {
  readonly delivered?: number;
  readonly message?: SentMessage;
  readonly acknowledged?: number;
  readonly view?: GroupView;
  readonly quorate?: boolean;
  readonly answer?: number;
  readonly problem?: string;
  readonly recovered?: string;
}

const program = fileURLToPath(new URL('./corosync-member.mjs', import.meta.url));

export class MemberProcess implements OrderedTransport {
  readonly kind = 'corosync' as const;
  readonly node: number;
  readonly problems: string[] = [];
  readonly recovered: string[] = [];
  readonly child: ChildProcess;
  readonly #events: TransportEvents;
  readonly #answers = new Map<number, Answer>();
  #asked = 0;
  #closed = false;
  submitted = 0;
  ownDelivered = 0;
  order = 0;
  acknowledged = 0;
  view: GroupView | null = null;
  quorate = false;
  quorumCalls = 0;

  constructor(cluster: CorosyncCluster, node: number, group: string, incarnation: string, events: TransportEvents) {
    this.node = node;
    this.#events = events;
    const [command = '', ...rest] = cluster.command(node);
    const args = [...rest, process.execPath, program, String(node), group, incarnation];
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child.stdin?.on('error', () => {});
    const stdout = this.child.stdout;
    if (stdout === null) throw new Error('a member has an output');
    createInterface({ input: stdout }).on('line', (line) => this.#hear(JSON.parse(line)));
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** In a view of just these nodes, with everything delivered and acknowledged. */
  settled(nodes: readonly number[]): boolean {
    const there = this.view?.members.map(({ node }) => node).join() === nodes.join() && this.quorate;
    return there && this.ownDelivered === this.submitted && this.acknowledged === this.order;
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async entered(): Promise<void> {
    await until(`node ${this.node} is in its group`, () => this.view !== null);
  }

  #hear(said: Said): void {
    if (typeof said.delivered === 'number') this.#delivered(said.delivered, said.message);
    else if (typeof said.acknowledged === 'number') {
      this.acknowledged = said.acknowledged;
      this.#events.acknowledged(this.acknowledged);
    } else if (said.view !== undefined) {
      this.view = said.view;
      this.#events.viewChanged(this.view);
    } else if (typeof said.quorate === 'boolean') {
      this.quorate = said.quorate;
      this.quorumCalls += 1;
      this.#events.quorumChanged(this.quorate);
    } else if (typeof said.answer === 'number') this.#answers.set(said.answer, said);
    else if (typeof said.problem === 'string') this.problems.push(said.problem);
    else if (typeof said.recovered === 'string') this.recovered.push(said.recovered);
  }

  #delivered(order: number, said: SentMessage | undefined): void {
    if (said === undefined) throw new Error('a delivery without a message');
    const { regions, bytes, ...rest } = said;
    const content = new Uint8Array(Buffer.from(bytes, 'base64'));
    const message = { ...rest, regions: Float64Array.from(regions), count: regions.length, bytes: content };
    this.order = order;
    if (rest.node === this.node) this.ownDelivered += 1;
    this.#events.delivered(order, { ...message, byteCount: content.length });
  }

  #say(what: object): void {
    this.child.stdin?.write(`${JSON.stringify(what)}\n`);
  }

  submit(message: LogMessage): void {
    if (this.#closed) throw new Error('the member is closed');
    this.submitted += 1;
    const regions = [...message.regions.slice(0, message.count)];
    const bytes = Buffer.from(message.bytes.slice(0, message.byteCount)).toString('base64');
    const { type, node, uuid, seq, flag } = message;
    this.#say({ submit: { type, node, uuid, seq, flag, regions, bytes } });
  }

  flush(): void {
    if (this.#closed) throw new Error('the member is closed');
    this.#say({ flush: true });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#say({ close: true });
  }

  /** Keeps the member's event loop from everything. */
  hold(busyMs: number): void {
    this.#say({ busyMs });
  }

  async ask(question: 'state' | 'groups'): Promise<Answer> {
    this.#asked += 1;
    const id = this.#asked;
    this.#say({ [question]: id });
    await until(`an answer of node ${this.node}`, () => this.#answers.has(id));
    return this.#answers.get(id) as Answer;
  }

  async kill(): Promise<void> {
    this.#closed = true;
    this.child.kill('SIGKILL');
    await until(`the end of the member on node ${this.node}`, () => this.ended);
  }
}

/** Waits until these members are one view, with all that any of them submitted delivered and acknowledged, and heard of here. */
export async function settle(members: readonly MemberProcess[], nodes: readonly number[]): Promise<void> {
  const still = () => members.every((member) => member.settled(nodes));
  do {
    await until(`nodes ${nodes.join()} settle`, () => {
      // Also what was submitted in an event: here no turn ends behind it.
      for (const member of members) member.flush();
      return still();
    });
    // What a member said before its answer has been heard with it.
    for (let round = 0; round < 2; round++) await Promise.all(members.map((member) => member.ask('state')));
  } while (!still());
}
