/**
 * Every checker of several hosts fires on a cluster made wrong by hand, and stays silent on the same cluster unspoilt. The cluster
 * is a simulated one that has come to rest: three hosts, one mirror with a log device, everything in sync.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import { bootKey } from '../../ts/mirror/boot-key.js';
import { type LogMessage, MessageType } from '../../ts/mirror/messages.js';
import { clusterRules } from '../../ts/sim/checks/violation.js';
import type { ClusterChecks } from '../../ts/sim/cluster/checks.js';
import type { CountedState } from '../../ts/sim/daemon/counted-state.js';
import type { LogDisk } from '../../ts/sim/daemon/log-disk.js';
import type { RequestRecord } from '../../ts/sim/daemon/requests.js';
import type { Host } from '../../ts/sim/host.js';
import { Simulation } from '../../ts/sim/simulation.js';

const hosts = 3;
const region = 3;
const regionsMin = 8;

/** The first seed whose run has one mirror with a log device and some regions, which all hosts use. */
function suitable(): Simulation {
  for (let seed = 1; ; seed++) {
    const sim = new Simulation(seed, hosts);
    const [plan, more] = sim.scenario.mirrors;
    const regions = plan === undefined ? 0 : Math.ceil(plan.sectors / plan.regionSectors);
    const used = sim.cluster?.plan.users[0]?.size === hosts;
    if (more === undefined && plan?.disk && regions >= regionsMin && used) return sim;
    sim.close();
  }
}

class Rested {
  readonly sim = suitable();
  readonly uuid: string;
  readonly hosts: readonly [Host, Host, Host];
  readonly checks: ClusterChecks;
  readonly disk: LogDisk;
  readonly #one = new Float64Array(1);

