/**
 * What an administrator, or a monitor in his place, does with the mirrors: activates them at boot, suspends, reloads,
 * resizes, removes; and replaces the table of a mirror that holds its writes. One command at a time for each mirror.
 */
import { liveState } from './checks/world.js';
import { together } from './cluster/bonds.js';
import type { Host } from './host.js';
import type { Kernel } from './kernel/kernel.js';
import type { Blocking } from './kernel/threads.js';
import { kernelErrno } from './kernel/world.js';
import type { SimMirror } from './mirror.js';

const smallUuid = 'LVM-too-small';
const retryMs = 1000;
const superviseMs = 700;
const attentions = [1, 1, 1, 0.04] as const;
/** How often the legs of a table open slowly, and how slowly. */
const slowLegs = 0.1;
const slowLegsMsMax = 20_000;
const saidMsMax = 60_000;
const resyncedRegionsMax = 2_000;

export class Administrator {
  readonly #host: Host;
  /** How likely he sees at a look that a mirror needs him: some are slow, and then the daemon has to help itself. */
  readonly #attention: number;

  constructor(host: Host) {
    this.#host = host;
    this.#attention = host.alone ? host.prng.pick(attentions) : 1;
  }

  /** Creates the mirrors of a fresh kernel. A core log has nothing to remember: it starts out of sync. */
  activateAll(first: boolean): void {
    for (const mirror of this.#host.mirrors.values())
      if (!mirror.unused) this.#command(mirror, this.#activate(mirror, first));
  }

  /** Looks after mirrors whose writes are held or whose resume failed, until the end of the run. */
  supervise(): void {
    this.#host.timeline.after(superviseMs, () => {
      for (const mirror of this.#host.mirrors.values()) {
        // A large one would be resynced region by region for the rest of the run.
        const unknown = this.#longUnknown(mirror) && mirror.regionCount <= resyncedRegionsMax;
        const wanted = this.needsCare(mirror) || unknown;
        const { healing, prng } = this.#host;
        const seen = healing || this.#attention === 1 || prng.chance(this.#attention);
        const stalled = this.#longStalled(mirror);
        if (!mirror.busy && wanted && seen && this.#host.diskWell(mirror)) this.reload(mirror);
        else if (stalled) this.suspendAndResume(mirror, 0);
        else if (this.#longUnheard(mirror)) this.ask(mirror);
      }
      this.supervise();
    });
  }

  needsCare(mirror: SimMirror): boolean {
    const live = mirror.device?.live;
    if (live === null || live === undefined) return false;
    return mirror.needsReload || live.logFailed || (live.legFailed && !mirror.port.broken);
  }

  /** The daemon's warning that marks are unknown stands for a while: only a suspend lets regions be clean again (R3). */
  #longUnknown(mirror: SimMirror): boolean {
    const { nowMs } = this.#host;
    if (liveState(this.#host, mirror)?.marksUnknown !== true) mirror.unknownSinceMs = -1;
    else if (mirror.unknownSinceMs < 0) mirror.unknownSinceMs = nowMs;
    return mirror.unknownSinceMs >= 0 && nowMs - mirror.unknownSinceMs > saidMsMax;
  }

  /**
   * His daemon's status says that the mirror has asked it for nothing: its state was lost, and a kernel that nobody uses does not find
   * that out before it is asked for its own status. On a cluster others wait for what it holds (R3).
   */
  #longUnheard(mirror: SimMirror): boolean {
    const { nowMs, alone, daemon } = this.#host;
    const unheard = !alone && mirror.device?.live != null && liveState(this.#host, mirror) === undefined;
    if (!unheard || daemon?.running !== true) mirror.unheardSinceMs = -1;
    else if (mirror.unheardSinceMs < 0) mirror.unheardSinceMs = nowMs;
    return mirror.unheardSinceMs >= 0 && nowMs - mirror.unheardSinceMs > saidMsMax;
  }

  /**
   * His daemon's status says that regions are out of sync, nothing speaks against recovery and no kernel asks for work. Daemons that
   * restart recovery (R11) see to it themselves.
   */
  #longStalled(mirror: SimMirror): boolean {
    const { sim, nowMs, alone, daemon } = this.#host;
    if (alone || sim.restarts) return false;
    const state = liveState(this.#host, mirror);
    const { regionCount, syncCount } = state?.map.inner ?? { regionCount: 0, syncCount: 0 };
    const rests = state?.recoveringRegion === -1 && !state.marksUnknown && syncCount < regionCount;
    const says = rests && daemon?.running === true && daemon.handsOut(mirror.shape.uuid);
    if (!says) mirror.stalledSinceMs = -1;
    else if (mirror.stalledSinceMs < 0 || mirror.stalledCount !== syncCount) mirror.stalledSinceMs = nowMs;
    mirror.stalledCount = syncCount;
    return mirror.stalledSinceMs >= 0 && nowMs - mirror.stalledSinceMs > saidMsMax;
  }

  /**
   * Users who are asked to end cannot: on a cluster their writes wait for a recovery that waits for a suspend (R3). The daemon's warning
   * says so.
   */
  #endsNever(mirror: SimMirror): boolean {
    return this.needsCare(mirror) || (!this.#host.alone && this.#longUnknown(mirror));
  }

  suspendAndResume(mirror: SimMirror, pauseMs: number): boolean {
    return this.#command(mirror, this.#suspendAndResume(mirror, pauseMs));
  }

  /** A new table over the old log, with a new luid. Its legs take `legsOpenMs` to open. */
  reload(mirror: SimMirror, sectors = mirror.sectors, legsOpenMs = this.#legsOpenMs()): boolean {
    return this.#command(mirror, this.#reload(mirror, sectors, legsOpenMs));
  }

  /** Removes the mirror in order and creates it again after `goneMs`; `removing` is called when its users rest. */
  recreate(mirror: SimMirror, goneMs = 0, removing = () => {}): boolean {
    return this.#command(mirror, this.#recreate(mirror, goneMs, removing));
  }

  ask(mirror: SimMirror): boolean {
    return this.#command(mirror, this.#ask(mirror));
  }

  /** A log device that its bitmap does not fit: the mirror must not come to be. */
  trySmallDevice(): boolean {
    const { kernel, prng } = this.#host;
    if (kernel === null || this.#host.daemon?.running !== true || !this.#host.alone) return false;
    const regions = prng.between(4097, 9000);
    const shape = {
      disk: true,
      regionSectors: 2,
      sectors: 2 * regions,
      sectorsMax: 2 * regions,
      words: [],
      integratedFlush: false,
    };
    const habits = {
      logicalBlockBytes: 512,
      spareBytes: 0,
      nameByNumbers: false,
      hotRegions: 1,
      burstMax: 1,
      pauseMsMax: 1,
    };
    const mirror = this.#host.makeSmall({ uuid: smallUuid, ...shape, ...habits });
    return this.#command(mirror, this.#trySmall(mirror));
  }

  /** The end of a run: suspend, look, remove. */
  retire(mirror: SimMirror, look: () => void): boolean {
    return this.#command(mirror, this.#retire(mirror, look));
  }

  #command(mirror: SimMirror, command: Blocking): boolean {
    const kernel = this.#host.kernel;
    if (mirror.busy || kernel === null) return false;
    mirror.busy = true;
    kernel.run(this.#exclusive(mirror, command));
    return true;
  }

  *#exclusive(mirror: SimMirror, command: Blocking): Blocking {
    yield* command;
    mirror.busy = false;
  }

  *#activate(mirror: SimMirror, first: boolean): Blocking {
    const kernel = this.#host.kernel;
    if (kernel === null) return;
    mirror.legs.endAt(mirror.sectors);
    const device = kernel.addDevice(mirror.port);
    mirror.device = device;
    const words = yield* this.#firstWords(kernel, mirror, first);
    while ((yield* device.load(mirror.table(words), this.#legsOpenMs())) !== 0) yield* kernel.client.sleep(retryMs);
    while (this.#goesOnUnseen(mirror)) yield* kernel.client.sleep(retryMs);
    mirror.needsReload = (yield* device.resume()) !== 0;
    this.#host.sim.created.add(mirror.shape.uuid);
    this.#host.note('activated', [device.live?.log.luidLow ?? 0], () => mirror.shape.uuid);
  }

  /**
   * `sync` and `nosync` are said by who makes the mirror, before anybody else has it; others wait for him. A core log that
   * comes back after a power cut has nothing to be in sync by.
   */
  *#firstWords(kernel: Kernel, mirror: SimMirror, first: boolean): Blocking<readonly string[]> {
    const { words } = mirror.shape;
    const { sim } = this.#host;
    const kept = words.filter((word) => word !== 'nosync');
    if (this.#host.alone) return first || mirror.disk !== null ? words : kept;
    if (first && this.#host === sim.hosts[0]) return words;
    while (!sim.created.has(mirror.shape.uuid)) yield* kernel.client.sleep(retryMs / 5);
    return kept.filter((word) => word !== 'sync');
  }

  /**
   * A host has the mirror in use, and this one does not hear it, or its daemon. When all who knew of that have lost their memory
   * nobody can know what it holds. So cluster managers shoot who is not seen at their start before they activate anything, and who
   * runs no daemon, or one that has lost what it knew of the mirror and says so, they mend first; and so it is here.
   */
  #goesOnUnseen({ shape }: SimMirror): boolean {
    const host = this.#host;
    const { sim, node, healing } = host;
    const { cluster } = sim;
    if (cluster === null) return false;
    const knows = host.daemon?.exchanging === false;
    const using = sim.hosts.filter((other) => other !== host && other.mirrors.get(shape.uuid)?.device?.live != null);
    const seen = (other: Host) => knows && together(host, other) && other.liveState(shape.uuid) !== null;
    const unseen = using.filter((other) => !seen(other));
    if (unseen.length === 0) return false;
    host.count('activation waits for who is not seen');
    const unheard = unseen.filter((other) => !cluster.group.hears(node, other.node));
    const shoots = !healing && cluster.plan.fencing === 'shoots' && cluster.group.quorate(node);
    if (shoots) for (const other of unheard) other.powerCut(host.prng.real(100, 8000));
    return !shoots || unheard.length < unseen.length;
  }

  *#suspendAndResume(mirror: SimMirror, pauseMs: number): Blocking {
    const { device, client } = this.#parts(mirror);
    yield* device.suspend();
    yield* client.sleep(pauseMs);
    if ((yield* device.resume()) !== 0) mirror.needsReload = true;
  }

  *#reload(mirror: SimMirror, sectors: number, legsOpenMs: number): Blocking {
    const { device, client } = this.#parts(mirror);
    const before = mirror.sectors;
    if (sectors < before) {
      // Nobody writes behind the new end any more.
      mirror.sectors = sectors;
      while ([...mirror.writing].some((sector) => sector >= sectors)) {
        if (this.#endsNever(mirror)) {
          mirror.sectors = before;
          return;
        }
        yield* client.sleep(50);
      }
    }
    const table = { ...mirror.table(yield* this.#reloadWords(mirror)), sectors };
    if ((yield* device.load(table, legsOpenMs)) !== 0) {
      mirror.sectors = before;
      return;
    }
    yield* device.suspend();
    // Its log has left when its RESUME failed: it is activated anew.
    while (mirror.needsReload && this.#goesOnUnseen(mirror)) yield* client.sleep(retryMs);
    mirror.legs.endAt(sectors);
    mirror.needsReload = (yield* device.resume()) !== 0;
    mirror.sectors = sectors;
  }

  /**
   * `sync` asks for a resync when a mirror is made, not each time its table changes. A core log is reloaded with
   * `nosync` when its mirror is known to be in sync, since its bits would start from nothing. So LVM2 does both.
   */
  *#reloadWords(mirror: SimMirror): Blocking<readonly string[]> {
    const kept = mirror.shape.words.filter((word) => word === 'block_on_error');
    const live = mirror.device?.live;
    if (!this.#host.alone) return kept;
    if (mirror.disk !== null) return mirror.shape.words.includes('nosync') ? ['nosync', ...kept] : kept;
    const wasInSync = live?.legFailed === false && (yield* live.log.syncCount()) === live.log.regionCount;
    return wasInSync ? ['nosync', ...kept] : kept;
  }

  *#recreate(mirror: SimMirror, goneMs: number, removing: () => void): Blocking {
    const { device, client } = this.#parts(mirror);
    mirror.quiet = true;
    while (mirror.writing.size > 0 && !this.#endsNever(mirror)) yield* client.sleep(20);
    if (mirror.writing.size === 0) {
      removing();
      yield* device.remove();
      if (goneMs > 0) yield* client.sleep(goneMs);
      yield* this.#activate(mirror, false);
    }
    mirror.quiet = false;
  }

  *#ask(mirror: SimMirror): Blocking {
    const { device } = this.#parts(mirror);
    const log = device.live?.log;
    if (log === undefined) return;
    // `dmsetup status`, also of a mirror that is suspended: the kernel keeps the count as its hint.
    yield* log.syncCount();
    yield* log.statusInfo();
    yield* log.statusTable();
    yield* log.isClean(this.#host.prng.below(log.regionCount));
  }

  *#trySmall(mirror: SimMirror): Blocking {
    const kernel = this.#host.kernel;
    if (kernel === null) return;
    const device = kernel.addDevice(mirror.port);
    mirror.device = device;
    const loaded = yield* device.load(mirror.table());
    const error = loaded !== 0 ? loaded : yield* device.resume();
    // A daemon that was away or a device that had another fault says nothing about sizes.
    const told = error !== -kernelErrno.ESRCH && error !== -kernelErrno.EIO;
    if (told)
      this.#host.evaluations.check(
        'R17-sizes',
        error === -kernelErrno.EINVAL,
        () => `a log device too small gave ${error}`,
      );
    yield* device.remove();
  }

  *#retire(mirror: SimMirror, look: () => void): Blocking {
    const { device } = this.#parts(mirror);
    yield* device.suspend();
    look();
    yield* device.remove();
    mirror.device = null;
  }

  /** Mostly at once; a leg behind a path that hangs takes its time. */
  #legsOpenMs(): number {
    const { prng } = this.#host;
    return prng.chance(slowLegs) ? prng.real(0, slowLegsMsMax) : 0;
  }

  #parts(mirror: SimMirror) {
    const kernel = this.#host.kernel;
    const device = mirror.device;
    if (kernel === null || device === null) throw new Error('a command for a mirror that is not there');
    return { device, client: kernel.client };
  }
}
