/**
 * The rules that only a cluster has, judged by what kernels, legs and disks truly are. Each look counts as an evaluation.
 */
import { Errno } from '../../base/errno.js';
import {
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  requestNames,
} from '../../base/ulog-frames.js';
import { bootKey } from '../../mirror/boot-key.js';
import { serves } from '../../mirror/log-state.js';
import { type LogMessage, MessageType } from '../../mirror/messages.js';
import { checkDevice, checkSeen, keepsForItself } from '../checks/step-checks.js';
import { type CheckedRule, Violation } from '../checks/violation.js';
import type { LogDisk } from '../daemon/log-disk.js';
import type { ReplyRecord, RequestRecord } from '../daemon/requests.js';
import type { Host } from '../host.js';
import type { ObservedTarget } from '../kernel/world.js';
import type { Simulation } from '../simulation.js';
import { Agreement } from './agreement.js';
import { Bonds, together } from './bonds.js';
import { Duties, type Duty } from './duties.js';
import { FoundOut } from './found-out.js';
import { Halts } from './halts.js';
import { LetIn } from './let-in.js';
import { type LogSights, type Sight, Sights } from './sights.js';
import { Suspensions } from './suspensions.js';

interface CleanWatch {
  readonly key: string;
  cleanCount: number;
}

export class ClusterChecks {
  readonly #sim: Simulation;
  readonly #bonds: Bonds;
  readonly #duties: Duties;
  #sights: Sights | null = null;
  /** Logs of which some host had lost its kernel's marks. */
  readonly #lost = new Set<string>();
  readonly #agreement: Agreement;
  readonly #suspensions: Suspensions;
  readonly #foundOut: FoundOut;
  readonly #inquorate = new Map<string, CleanWatch>();
  readonly #halts: Halts;
  readonly #letIn: LetIn;

