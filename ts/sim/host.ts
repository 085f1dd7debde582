/**
 * One simulated host: a kernel, a daemon process and its memory, the wire between them, users, an administrator, and the
 * truth about its kernel. What hosts share (time, disks, legs, checkers, journal) is the simulation's. It offers what
 * can happen to a host as methods (kill, power cut, restart); when they happen is decided in faults.ts.
 */
import { LifeCycle, serves } from '../mirror/log-state.js';
import type { MirrorSettings } from '../mirror/settings.js';
import { Administrator } from './administrator.js';
import { KernelTruth, type TargetTruth } from './checks/kernel-truth.js';
import { OrphanChecks } from './checks/orphan-checks.js';
import { hintOf } from './checks/step-checks.js';
import type { Evaluations } from './checks/violation.js';
import type { CheckWorld } from './checks/world.js';
import type { Membership } from './cluster/membership.js';
import { countDeath } from './cluster/moments.js';
import { GroupStream } from './cluster/stream.js';
import type { CountedState, CountedStates } from './daemon/counted-state.js';
import type { LogDisk } from './daemon/log-disk.js';
import { DaemonProcess, type RestartWorld } from './daemon/process.js';
import type { RequestRecord } from './daemon/requests.js';
import { AloneStream, type MessageStream, type StreamEnds } from './daemon/stream.js';
import { DaemonSight } from './daemon-sight.js';
import { DeviceRestarter } from './device-restarter.js';
import { Kernel } from './kernel/kernel.js';
import type { ObservedTarget } from './kernel/world.js';
import { watchKernel } from './kernel-watch.js';
import { LegPort } from './leg-port.js';
import { SimMirror } from './mirror.js';
import type { Prng } from './prng.js';
import { permitAtRequest } from './recovery-permits.js';
import type { MirrorPlan } from './scenario.js';
import type { Simulation } from './simulation.js';
import { TableLooks } from './table-looks.js';
import type { Timeline } from './timeline.js';
import { describeRequest, quietWire, Wire, type WireEnds, type WireFaults } from './wire.js';
import { Workload } from './workload.js';

/** A daemon that was stopped is punctual again after this long. */
const punctualAfterMs = 2500;
export class Host implements CheckWorld, WireEnds {
  readonly sim: Simulation;
  /** Its number in the cluster. */
  readonly node: number;
  readonly name: string;
  readonly mirrors = new Map<string, SimMirror>();
  readonly truth = new KernelTruth();
  readonly orphans = new OrphanChecks(this);
  readonly workload: Workload;
  readonly administrator: Administrator;
  kernel: Kernel | null = null;
  daemon: DaemonProcess | null = null;
  states: CountedStates | null = null;
  /** Its daemon's stream, in a cluster. */
  stream: GroupStream | null = null;
  hostileRequests = 0;
  /** What happens after the daemon died, unless it died on purpose: a restart after a while. */
  restartMs: () => number;
  /** What happens when the kernel's constructor of a reconnect reaches the daemon, once. */
  atReconnect: (() => void) | null = null;
  /** What happens when the daemon has let the writes of a log drain that cannot be loaded, once. */
  atDraining: (() => void) | null = null;
  /** Of the boot of now, or the last one. */
  bootId = '';
  /** The machine has no power. */
  dark = false;
  /** What its daemon was told of quorum last, and when. */
  toldQuorate = false;
  /** It was told that there is none. */
  toldInquorate = false;
  /** Whether there is quorum, as the order said last to its daemon: 1, 0, and -1 since somebody went. */
  quorumHeard = -1;
  /** How often it was delivered that there is some. */
  quorumsHeard = 0;
  /** When the daemon was late last, by a start or a stop. */
  lateUntilMs = 0;
  readonly #wire: Wire;
  readonly #tableLooks = new TableLooks(this);
  #boots = 0;
  #daemons = 0;
  #lastDaemon: DaemonProcess | null = null;
  /** When all is over that the last daemon had begun; its state may be lost before. */
  #daemonEndsMs = 0;
  /** Of the daemon of now, or the last one; in a cluster. */
  #restarter: DeviceRestarter | null = null;
  /** Devices that a daemon of this boot has in hand (R11): a file that outlives it. */
  #restartIntents: readonly string[] = [];
  /** What its daemons keep of logs that it does not use: such files, too. */
  #unusedLogs = new Map<string, string>();
  /** Entries of the daemons before the one of now. */
  #entriesBefore = 0;
  #lifeCycles = new Map<string, LifeCycle>();

