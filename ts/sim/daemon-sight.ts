/** What a host sees of one daemon process: it tells the checkers, the truth about the kernel and the journal. */
import type { GroupView } from '../base/group-view.js';
import {
  DM_ULOG_CTR,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../base/ulog-frames.js';
import type { MirrorReport } from '../mirror/effects.js';
import { LifeCycle } from '../mirror/log-state.js';
import { type LogMessage, MessageType } from '../mirror/messages.js';
import { checkReply } from './checks/reply-checks.js';
import { type CheckedRule, Violation } from './checks/violation.js';
import { countJoin } from './cluster/moments.js';
import type { CountedState } from './daemon/counted-state.js';
import type { DaemonWatch } from './daemon/process.js';
import type { ReplyRecord, RequestRecord } from './daemon/requests.js';
import type { Host } from './host.js';
import { permitAtFailure, permitAtRemoval } from './recovery-permits.js';
import { describeRequest } from './wire.js';

export class DaemonSight implements DaemonWatch {
  readonly died: () => void;
  readonly #host: Host;
  /** Its messages; the transport delivers them in this order. */
  #submitted = 0;
  /** The SET_REGION_SYNC requests that it has had. */
  readonly #syncReports: RequestRecord[] = [];

  constructor(host: Host, died: () => void) {
    this.#host = host;
    this.died = died;
  }

  requestArrived(request: RequestRecord): void {
    this.#host.orphans.heard(request.key);
    this.#host.truth.heard(request);
    const truth = this.#host.truth.of(request);
    request.markOrder = truth.markOrder;
    const state = this.#host.states?.find(request.key);
    const known = state !== undefined;
    if (request.type === DM_ULOG_RESUME && state?.lifeCycle === LifeCycle.active && state.marksUnknown)
      request.cleanThen ??= cleanRegions(state);
    if (this.#host.alone) request.delivered = true;
    else if (request.type === DM_ULOG_SET_REGION_SYNC) this.#syncReports.push(request);
    if (request.type === DM_ULOG_CTR && request.endsWithNul) {
      this.#host.count('reconnect');
      const { atReconnect } = this.#host;
      this.#host.atReconnect = null;
      atReconnect?.();
      if (!known && this.#host.mirrors.has(request.uuid)) this.#host.truth.lost(request);
    }
    this.#host.note('handled', [request.seq], () => describeRequest(request));
  }

  replied(request: RequestRecord, reply: ReplyRecord): void {
    this.#host.note('reply', [request.type, request.seq, reply.error, reply.first, reply.second], () => {
      const data = reply.text === '' ? `${reply.first} ${reply.second}` : JSON.stringify(reply.text);
      return `${describeRequest(request)} -> ${reply.error} ${data}`;
    });
    this.#host.evaluations.check('one-answer', true, () => '');
    checkReply(this.#host, request, reply);
    this.#host.sim.cluster?.checks.replied(this.#host, request, reply);
    if (request.hostile) return;
    const state = this.#host.states?.find(request.key);
    if (request.type === DM_ULOG_PRESUSPEND && state?.draining === true) {
      const { atDraining } = this.#host;
      this.#host.atDraining = null;
      atDraining?.();
    }
    const owns = (region: number) => state?.owners.has(this.#host.node, region) === true;
    this.#host.truth.replied(request, reply, state?.map.inner, owns);
    // A kernel that asks copies nothing; told of none, it is given back what it was assigned before, on a cluster by a message (R6). So it is where
    // its daemon has answered what it asks no more.
    const none = request.type === DM_ULOG_GET_RESYNC_WORK && reply.error === 0 && reply.first === 0;
    if (none && !this.#host.alone) this.#host.truth.of(request).handedOut = -1;
  }

  submitted(message: LogMessage): void {
    this.#submitted += 1;
    this.#host.count(`message ${message.type}`);
    this.#host.sim.cluster?.submitted(this.#host, message);
    if (message.type === MessageType.join && !this.#host.alone) countJoin(this.#host, message.uuid);
    const mirror = this.#host.mirrors.get(message.uuid);
    if (mirror !== undefined && this.#host.alone) permitAtFailure(mirror, this.#host.states, message);
    const truth = this.#host.alone ? null : this.#host.liveTruth(message.uuid);
    if (message.type === MessageType.assign && message.flag === 1 && truth !== null) truth.handedOut = -1;
    if (message.type !== MessageType.mark) return;
    // Alone the order is that of submission; with others it is known at the delivery.
    const order = this.#host.alone ? this.#submitted : Number.POSITIVE_INFINITY;
    for (let i = 0; i < message.count; i++) {
      this.#host.truth.markSubmitted(message.uuid, message.regions[i] as number, order);
    }
  }

  delivered(order: number, message: LogMessage): void {
    if (this.#host.alone) return;
    this.#host.note('deliver', [order, message.type, message.node], () => {
      const { type, node, uuid, flag, regions, count } = message;
      const what = Object.entries(MessageType).find(([, number]) => number === type)?.[0];
      return `${what} of ${node} ${uuid} flag ${flag} ${[...regions.subarray(0, Math.min(count, 12))].join(' ')}`;
    });
    if (message.type === MessageType.quorum) {
      this.#host.quorumHeard = message.flag;
      this.#host.quorumsHeard += message.flag;
    }
    if (message.node !== this.#host.node) return;
    if (message.type === MessageType.inSync && message.flag === 1) this.#endDelivered(message);
    if (message.type !== MessageType.mark) return;
    for (let i = 0; i < message.count; i++) {
      this.#host.truth.markSubmitted(message.uuid, message.regions[i] as number, order);
    }
  }

  /** The end of a copy: the requests that said so are known to all. One that says nothing (R6) is as one that nobody has heard. */
  #endDelivered({ uuid, regions }: LogMessage): void {
    const region = regions[0] as number;
    const state = this.#host.liveState(uuid);
    const doubted = state?.recoveryDoubted === true && state.recoveringRegion === region;
    if (doubted || !this.#host.follows(uuid)) return;
    for (const report of this.#syncReports) {
      if (report.uuid === uuid && report.values[0] === region && report.values[1] === 1) report.delivered = true;
    }
  }

  quorumChanged(quorate: boolean): void {
    this.#host.toldQuorate = quorate;
    this.#host.toldInquorate = !quorate;
    if (!this.#host.alone) this.#host.note('quorum', [quorate ? 1 : 0], () => `${this.#host.name} ${quorate}`);
  }

  viewChanged(view: GroupView): void {
    if (this.#host.alone) return;
    if (view.left.length > 0 || view.members.length === 0) this.#host.quorumHeard = -1;
    const members = view.members.map(({ node }) => node);
    const left = view.left.map(({ member, reason }) => `${member.node} ${reason}`);
    this.#host.note('view', members, () => `${this.#host.name}: ${members.join(' ')}; left: ${left.join(', ')}`);
  }

  acknowledged(order: number): void {
    this.#host.truth.markAcknowledged(order);
  }

  reported({ level, event, uuid, text }: MirrorReport): void {
    this.#host.count(`report ${event}`);
    if (event === 'orphaned') this.#orphaned(uuid);
    if (event === 'orphaned' || event === 'retired') this.#host.sim.cluster?.checks.left(this.#host, uuid);
    this.#host.note('report', [event.length], () => `${level} ${event} ${uuid} ${text}`);
  }

  lost(node: number, boot: string): void {
    this.#host.sim.cluster?.fencing.asked(this.#host, node, boot);
  }

  violation(rule: CheckedRule, text: string): never {
    throw new Violation(rule, text);
  }

  /** Which of its instances leaves is not said. */
  #orphaned(uuid: string): void {
    this.#host.orphans.decided(uuid);
    const mirror = this.#host.mirrors.get(uuid);
    for (const state of this.#host.states?.live.values() ?? []) {
      if (mirror !== undefined && state.identity.uuid === uuid) permitAtRemoval(mirror, this.#host.states, state);
    }
  }
}

function cleanRegions({ map }: CountedState): ReadonlySet<number> {
  const clean = new Set<number>();
  for (let region = 0; region < map.regionCount; region++) if (map.inner.isClean(region)) clean.add(region);
  return clean;
}