  readonly #bondedNow = (uuid: string, a: Host, b: Host) => {
    this.#duties.bonded(uuid, a, b);
    this.#foundOut.bonded(uuid, a, b);
    this.#halts.bonded(uuid, a, b);
  };

  constructor(sim: Simulation) {
    this.#sim = sim;
    this.#bonds = new Bonds(sim);
    this.#duties = new Duties(sim, this.#bonds);
    this.#agreement = new Agreement(sim.evaluations, this.#bonds);
    this.#suspensions = new Suspensions(sim.evaluations);
    this.#foundOut = new FoundOut(sim.evaluations, this.#bonds);
    this.#halts = new Halts(this.#bonds);
    this.#letIn = new LetIn(sim);
  }

  /** After every step in which something has changed, and first: what has. */
  look(): void {
    this.#sights ??= new Sights(this.#sim);
    this.#sights.look();
  }

  /** What must hold between hosts; `anew`: what they share has changed. */
  step(anew: boolean): void {
    const { hosts } = this.#sim;
    const sights = this.#sights;
    if (sights === null) throw new Error('a check before a look');
    const { logs } = sights;
    this.#bonds.update(sights, this.#bondedNow);
    for (const log of logs) {
      const { uuid, legs, seen } = log;
      if ((anew || sights.tablesChanged) && legs.differingSectors > 0) this.#checkDevice(uuid);
      this.#duties.pass(uuid, seen);
      this.#checkKnown(sights, log);
      if (log.truthChanged || sights.anyMoved) this.#checkCopies(uuid, seen);
      this.#agreement.check(sights, log);
      for (const host of hosts) {
        this.#checkInquorate(uuid, host);
        this.#suspensions.look(host, uuid);
      }
    }
  }

  /** What must hold on each host, whatever the others do. */
  stepHosts(): void {
    const { hosts } = this.#sim;
    if (this.#sights === null) throw new Error('a check before a look');
    const { logs, changed } = this.#sights;
    for (let i = 0; i < hosts.length; i++) {
      const host = hosts[i] as Host;
      for (const { seen } of logs) checkSeen(host, seen[i] as Sight);
      if (!changed[i]) continue;
      host.orphans.step();
      host.watchLifeCycles();
    }
  }

  powerLost(host: Host): void {
    this.#duties.released(host);
    this.#foundOut.powerLost(host);
    this.#halts.forgets(host);
    this.#letIn.forgets(host);
  }

  /** Its daemon was killed. */
  daemonDied(host: Host): void {
    this.#foundOut.daemonDied(host);
  }

  /** And all that it had stored is gone. */
  stateLost(host: Host): void {
    this.#foundOut.stateLost(host);
    this.#halts.forgets(host);
    this.#letIn.forgets(host);
  }

  writeIssued(host: Host, { uuid }: ObservedTarget, region: number, toAllLegs: boolean): void {
    const apart = (other: Host) => this.#bothMayGoOn(uuid, host, other);
    if (toAllLegs) this.#duties.written(uuid, region, host, this.#bonds.of(uuid, host), apart);
    for (const other of this.#sim.hosts) {
      const truth = other.liveTruth(uuid);
      if (other === host || truth === null || this.#bothMayGoOn(uuid, host, other)) continue;
      if (truth.copying === region && !copiesForItself(other, uuid, region) && !this.#knowsOfNobody(uuid, host))
        fail(
          'R4-written-while-recovered',
          uuid,
          `region ${region} is written by ${host.name} while ${other.name} copies it`,
        );
      this.#held('R4-written-while-recovered');
    }
  }

  recoveryStarted(host: Host, { uuid }: ObservedTarget, region: number): void {
    const apart = (other: Host) => this.#bothMayGoOn(uuid, host, other);
    this.#duties.copied(uuid, region, host, apart);
    this.#halts.copies(uuid, host);
    this.#foundOut.copied(host, uuid, region, apart);
    for (const other of this.#sim.hosts) {
      const truth = other.liveTruth(uuid);
      if (other === host || truth === null || this.#bothMayGoOn(uuid, host, other)) continue;
      const writes = truth.open.has(region) || truth.openDefault.has(region);
      this.#check(
        'R4-recovered-under-writer',
        !writes,
        uuid,
        () => `${host.name} copies region ${region}, in which ${other.name} has a write under way`,
      );
      this.#check(
        'R6-one-recoverer',
        truth.copying < 0 || (truth.copying !== region && keeps(other, uuid, truth.copying)),
        uuid,
        () => `${host.name} copies region ${region} while ${other.name} copies ${truth.copying}`,
      );
      this.#check(
        'R10-suspend',
        !truth.halted || !this.#halts.heardHalt(uuid, other, host),
        uuid,
        () => `${host.name} copies region ${region} while the kernel of ${other.name} is being suspended`,
      );
    }
  }

  replied(host: Host, request: RequestRecord, reply: ReplyRecord): void {
    if (request.type === DM_ULOG_FLUSH && reply.error === -Errno.EIO) this.#checkRefused(host, request);
    if (reply.error !== 0 || !this.#sim.shared.has(request.uuid)) return;
    this.#foundOut.replied(host, request);
    if (request.type === DM_ULOG_FLUSH) this.#checkFlush(host, request);
    if (request.type === DM_ULOG_PRESUSPEND) this.#checkPresuspend(host, request);
    if (request.type === DM_ULOG_POSTSUSPEND) {
      this.left(host, request.uuid);
      this.#letIn.left(host, request);
    }
    if (request.type === DM_ULOG_RESUME) this.#letIn.resumed(host, request);
    if (request.type === DM_ULOG_GET_RESYNC_WORK && reply.first === 1) {
      const again = host.truth.of(request).copying === reply.second;
      this.#check(
        'R13-hand-out',
        again || host.toldQuorate,
        request.uuid,
        () => `${host.name} hands out region ${reply.second} without quorum`,
      );
    }
  }

  /** A host has left a log: it is not its writer any more. */
  left(host: Host, uuid: string): void {
    const disk = this.#sim.shared.get(uuid)?.disk;
    if (disk?.lastWriter === host.node) disk.lastWriter = 0;
  }

  /** A daemon says that a node is dead (R7): is it? */
  submitted(host: Host, message: LogMessage): void {
    this.#foundOut.submitted(message);
    if (message.type !== MessageType.dead) return;
    const node = message.regions[0] as number;
    const key = Buffer.from(message.bytes.subarray(0, message.byteCount)).toString();
    const dead = this.#sim.cluster?.fencing.bootsOf(node).some((bootId) => bootKey(bootId) === key) === true;
    this.#check(
      'R7-known-dead',
      dead,
      `node ${node}`,
      () => `${host.name} takes its boot ${key} for dead, and it is not`,
    );
  }

  /** A host begins to write a log device (R8). */
  writes(host: Host, disk: LogDisk): void {
    const uuid = [...this.#sim.shared].find(([, mirror]) => mirror.disk === disk)?.[0] ?? '';
    const lost = host.liveState(uuid)?.marksUnknown === true;
    // It has lost its record, and what the other one writes by then is not on the device yet.
    if (lost && this.#sim.hosts.some((other) => other !== host && this.#bothMayGoOn(uuid, host, other))) return;
    for (const [node, count] of disk.underWay) {
      if (node === host.node) continue;
      this.#check(
        'R8-one-writer',
        count === 0,
        disk.name,
        () => `${host.name} writes while a write of node ${node} is under way`,
      );
    }
    const last = this.#sim.hosts.find(({ node }) => node === disk.lastWriter);
    if (last === undefined || last === host || last.dark) return;
    const served = disk.lastProcess === last.daemon && last.daemon?.alive === true && last.daemon.writes(uuid);
    this.#check(
      'R8-one-writer',
      !served,
      disk.name,
      () => `${host.name} writes, and ${last.name}, which wrote last, goes on writing`,
    );
  }

  /** After a FLUSH that was refused its kernel writes no more: not for what passes by itself. */
  #checkRefused(host: Host, request: RequestRecord): void {
    const state = host.states?.find(request.key);
    if (state === undefined || !serves(state) || state.logFailed) return;
    const without = this.#sim.cluster?.plan.failWithoutQuorum === true && host.toldInquorate;
    this.#check(
      'R13-refused',
      without,
      request.uuid,
      () => `${name(host, request)} is refused, and quorum was not denied`,
    );
  }

  /** R1: the marks that a flush made safe are with every member. */
  #checkFlush(host: Host, request: RequestRecord): void {
    const truth = host.truth.of(request);
    for (const [region, order] of truth.marked) {
      if (order > request.markOrder || truth.flushed.has(region)) continue;
      this.#checkMark(host, request, region);
    }
    for (const region of request.values) if (!truth.flushed.has(region)) this.#checkMark(host, request, region);
  }

  #checkMark(host: Host, request: RequestRecord, region: number): void {
    const { uuid } = request;
    // What was cleared behind a FLUSH that was refused is held still, by the word of the others' copies too; and so is what an earlier
    // FLUSH brought whose kernel has given it up.
    const held = host.states?.find(request.key)?.doubted === true || host.truth.of(request).kept.has(region);
    this.#check(
      'R13-flush',
      host.toldQuorate || held,
      uuid,
      () => `${name(host, request)}: the new mark of region ${region} is promised without quorum`,
    );
    for (const other of this.#bonds.of(uuid, host)) {
      const map = other.liveState(uuid)?.map.inner;
      if (map === undefined) continue;
      this.#check(
        'R1-members',
        !map.isClean(region),
        uuid,
        () => `${name(host, request)}: region ${region} is clean on ${other.name}`,
      );
    }
    if (this.#knowsOfNobody(uuid, host)) return;
    // No other kernel copies it: this one may write as soon as it has the answer (R4).
    for (const other of this.#sim.hosts) {
      const theirs = other.liveTruth(uuid);
      if (other === host || theirs === null || this.#bothMayGoOn(uuid, host, other)) continue;
      this.#check(
        'R4-flush-waits',
        theirs.copying !== region || copiesForItself(other, uuid, region),
        uuid,
        () => `${name(host, request)}: ${other.name} copies region ${region}`,
      );
    }
  }

  #checkPresuspend(host: Host, request: RequestRecord): void {
    const { uuid } = request;
    this.#halts.halted(uuid, host);
    for (const other of this.#sim.hosts) {
      const truth = other.liveTruth(request.uuid);
      if (other === host || truth === null || this.#bothMayGoOn(request.uuid, host, other)) continue;
      const counts = truth.copying >= 0 && !copiesForItself(other, uuid, truth.copying);
      this.#check(
        'R10-suspend',
        !counts || !this.#halts.heardCopy(uuid, host, other),
        request.uuid,
        () => `${name(host, request)} answered while ${other.name} copies region ${truth.copying}`,
      );
    }
  }

  #checkDevice(uuid: string): void {
    const host = this.#sim.hosts.find(({ mirrors }) => mirrors.get(uuid)?.device?.live != null);
    const mirror = host?.mirrors.get(uuid);
    if (mirror !== undefined) checkDevice(this.#sim, mirror);
  }

  /** Who must know that a region may differ has it not clean, and either out of sync or owned. */
  #checkKnown({ tablesChanged, anyMoved }: Sights, log: LogSights): void {
    const { uuid, seen, truthChanged, stateChanged, legsChanged } = log;
    // No write has begun or ended, no copy has changed, and nobody has come to a duty.
    if (!truthChanged && !stateChanged && !legsChanged && !tablesChanged && !anyMoved) return;
    // R3: whose marks are not known owns all that is not clean, without a name.
    const lost = seen.some(({ truth }) => truth?.marksLost === true);
    const all = lost !== this.#lost.has(uuid);
    if (lost) this.#lost.add(uuid);
    else this.#lost.delete(uuid);
    this.#duties.each(uuid, seen, (duty) => {
      for (let i = 0; i < seen.length; i++) {
        const sight = seen[i] as Sight;
        if ((sight.stateChanged || duty.fresh || all) && duty.hosts.has(sight.host))
          this.#checkDuty(uuid, duty, sight, lost);
      }
      duty.fresh = false;
    });
  }

  #checkDuty(uuid: string, { region }: Duty, { host, state, follows, settled }: Sight, lost: boolean): void {
    if (!follows || state === null) return;
    const map = state.map.inner;
    if (region >= map.regionCount) return;
    if (map.isClean(region))
      fail('clean-anywhere', uuid, `region ${region} is clean on ${host.name}, and ${this.#why(uuid, region)}`);
    this.#held('clean-anywhere');
    if (lost || state.marksUnknown || !settled) return;
    const known = !map.isInSync(region) || map.isHeld(region) || state.owners.ownerCount(region) > 0;
    if (!known) {
      const text = `region ${region} is in sync and without owner on ${host.name}, and ${this.#why(uuid, region)}`;
      fail('owner-forgotten', uuid, text);
    }
    this.#held('owner-forgotten');
  }

  #why(uuid: string, region: number): string {
    const differs = this.#sim.shared.get(uuid)?.legs.differingRegions.has(region) === true;
    return differs ? 'its legs differ' : 'it is being written';
  }

  /** Not only when a copy begins: two must never be under way at a time. */
  #checkCopies(uuid: string, seen: readonly Sight[]): void {
    let copier: { readonly host: Host; readonly region: number } | null = null;
    for (const { host, truth } of seen) {
      if ((truth?.copying ?? -1) < 0) continue;
      const region = truth?.copying ?? -1;
      if (copier !== null && !this.#bothMayGoOn(uuid, copier.host, host)) {
        const kept = keeps(host, uuid, region) || keeps(copier.host, uuid, copier.region);
        if (copier.region === region || !kept)
          fail('R6-one-recoverer', uuid, `${copier.host.name} and ${host.name} both copy`);
      }
      copier = { host, region };
    }
    this.#held('R6-one-recoverer');
  }

  /** R13: without quorum nothing becomes clean. */
  #checkInquorate(uuid: string, host: Host): void {
    if (host.toldQuorate && this.#inquorate.size === 0) return;
    const watchKey = `${uuid} ${host.node}`;
    const state = host.liveState(uuid);
    // What all members do together they do by the word of one who knows.
    const knows = this.#sim.hosts.some((other) => other.toldQuorate && (other === host || together(host, other)));
    // What such a one has said still counts when he is gone, until the order has the word of one who does not.
    const rests = !knows && host.quorumHeard === 0 && host.follows(uuid);
    if (!rests || state === null || !host.daemonPunctual) {
      this.#inquorate.delete(watchKey);
      return;
    }
    const { cleanCount } = state.map.inner;
    const watch = this.#inquorate.get(watchKey);
    // Late messages come together: by a word that there is quorum all that follows it is done, up to the word that there is none.
    const key = `${state.key} ${host.quorumsHeard}`;
    if (watch === undefined || watch.key !== key) {
      this.#inquorate.set(watchKey, { key, cleanCount });
      return;
    }
    this.#check('R13-clean', cleanCount <= watch.cleanCount, uuid, () => `${host.name} cleans without quorum`);
    watch.cleanCount = cleanCount;
  }

  /** Two nodes that each have quorum alone and were not told to shoot first: nobody can keep them apart. */
  #bothMayGoOn(uuid: string, a: Host, b: Host): boolean {
    return this.#sim.cluster?.plan.twoNode === true && !this.#bonds.bonded(uuid, a, b);
  }

  /** Its record was lost, and no daemon is with it that could say what the kernels of others copy: nothing is cleaned or recovered there (R3). */
  #knowsOfNobody(uuid: string, host: Host): boolean {
    return host.liveState(uuid)?.marksUnknown === true && this.#bonds.of(uuid, host).length === 0;
  }

  #check(rule: CheckedRule, holds: boolean, what: string, text: () => string): void {
    this.#sim.evaluations.check(rule, holds, () => `${what}: ${text()}`);
  }

  #held(rule: CheckedRule): void {
    this.#sim.evaluations.held(rule);
  }
}

/**
 * Its end says nothing, since it was begun apart: the region is that kernel's alone, to be copied anew, whatever is written there meanwhile.
 * Nobody begins one apart but where both sides had quorum.
 */
function copiesForItself(host: Host, uuid: string, region: number): boolean {
  if (host.sim.cluster?.plan.twoNode !== true) return false;
  return host.liveState(uuid)?.recoveringRegion !== region && keeps(host, uuid, region);
}

/** The copy that counts has no such assignment, and all know the region as one that this kernel alone may recover. */
function keeps(host: Host, uuid: string, region: number): boolean {
  const state = host.liveState(uuid);
  return state !== null && keepsForItself(state, region);
}

function fail(rule: CheckedRule, uuid: string, text: string): never {
  throw new Violation(rule, `${uuid}: ${text}`);
}

function name(host: Host, request: RequestRecord): string {
  return `${host.name}: ${requestNames[request.type] ?? request.type} (${request.luidLow})`;
}