  constructor(sim: Simulation, node: number) {
    this.sim = sim;
    this.node = node;
    this.name = `host${node}`;
    this.restartMs = () => this.prng.real(1, 3000);
    this.#wire = new Wire(this);
    this.workload = new Workload(sim.timeline, sim.prng.fork(), sim.stamps);
    this.administrator = new Administrator(this);
    let index = 0;
    for (const [uuid, shared] of sim.shared) {
      const port = new LegPort(sim.timeline, shared.prng, shared.legs);
      const mirror = new SimMirror(shared, port, shared.plan.sectors);
      mirror.unused = sim.cluster?.plan.users[index]?.has(node) === false;
      this.mirrors.set(uuid, mirror);
      index += 1;
    }
  }

  get timeline(): Timeline {
    return this.sim.timeline;
  }
  get prng(): Prng {
    return this.sim.prng;
  }
  get nowMs(): number {
    return this.sim.timeline.nowMs;
  }
  get evaluations(): Evaluations {
    return this.sim.evaluations;
  }
  get stickyIdleMs(): number {
    return this.sim.scenario.stickyIdleMs;
  }
  get stickyMax(): number {
    return this.sim.scenario.stickyMax;
  }
  get alone(): boolean {
    return this.sim.cluster === null;
  }
  /** No fault comes any more. */
  get healing(): boolean {
    return this.sim.healing;
  }
  get wire(): WireFaults {
    return this.#wire.faults;
  }
  get daemonPunctual(): boolean {
    return this.daemon?.running === true && this.nowMs > this.lateUntilMs;
  }

  /** Its daemon's helper thread has a device in hand (R11). */
  get atDevices(): boolean {
    return this.#restarter?.inside === true;
  }

  /** Its place in the group; null while its daemon is in none. */
  get membership(): Membership | null {
    return this.daemon?.alive === true ? (this.stream?.transport?.membership ?? null) : null;
  }

  /** The log of the table that is live in the kernel. */
  liveTruth(uuid: string): TargetTruth | null {
    const log = this.mirrors.get(uuid)?.device?.live?.log;
    return log === undefined ? null : this.truth.of(log);
  }

  liveState(uuid: string): CountedState | null {
    const log = this.mirrors.get(uuid)?.device?.live?.log;
    return log === undefined ? null : (this.states?.find(log.key) ?? null);
  }

  /** The daemon has the log resumed. */
  serves(uuid: string): boolean {
    const state = this.liveState(uuid);
    return state !== null && serves(state);
  }

  /** The daemon's copy of the log is what all members have. */
  follows(uuid: string): boolean {
    return this.alone || (this.daemon?.alive === true && this.serves(uuid) && this.daemon.follows(uuid));
  }

  writeBegins(log: ObservedTarget, region: number, toAllLegs: boolean): void {
    this.sim.cluster?.checks.writeIssued(this, log, region, toAllLegs);
  }

  copyBegins(log: ObservedTarget, region: number): void {
    this.sim.cluster?.checks.recoveryStarted(this, log, region);
    for (const other of this.sim.hosts) if (other !== this) other.truth.copiedElsewhere(log.uuid, region);
  }

  count(what: string): void {
    this.sim.count(what);
  }

  note(what: string, numbers: readonly number[], detail: () => string): void {
    this.sim.note(what, numbers, detail, this.alone ? 0 : this.node);
  }

