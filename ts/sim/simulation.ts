/**
 * The simulated world: one virtual clock, log disks, legs, the hosts that share them, and the checkers that look at all
 * of it after every step. A host that is alone is a world with one host: there is no other simulator. What can happen
 * to a host is in host.ts, when it happens in faults.ts, how a whole run goes in run.ts.
 */
import { ChangeCount } from './change-count.js';
import { checkStep } from './checks/step-checks.js';
import { Evaluations } from './checks/violation.js';
import { Cluster } from './cluster/cluster.js';
import { LogDisk } from './daemon/log-disk.js';
import { Host } from './host.js';
import { Journal } from './journal.js';
import type { SharedMirror } from './mirror.js';
import { Prng } from './prng.js';
import { permitLandedLate } from './recovery-permits.js';
import { type MirrorPlan, planScenario, type Scenario } from './scenario.js';
import { Timeline } from './timeline.js';
import { VersionLegs } from './version-legs.js';
import { Stamps } from './workload.js';

/** Number of the log device that is too small. */
const smallDiskIndex = 99;

/** A mirror and what the scenario says of it. */
export interface PlannedMirror extends SharedMirror {
  readonly plan: MirrorPlan;
  /** Decides when what is sent to its legs lands. */
  readonly prng: Prng;
}

export class Simulation {
  readonly seed: number;
  /** Daemons restart recovery by suspending devices (R11). */
  readonly restarts: boolean;
  readonly timeline = new Timeline();
  readonly prng: Prng;
  readonly scenario: Scenario;
  readonly shared = new Map<string, PlannedMirror>();
  readonly hosts: readonly Host[];
  /** What there is between hosts; null for one that is alone. */
  readonly cluster: Cluster | null;
  readonly evaluations = new Evaluations();
  readonly journal = new Journal();
  readonly stamps = new Stamps();
  /** How often things happened: faults, transitions. */
  readonly counts = new Map<string, number>();
  requests = 0;
  /** Mirrors that somebody has activated, or could not: from then on others may. */
  readonly created = new Set<string>();
  /** No fault comes any more. */
  healing = false;
  readonly #disks = new Map<string, LogDisk>();
  #checkedShared = -1;
  readonly #checkedHosts: number[] = [];
  /** Of everything that hosts share and a checker looks at. */
  readonly #sharedChanges = new ChangeCount();

  constructor(seed: number, hosts = 1, restarts = false) {
    this.seed = seed;
    this.restarts = restarts && hosts > 1;
    this.prng = new Prng(seed);
    this.scenario = planScenario(this.prng.fork(), hosts > 1);
    this.scenario.mirrors.forEach((plan, index) => {
      this.shared.set(plan.uuid, this.#makeMirror(plan, index));
    });
    this.cluster = hosts > 1 ? new Cluster(this, hosts) : null;
    this.hosts = Array.from({ length: hosts }, (_, index) => new Host(this, index + 1));
  }

  get nowMs(): number {
    return this.timeline.nowMs;
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  note(what: string, numbers: readonly number[], detail: () => string, node = 0): void {
    this.journal.add(this.timeline.nowMs, what, numbers, detail, node);
  }

  /** One event of the world, then the checkers. False when nothing can happen any more. */
  step(): boolean {
    if (!this.timeline.step()) return false;
    const anew = this.#sharedChanges.value !== this.#checkedShared;
    this.#checkedShared = this.#sharedChanges.value;
    let looks = anew;
    for (let i = 0; i < this.hosts.length; i++) {
      const { changes } = this.hosts[i] as Host;
      if (this.#checkedHosts[i] === changes) continue;
      this.#checkedHosts[i] = changes;
      looks = true;
    }
    if (looks) this.#look(anew);
    return true;
  }

  #look(anew: boolean): void {
    if (this.cluster !== null) {
      const { checks } = this.cluster;
      checks.look();
      checks.stepHosts();
      checks.step(anew);
      return;
    }
    for (const host of this.hosts) {
      checkStep(host);
      host.orphans.step();
      host.watchLifeCycles();
    }
  }

  /** A mirror that is tried once and is none of those whose end is checked. */
  makeSmall(plan: MirrorPlan): PlannedMirror {
    return this.#makeMirror({ ...plan, nameByNumbers: false }, smallDiskIndex, 1024 + 512);
  }

  findDisk(name: string): LogDisk | undefined {
    return this.#disks.get(name);
  }

  /** A write of a daemon that is gone has landed. */
  landedLate(disk: LogDisk): void {
    this.count('late-write-landed');
    this.note('late-write', [disk.minor], () => disk.name);
    for (const host of this.hosts) permitLandedLate(host.mirrors.values(), disk);
  }

  /**
   * A host lost its power. The log disks of a host that is alone are in it and lose what they had not made durable; shared
   * ones stand elsewhere, and lose it when the power of all is gone.
   */
  powerLost(host: Host): void {
    const all = this.hosts.every((other) => other.dark);
    for (const disk of new Set(this.#disks.values())) {
      if (all) disk.cut(this.prng);
      else disk.forgetHost(host.node);
    }
    this.cluster?.powerLost(host);
    // Who was to make them is gone; while he is still at it others wait, however long that takes.
    if (host === this.hosts[0]) for (const uuid of this.shared.keys()) this.created.add(uuid);
  }

  /** Takes every fault away. Users stop; what they began goes on. */
  heal(): void {
    this.note('heal', [], () => '');
    this.healing = true;
    for (const disk of this.#disks.values()) {
      disk.fault = null;
      disk.stalledUntilMs = 0;
      disk.slowReadsUntilMs = 0;
    }
    for (const host of this.hosts) host.heal();
    this.cluster?.heal(this);
  }

  /** Gives native memory back. */
  close(): void {
    for (const host of this.hosts) host.close();
  }

  /** Where everything stands, for a run that does not end. */
  describe(): string {
    return this.hosts.map((host) => host.describe()).join('\n');
  }

  #makeMirror(plan: MirrorPlan, index: number, bytes?: number): PlannedMirror {
    const prng = this.prng.fork();
    const changes = bytes === undefined ? this.#sharedChanges : new ChangeCount();
    const legs = new VersionLegs(plan.sectorsMax, plan.regionSectors, changes);
    const disk = plan.disk ? this.#addDisk(plan, index, changes, bytes) : null;
    const deviceWord = disk === null ? '' : plan.nameByNumbers ? disk.identity : disk.name;
    return { plan, prng, shape: { ...plan, deviceWord }, disk, legs, locked: new Set() };
  }

  #addDisk(plan: MirrorPlan, index: number, changes: ChangeCount, bytes?: number): LogDisk {
    const regions = Math.ceil(plan.sectorsMax / plan.regionSectors);
    const block = plan.logicalBlockBytes;
    const needed =
      Math.ceil((1024 + Math.ceil(regions / 8)) / block) * block + Math.ceil(plan.spareBytes / block) * block;
    const name = `/dev/sim/log${index}`;
    const shape = { name, minor: index, bytes: bytes ?? needed, logicalBlockBytes: block };
    const disk = new LogDisk(shape, changes);
    this.#disks.set(disk.name, disk);
    this.#disks.set(disk.identity, disk);
    return disk;
  }
}