  constructor() {
    const [first, second, third] = this.sim.hosts;
    const [uuid = ''] = this.sim.shared.keys();
    const disk = this.sim.shared.get(uuid)?.disk ?? null;
    if (!first || !second || !third || this.sim.cluster === null || disk === null) throw new Error('no such cluster');
    this.uuid = uuid;
    this.disk = disk;
    this.hosts = [first, second, third];
    this.checks = this.sim.cluster.checks;
    for (const host of this.sim.hosts) host.boot(true);
    const writing = () => [...disk.underWay.values()].some((writes) => writes > 0);
    while (writing() || !this.sim.hosts.every((host) => this.#atRest(host))) {
      if (!this.sim.step() || this.sim.nowMs > 600_000) throw new Error('the cluster does not come to rest');
    }
  }

  state(host: Host): CountedState {
    return host.liveState(this.uuid) as CountedState;
  }

  truth(host: Host) {
    return host.truth.of(this.log(host));
  }

  log(host: Host) {
    const log = host.mirrors.get(this.uuid)?.device?.live?.log;
    if (log === undefined) throw new Error('the mirror is not there');
    return log;
  }

  clean(host: Host): void {
    this.#one[0] = region;
    this.state(host).map.inner.markClean(this.#one, 1);
  }

  dirty(host: Host): void {
    this.#one[0] = region;
    this.state(host).map.inner.markDirty(this.#one, 1);
  }

  own(host: Host, node: number): void {
    this.#one[0] = region;
    this.state(host).owners.add(node, this.#one, 1);
  }

  /** The first host's kernel has marked the region, and all know it. */
  mark(): void {
    for (const host of this.hosts) {
      this.dirty(host);
      this.own(host, 1);
    }
    this.truth(this.hosts[0]).marked.set(region, 1);
  }

  /** The first host's kernel writes it. */
  write(): void {
    this.mark();
    this.checks.writeIssued(this.hosts[0], this.log(this.hosts[0]), region, true);
    this.truth(this.hosts[0]).open.set(region, 1);
  }

  /** As after a step in which something happened everywhere. */
  look(): void {
    for (const host of this.hosts) {
      host.truth.changes += 1;
      this.truth(host).changes += 1;
      this.state(host).changes.value += 1;
    }
    this.checks.look();
    this.checks.step(true);
  }

  answer(host: Host, type: number, first = 0, second = 0, values: readonly number[] = [], error = 0): void {
    const { key, luidHigh, luidLow } = this.log(host);
    const request: RequestRecord = {
      seq: 1,
      type,
      key,
      uuid: this.uuid,
      luidHigh,
      luidLow,
      values,
      text: '',
      endsWithNul: false,
      markOrder: 1,
      open: 1,
      ordinal: 1,
      cleanThen: null,
      hostile: false,
    } as RequestRecord;
    this.checks.replied(host, request, { error, first, second, text: '' });
  }

  sayDead(node: number, boot: string): void {
    const bytes = Buffer.from(bootKey(boot));
    const regions = Float64Array.of(node);
    const message: LogMessage = {
      type: MessageType.dead,
      node: 1,
      uuid: '',
      seq: 0,
      flag: 0,
      regions,
      count: 1,
      bytes,
      byteCount: bytes.length,
    };
    this.checks.submitted(this.hosts[0], message);
  }

  writer(): Host {
    const writer = this.hosts.find((host) => host.daemon?.writes(this.uuid));
    if (writer === undefined) throw new Error('nobody writes the log device');
    return writer;
  }

  #atRest(host: Host): boolean {
    const state = host.liveState(this.uuid);
    const mirror = host.mirrors.get(this.uuid);
    const inSync = state !== null && state.map.inner.syncCount === state.map.inner.regionCount;
    const copies = (mirror?.device?.live?.hash.recovering ?? true) || state?.recoveringRegion !== -1;
    return inSync && !copies && host.follows(this.uuid) && mirror?.busy === false && host.toldQuorate;
  }
}

interface Case {
  readonly rule: string;
  readonly title: string;
  /** Makes a cluster in which the rule holds; `act` then looks. */
  readonly prepare?: (cluster: Rested) => void;
  readonly spoil: (cluster: Rested) => void;
  readonly act: (cluster: Rested) => void;
}

const flush = (cluster: Rested) => cluster.answer(cluster.hosts[0], DM_ULOG_FLUSH);
const copy = (cluster: Rested) =>
  cluster.checks.recoveryStarted(cluster.hosts[0], cluster.log(cluster.hosts[0]), region);
const look = (cluster: Rested) => cluster.look();

const cases: readonly Case[] = [
  {
    rule: 'R1-members',
    title: 'a flush is answered, and a member does not know the mark',
    prepare: (cluster) => cluster.mark(),
    spoil: (cluster) => cluster.clean(cluster.hosts[1]),
    act: flush,
  },
  {
    rule: 'R13-flush',
    title: 'a new mark is promised without quorum',
    prepare: (cluster) => cluster.mark(),
    spoil: ({ hosts: [first] }) => {
      first.toldQuorate = false;
    },
    act: flush,
  },
  {
    rule: 'R13-refused',
    title: 'a flush is refused, and only nobody has said yet that there is quorum',
    prepare: ({ sim, hosts: [first] }) => {
      Object.assign(sim.cluster?.plan ?? {}, { failWithoutQuorum: true });
      first.toldInquorate = true;
    },
    spoil: ({ hosts: [first] }) => {
      first.toldInquorate = false;
    },
    act: (cluster) => cluster.answer(cluster.hosts[0], DM_ULOG_FLUSH, 0, 0, [], -Errno.EIO),
  },
  {
    rule: 'R4-flush-waits',
    title: 'a new mark is promised of a region that another kernel copies',
    prepare: (cluster) => cluster.mark(),
    spoil: (cluster) => {
      cluster.truth(cluster.hosts[1]).copying = region;
    },
    act: flush,
  },
  {
    rule: 'R4-written-while-recovered',
    title: 'a kernel writes to all legs of a region that another copies',
    spoil: (cluster) => {
      cluster.truth(cluster.hosts[1]).copying = region;
    },
    act: (cluster) => cluster.checks.writeIssued(cluster.hosts[0], cluster.log(cluster.hosts[0]), region, true),
  },
  {
    rule: 'R4-recovered-under-writer',
    title: 'a kernel copies a region that another writes',
    spoil: (cluster) => cluster.truth(cluster.hosts[2]).open.set(region, 1),
    act: copy,
  },
  {
    rule: 'R4-recovered-under-writer',
    title: 'a kernel copies a region that another writes on the default leg',
    spoil: (cluster) => cluster.truth(cluster.hosts[2]).openDefault.set(region, 1),
    act: copy,
  },
  {
    rule: 'R6-one-recoverer',
    title: 'a kernel begins to copy while another copies another region',
    spoil: (cluster) => {
      cluster.truth(cluster.hosts[1]).copying = region + 1;
    },
    act: copy,
  },
  {
    rule: 'R6-one-recoverer',
    title: 'two kernels are found to copy',
    prepare: (cluster) => {
      cluster.truth(cluster.hosts[0]).copying = region;
    },
    spoil: (cluster) => {
      cluster.truth(cluster.hosts[1]).copying = region + 1;
    },
    act: look,
  },
  {
    rule: 'R7-known-dead',
    title: 'a node is taken for dead that lives',
    prepare: ({ hosts: [, , third], sim }) => {
      third.powerCut(1e6);
      sim.count('cut');
    },
    spoil: ({ hosts: [, , third] }) => {
      third.bootId = 'a boot that is not over';
    },
    act: (cluster) => cluster.sayDead(3, cluster.hosts[2].bootId),
  },
  {
    rule: 'R8-let-in',
    title: 'a kernel begins where the legs differ and takes them for equal',
    prepare: (cluster) => {
      const [first] = cluster.hosts;
      cluster.sim.shared.get(cluster.uuid)?.legs.set(1, region * cluster.log(first).regionSectors, 4711);
      cluster.dirty(first);
      cluster.state(first).map.inner.setInSync(region, false);
      cluster.truth(first).begins = true;
    },
    spoil: (cluster) => {
      const [first] = cluster.hosts;
      cluster.state(first).map.inner.setInSync(region, true);
      // An answer that is said again is looked at no more.
      cluster.answer(first, DM_ULOG_RESUME);
    },
    act: (cluster) => {
      const [first] = cluster.hosts;
      cluster.answer(first, DM_ULOG_POSTSUSPEND);
      cluster.answer(first, DM_ULOG_RESUME);
    },
  },
  {
    rule: 'R8-one-writer',
    title: 'a host writes while a write of another is under way',
    prepare: ({ disk }) => void disk.underWay.set(2, 0),
    spoil: ({ disk }) => void disk.underWay.set(2, 1),
    act: ({ checks, hosts: [first], disk }) => {
      disk.lastWriter = first.node;
      checks.writes(first, disk);
    },
  },
  {
    rule: 'R8-one-writer',
    title: 'a host writes while the writer goes on',
    prepare: (cluster) => {
      cluster.disk.lastWriter = cluster.writer().node;
      cluster.disk.lastProcess = null;
    },
    spoil: (cluster) => {
      cluster.disk.lastProcess = cluster.writer().daemon;
    },
    act: (cluster) => {
      const other = cluster.hosts.find((host) => host !== cluster.writer()) as Host;
      cluster.checks.writes(other, cluster.disk);
    },
  },
  {
    rule: 'R10-suspend',
    title: 'PRESUSPEND is answered while another kernel copies',
    spoil: (cluster) => {
      cluster.truth(cluster.hosts[1]).copying = region;
    },
    act: (cluster) => cluster.answer(cluster.hosts[0], DM_ULOG_PRESUSPEND),
  },
  {
    rule: 'R10-suspend',
    title: 'a kernel copies while another is being suspended',
    spoil: (cluster) => {
      cluster.truth(cluster.hosts[1]).halted = true;
      cluster.answer(cluster.hosts[1], DM_ULOG_PRESUSPEND);
    },
    act: copy,
  },
  {
    rule: 'R10-found-out',
    title: 'a kernel copies what another one has found out of sync',
    prepare: (cluster) => cluster.answer(cluster.hosts[1], DM_ULOG_SET_REGION_SYNC, 0, 0, [region + 1, 0]),
    spoil: (cluster) => cluster.answer(cluster.hosts[1], DM_ULOG_SET_REGION_SYNC, 0, 0, [region, 0]),
    act: copy,
  },
  {
    rule: 'R11-resumed',
    title: 'a device stays suspended',
    prepare: (cluster) => {
      const device = cluster.hosts[1].mirrors.get(cluster.uuid)?.device;
      if (device) device.suspended = true;
      cluster.sim.timeline.nowMs += 60_000;
      cluster.look();
    },
    spoil: ({ sim }) => {
      sim.timeline.nowMs += 60_000;
    },
    act: look,
  },
  {
    rule: 'R13-hand-out',
    title: 'a region is handed out without quorum',
    spoil: ({ hosts: [first] }) => {
      first.toldQuorate = false;
    },
    act: (cluster) => cluster.answer(cluster.hosts[0], DM_ULOG_GET_RESYNC_WORK, 1, region),
  },
  {
    rule: 'R13-clean',
    title: 'a region becomes clean though nobody has quorum',
    prepare: (cluster) => {
      cluster.sim.timeline.nowMs += 60_000;
      for (const host of cluster.hosts) {
        host.toldQuorate = false;
        host.quorumHeard = 0;
        cluster.dirty(host);
      }
      cluster.look();
    },
    spoil: (cluster) => {
      for (const host of cluster.hosts) cluster.clean(host);
    },
    act: look,
  },
  {
    rule: 'clean-anywhere',
    title: 'a region that is written is clean on another host',
    prepare: (cluster) => cluster.write(),
    spoil: (cluster) => cluster.clean(cluster.hosts[2]),
    act: look,
  },
  {
    rule: 'owner-forgotten',
    title: 'a region that is written has no owner on another host',
    prepare: (cluster) => cluster.write(),
    spoil: (cluster) => cluster.state(cluster.hosts[2]).owners.clear(),
    act: look,
  },
  {
    rule: 'copies-agree',
    title: 'a bit differs at the same place of the order',
    spoil: (cluster) => cluster.state(cluster.hosts[2]).map.inner.setInSync(region, false),
    act: movedOn,
  },
  {
    rule: 'copies-agree',
    title: 'the recoverer differs at the same place of the order',
    prepare: (cluster) => {
      for (const host of cluster.hosts) cluster.state(host).map.inner.setInSync(region, false);
    },
    spoil: (cluster) => {
      cluster.state(cluster.hosts[2]).inner.recoveringRegion = region;
    },
    act: movedOn,
  },
];

/** All have had one more message, and a look follows. */
function movedOn(cluster: Rested): void {
  const taken = 1 + Math.max(...cluster.hosts.map(({ membership }) => membership?.taken ?? 0));
  for (const { membership } of cluster.hosts) if (membership !== null) membership.taken = taken;
  cluster.look();
}

let cluster: Rested | null = null;
afterEach(() => {
  cluster?.sim.close();
  cluster = null;
});

describe('a checker of several hosts', () => {
  for (const { rule, title, prepare, spoil, act } of cases) {
    it(`${rule}: ${title}`, () => {
      cluster = new Rested();
      prepare?.(cluster);
      act(cluster);
      expect(cluster.sim.evaluations.counts.get(rule)).toBeGreaterThan(0);
      spoil(cluster);
      const spoilt = cluster;
      expect(() => act(spoilt)).toThrow(expect.objectContaining({ rule }));
    });
  }

  it('R10-suspend: who was cut off before another kernel began to copy cannot know of it', () => {
    cluster = new Rested();
    const [first, second] = cluster.hosts;
    const { membership } = second;
    if (membership === null) throw new Error('no group');
    const others = membership.view.filter((one) => one !== first.membership);
    membership.view = others;
    cluster.checks.recoveryStarted(second, cluster.log(second), region);
    cluster.truth(second).copying = region;
    cluster.answer(first, DM_ULOG_PRESUSPEND);
    // It is still known to one that was with it then.
    const [, , third] = cluster.hosts;
    const cut = cluster;
    expect(() => cut.answer(third, DM_ULOG_PRESUSPEND)).toThrow('R10-suspend');
  });

  it('is tried here, whichever it is', () => {
    expect([...new Set(cases.map(({ rule }) => rule))].sort()).toEqual([...clusterRules].sort());
  });
});