  plan(mirror: SimMirror): MirrorPlan | undefined {
    return this.sim.shared.get(mirror.shape.uuid)?.plan;
  }

  /** A mirror that is tried once and is none of those whose end is checked. */
  makeSmall(plan: MirrorPlan): SimMirror {
    const shared = this.sim.makeSmall(plan);
    return new SimMirror(shared, new LegPort(this.timeline, shared.prng, shared.legs), plan.sectors);
  }

  diskWell(mirror: SimMirror): boolean {
    return mirror.disk === null || mirror.disk.fault === null;
  }

  /** Rises with everything of this host that a checker of the whole world looks at. */
  get changes(): number {
    return this.truth.changes + this.#entriesBefore + (this.daemon?.entries ?? 0);
  }

  /** Power on: a kernel, then a daemon; the mirrors are activated as soon as the daemon answers. */
  boot(first: boolean): void {
    this.dark = false;
    this.#boots += 1;
    this.bootId =
      this.sim.cluster === null
        ? `${this.sim.seed}-boot-${this.#boots}`
        : `${this.sim.seed}-${this.name}-${this.#boots}`;
    this.#lastDaemon = null;
    this.#daemonEndsMs = 0;
    this.#restarter = null;
    this.#restartIntents = [];
    this.#unusedLogs = new Map<string, string>();
    this.kernel = this.#makeKernel();
    if (!first && !this.alone) this.count('node is back in another boot');
    this.sim.cluster?.group.startService(this.node);
    this.startDaemon();
    this.administrator.activateAll(first);
  }

  startDaemon(): void {
    if (this.dark || this.daemon?.alive === true) return;
    if (!this.alone && this.#daemonEndsMs > this.nowMs) {
      // Two of them do not run at once, however long the first takes to end.
      this.timeline.at(this.#daemonEndsMs, () => this.startDaemon());
      return;
    }
    if (this.#lastDaemon !== null && !this.alone) this.count('daemon is back in the same boot');
    const { scenario } = this.sim;
    const prng = this.prng.fork();
    this.#daemons += 1;
    const daemon = new DaemonProcess(
      {
        self: { node: this.node, name: this.name, bootId: this.bootId, incarnation: String(this.#daemons) },
        timeline: this.timeline,
        prng,
        settings: {
          stickyIdleMs: this.stickyIdleMs,
          stickyMax: this.stickyMax,
          cleanCommitMs: scenario.cleanCommitMs,
          shared: !this.alone,
          ...this.#clusterSettings(),
        },
        stickyMax: this.stickyMax,
        shared: !this.alone,
        devices: {
          node: this.node,
          find: (name) => this.sim.findDisk(name),
          confirmed: () => {},
          landedLate: (disk) => this.sim.landedLate(disk),
          writes: (disk) => this.#writesDisk(disk),
        },
        watch: new DaemonSight(this, () => this.#daemonDied()),
        // The disks of a host that is alone go dark with it, and take back what was on its way.
        isDark: () => this.dark && this.sim.cluster !== null,
        stream: (ends) => this.#makeStream(ends, prng),
        restarts: this.sim.restarts ? this.#restarts() : null,
        unusedLogs: this.#unusedLogs,
        toKernel: (frame, length) => this.#wire.toKernel(frame, length),
      },
      this.#lastDaemon,
    );
    if (this.sim.restarts) this.#restarter = new DeviceRestarter(this, daemon, this.prng.fork());
    this.#lastDaemon = daemon;
    this.#entriesBefore += this.daemon?.entries ?? 0;
    this.daemon = daemon;
    this.toldQuorate = false;
    this.toldInquorate = false;
    this.quorumHeard = -1;
    this.states = daemon.states;
    this.note('start', [this.states.live.size], () => `daemon, ${this.states?.live.size} records`);
    this.#late(punctualAfterMs);
    daemon.start();
    this.#tableLooks.of(daemon);
  }

  #clusterSettings(): Partial<MirrorSettings> {
    const plan = this.sim.cluster?.plan;
    if (plan === undefined) return {};
    return { ...plan.limits, onQuorumLoss: plan.failWithoutQuorum ? 'fail' : 'wait' };
  }

  stopDaemon(ms: number): void {
    this.daemon?.stop(ms);
    this.#late(ms + punctualAfterMs);
  }

  /** The daemon's state is deleted with it; the kernel lives on (R3). */
  loseState(): void {
    const last = this.#lastDaemon;
    if (last === null || last.alive) return;
    last.states.drop();
    this.#unusedLogs = new Map<string, string>();
    this.#lastDaemon = null;
    this.states = null;
    this.sim.cluster?.checks.stateLost(this);
    for (const mirror of this.mirrors.values()) {
      for (const target of [mirror.device?.live, mirror.device?.loaded]) {
        if (target !== null && target !== undefined) this.truth.lost(target.log);
      }
    }
  }

  powerCut(offMs: number): void {
    this.note('power-cut', [offMs], () => `off for ${offMs.toFixed(0)} ms`);
    if (!this.alone) countDeath(this, 'node');
    this.dark = true;
    this.kernel?.halt();
    this.kernel = null;
    this.daemon?.die();
    this.sim.powerLost(this);
    this.#lastDaemon?.states.drop();
    this.#lastDaemon = null;
    this.states = null;
    this.truth.forgetAll();
    for (const mirror of this.mirrors.values()) {
      if (mirror.port.inFlight > 0) this.count('cut-with-writes-in-flight');
      mirror.darken();
      if (mirror.legs.differingSectors > 0) this.count('cut-left-legs-differing');
    }
    this.timeline.after(offMs, () => this.boot(false));
  }

  /** Takes every fault away. Users stop; what they began goes on. */
  heal(): void {
    this.workload.stopped = true;
    this.restartMs = () => 5;
    Object.assign(this.wire, quietWire);
    for (const { port } of this.mirrors.values()) {
      port.broken = false;
      port.hungUntilMs = 0;
    }
    this.atReconnect = null;
    this.atDraining = null;
    this.daemon?.kill.disarm();
    this.startDaemon();
  }

  /** For the checks of orphans. */
  memberships(): Iterable<string> {
    return this.daemon?.running === true ? this.daemon.memberships() : [];
  }

  /** Gives native memory back. */
  close(): void {
    this.#lastDaemon?.states.drop();
    this.#lastDaemon = null;
  }

  /** Where everything stands, for a run that does not end. */
  describe(): string {
    const mirrors = [...this.mirrors.values()].map((mirror) => {
      const live = mirror.device?.live;
      const state = live === null || live === undefined ? undefined : this.states?.find(live.log.key);
      const map = state?.map.inner;
      return (
        `${mirror.shape.uuid}: busy=${mirror.busy} reload=${mirror.needsReload} outstanding=${mirror.device?.outstanding}` +
        ` suspended=${mirror.device?.suspended} log-failed=${live?.logFailed} leg-failed=${live?.legFailed}` +
        ` life-cycle=${state?.lifeCycle} in-sync=${map?.syncCount}/${map?.regionCount} device-failed=${state?.logFailed}` +
        ` marks-unknown=${state?.marksUnknown} recovering=${state?.recoveringRegion}@${state?.recoveringNode} hint=${live?.log.hint}` +
        (this.alone ? '' : `; ${this.daemon?.describe(mirror.shape.uuid)}`)
      );
    });
    return `daemon alive=${this.daemon?.alive} running=${this.daemon?.running}; ${mirrors.join('; ')}`;
  }

  /** Puts a frame that no kernel sent, or has sent before, before the daemon. */
  inject(frame: Buffer, length: number, hostile = true): void {
    this.#wire.inject(frame, length, hostile);
  }

  /** A request has left the kernel. */
  sent(request: RequestRecord): void {
    this.sim.requests += 1;
    this.note('request', [request.type, request.seq, request.luidLow, ...request.values], () =>
      describeRequest(request),
    );
    this.truth.sent(request);
    const mirror = this.mirrors.get(request.uuid);
    if (mirror !== undefined && this.alone) permitAtRequest(mirror, this.states, request);
  }

  /** Counts which way the records go through their life. */
  watchLifeCycles(): void {
    if (this.states === null) return;
    for (const { key, lifeCycle } of this.states.live.values()) {
      const last = this.#lifeCycles.get(key);
      if (last === lifeCycle) continue;
      this.#lifeCycles.set(key, lifeCycle);
      if (last !== undefined) this.count(`${lifeCycleName(last)} -> ${lifeCycleName(lifeCycle)}`);
    }
  }

  #writesDisk(disk: LogDisk): void {
    this.sim.cluster?.checks.writes(this, disk);
    disk.lastWriter = this.node;
    disk.lastProcess = this.daemon;
  }

  #restarts(): RestartWorld {
    return {
      intents: () => this.#restartIntents,
      store: (uuids) => {
        this.#restartIntents = uuids;
      },
      restart: (uuid, resumeOnly, ended) => this.#restarter?.restart(uuid, resumeOnly, ended),
    };
  }

  #makeStream(ends: StreamEnds, prng: Prng): MessageStream {
    const { cluster, scenario } = this.sim;
    if (cluster === null) return new AloneStream(ends, this.timeline, prng, scenario.acknowledgeMsMax);
    this.stream = new GroupStream(cluster.group, ends);
    return this.stream;
  }

  #makeKernel(): Kernel {
    const prng = this.prng.fork();
    const kernel: Kernel = new Kernel(
      {
        nowMs: () => this.nowMs,
        after: (delayMs, action) => {
          this.timeline.after(delayMs, () => {
            if (!kernel.threads.halted) action();
          });
        },
        send: (frame, length) => this.#wire.fromKernel(frame, length),
        wakeDelayMs: () => prng.real(0, this.sim.scenario.wakeMsMax),
      },
      watchKernel(this),
      // Numbers wrap at 32 bits. Addresses are used again soon after they were freed: a luid is unique only while its log lives.
      { firstSeq: (prng.below(1000) - 500) >>> 0, luid: () => this.#freshLuid(prng) },
    );
    return kernel;
  }

  #freshLuid(prng: Prng): { high: number; low: number } {
    const taken = new Set<number>();
    for (const device of this.kernel?.devices ?? []) {
      for (const log of [device.live?.log, device.loaded?.log, device.building]) if (log) taken.add(log.luidLow);
    }
    for (;;) {
      const low = 0x1000 + 0x400 * prng.below(12);
      if (!taken.has(low)) return { high: 0xffff8880, low };
    }
  }

  #daemonDied(): void {
    this.note('died', [], () => `daemon, after ${this.daemon?.kill.passed} effects`);
    this.#daemonEndsMs = this.daemon?.exitMs ?? 0;
    const recordOf = (key: string) => this.states?.find(key) ?? null;
    this.truth.daemonDied(
      (key) => {
        const state = recordOf(key);
        return state === null ? 0 : hintOf(state);
      },
      (key) => recordOf(key)?.map.inner,
    );
    if (this.dark) return;
    if (!this.alone) countDeath(this, 'daemon');
    this.sim.cluster?.checks.daemonDied(this);
    this.#restarter?.died();
    const last = this.#lastDaemon;
    this.timeline.after(this.restartMs(), () => {
      if (this.#lastDaemon === last || this.#lastDaemon === null) this.startDaemon();
    });
  }

  #late(ms: number): void {
    this.lateUntilMs = Math.max(this.lateUntilMs, this.nowMs + ms);
  }
}

function lifeCycleName(value: LifeCycle): string {
  return Object.entries(LifeCycle).find(([, number]) => number === value)?.[0] ?? String(value);
}
