/**
 * What goes wrong in a run, one entry a kind. Each is applied at a moment that the run chose, and ends by itself; one
 * that does not fit the moment (a device that is not there, a command at work) returns false and another is drawn.
 */
import { suspendUnheard } from './cluster/fault-steps.js';
import type { LogDisk } from './daemon/log-disk.js';
import type { Host } from './host.js';
import { injectHostile, repeatQuestion } from './hostile.js';
import type { SimMirror } from './mirror.js';

export interface FaultKind {
  readonly name: string;
  readonly weight: number;
  readonly apply: (host: Host) => boolean;
}

const errnoEio = 5;
const errnoEnodev = 19;
const errnoEnospc = 28;
/** As long as an answer and the request that follows it are under way. */
const answerOnItsWayMs = 0.05;
/** Longer than a host may stay a member of a log that it does not know. */
const unrecordedMs = 80_000;
/** More than the kernel waits for an answer. */
const resendMs = 15_000;

export const faultKinds: readonly FaultKind[] = [
  { name: 'daemon-killed', weight: 14, apply: (host) => killSoon(host, () => host.prng.real(1, 3000)) },
  { name: 'daemon-killed-twice', weight: 4, apply: killTwice },
  {
    name: 'daemon-down-long',
    weight: 4,
    apply: (host) => killSoon(host, () => host.prng.real(resendMs, 3 * resendMs)),
  },
  { name: 'daemon-killed-reconnecting', weight: 5, apply: killReconnecting },
  { name: 'daemon-killed-writing', weight: 7, apply: killWriting },
  { name: 'power-cut', weight: 12, apply: powerCut },
  { name: 'state-lost', weight: 5, apply: loseState },
  { name: 'daemon-stopped', weight: 4, apply: stopDaemon },
  {
    name: 'log-eio',
    weight: 4,
    apply: (host) => failDisk(host, { errno: errnoEio, reads: false, writes: true, opens: false }),
  },
  {
    name: 'log-enospc',
    weight: 3,
    apply: (host) => failDisk(host, { errno: errnoEnospc, reads: false, writes: true, opens: false }),
  },
  {
    name: 'log-gone',
    weight: 4,
    apply: (host) => failDisk(host, { errno: errnoEnodev, reads: true, writes: true, opens: true }),
  },
  { name: 'log-stalled', weight: 2, apply: stallDisk },
  { name: 'log-unreadable', weight: 3, apply: unreadableAtReload },
  { name: 'requests-lost', weight: 3, apply: (host) => disturb(host, { requestLost: 0.2 }) },
  { name: 'requests-twice', weight: 4, apply: (host) => disturb(host, { requestTwice: 0.5 }) },
  { name: 'replies-lost', weight: 3, apply: (host) => disturb(host, { replyLost: 0.2 }) },
  { name: 'replies-late', weight: 3, apply: (host) => disturb(host, { replyLateMs: resendMs + 500 }) },
  { name: 'overrun', weight: 3, apply: overrun },
  {
    name: 'suspend-resume',
    weight: 7,
    apply: (host) => onMirror(host, (mirror) => host.administrator.suspendAndResume(mirror, host.prng.real(0, 2000))),
  },
  { name: 'reload', weight: 7, apply: (host) => onMirror(host, (mirror) => host.administrator.reload(mirror)) },
  { name: 'resize', weight: 4, apply: resize },
  { name: 'recreate', weight: 3, apply: (host) => onMirror(host, (mirror) => host.administrator.recreate(mirror)) },
  { name: 'removed-unheard', weight: 7, apply: removeUnheard },
  { name: 'leg-failed', weight: 5, apply: failLeg },
  { name: 'leg-failed-at-reload', weight: 2, apply: failLegAtReload },
  { name: 'hostile-requests', weight: 6, apply: injectHostile },
  { name: 'status', weight: 4, apply: (host) => onMirror(host, (mirror) => host.administrator.ask(mirror)) },
  { name: 'log-too-small', weight: 3, apply: (host) => host.administrator.trySmallDevice() },
];

const weightSum = faultKinds.reduce((sum, kind) => sum + kind.weight, 0);

/** Applies one fault that fits the moment; returns its name, or null when none of some tries did. */
export function applyFault(host: Host): string | null {
  for (let attempt = 0; attempt < 8; attempt++) {
    const kind = draw(host);
    if (!kind.apply(host)) continue;
    host.count(`fault ${kind.name}`);
    host.note('fault', [kind.name.length], () => kind.name);
    return kind.name;
  }
  return null;
}

function draw(host: Host): FaultKind {
  let left = host.prng.real(0, weightSum);
  for (const kind of faultKinds) {
    left -= kind.weight;
    if (left < 0) return kind;
  }
  return faultKinds[0] as FaultKind;
}

/** The daemon dies before one of its next effects. */
function killSoon(host: Host, downMs: () => number): boolean {
  const daemon = host.daemon;
  if (daemon?.running !== true || daemon.kill.armed) return false;
  const down = downMs();
  host.restartMs = () => down;
  daemon.kill.arm(host.prng.between(1, 60));
  return true;
}

/** The daemon dies, and again before it has come to itself. */
function killTwice(host: Host): boolean {
  if (!killSoon(host, () => host.prng.real(1, 200))) return false;
  const watch = () => {
    if (host.dark) return;
    const next = host.daemon;
    if (next?.alive === true && !next.kill.armed) next.kill.arm(host.prng.between(1, 12));
    else host.timeline.after(1, watch);
  };
  host.timeline.after(host.prng.real(1, 400), watch);
  return true;
}

/** The daemon dies for long enough that its kernel reconnects to the next, which dies between the constructor and RESUME. */
function killReconnecting(host: Host): boolean {
  if (!killSoon(host, () => host.prng.real(300, 4000))) return false;
  host.workload.stir();
  // What is in flight to its log device then holds the next daemon's RESUME up.
  const late = host.prng.chance(0.4) && stallDisk(host);
  host.atReconnect = () => {
    if (late) {
      killBeforeResume(host);
      return;
    }
    host.restartMs = () => host.prng.real(1, 500);
    const { daemon } = host;
    if (host.prng.chance(0.3)) daemon?.kill.arm(host.prng.between(2, 8));
    // Or its answer is on the way: RESUME then finds nobody.
    else host.timeline.after(host.prng.real(0, answerOnItsWayMs), () => daemon?.die());
  };
  return true;
}

/** The daemon dies while the log device takes its time with a write, which may land when the next daemon is there. */
function killWriting(host: Host): boolean {
  const daemon = host.daemon;
  if (daemon?.running !== true || daemon.kill.armed || !stallDisk(host)) return false;
  const { prng, timeline, workload, node } = host;
  const disks = [...host.mirrors.values()].flatMap(({ disk }) => disk ?? []);
  const strike = (triesLeft: number) => {
    if (!daemon.running || daemon.kill.armed || host.healing) return;
    if (triesLeft > 0 && !disks.some(({ underWay }) => (underWay.get(node) ?? 0) > 0)) {
      timeline.after(prng.real(0.5, 20), () => strike(triesLeft - 1));
      return;
    }
    const down = prng.real(1, 100);
    host.restartMs = () => down;
    daemon.die();
    // What comes later may take another path than what hangs.
    if (host.alone && prng.chance(0.5)) for (const disk of disks) disk.stalledUntilMs = host.nowMs;
    // What the kernel asks the next daemon needs the device too.
    timeline.after(down + 5, () => workload.stir());
    for (let i = 0; i < 3; i++) timeline.after(down + prng.real(5, 1500), () => workload.stir());
  };
  workload.stir();
  timeline.after(prng.real(0.5, 30), () => strike(5));
  return true;
}

/** The path to a log device hangs: writes land at any time until it is back, in any order. */
function stallDisk(host: Host): boolean {
  const disk = pickDisk(host);
  if (disk === null || disk.stalledUntilMs > host.nowMs) return false;
  const { prng } = host;
  disk.stalledUntilMs = host.nowMs + prng.pick([prng.real(5, 300), prng.real(300, 3000), prng.real(300, 3000), 23_000]);
  return true;
}

/**
 * The mirror is removed while no daemon listens, so that some or all of PRESUSPEND, POSTSUSPEND and DTR are lost, and is
 * created again after a while, or a long one.
 */
function removeUnheard(host: Host): boolean {
  const { prng } = host;
  const downMs = prng.pick([prng.real(5, 1000), prng.real(1000, 8000)]);
  const longerMs = prng.pick([prng.real(-3000, 3000), prng.real(7000, 20_000), prng.real(70_000, 90_000)]);
  const goneMs = Math.max(0, downMs + longerMs);
  const afterMs = prng.pick([0, prng.real(0, 3)]);
  // With its record: then members alone know that the host had the log.
  const losesState = !host.alone && prng.chance(0.3);
  const die = ({ daemon }: Host) => {
    daemon?.die();
    if (losesState) host.loseState();
  };
  return onMirror(host, (mirror) =>
    host.administrator.recreate(mirror, losesState ? goneMs + unrecordedMs : goneMs, () => {
      if (host.healing) return;
      if (prng.chance(0.3)) {
        disturb(host, { overrun: true });
        return;
      }
      const { daemon } = host;
      if (daemon?.running !== true || daemon.kill.armed) return;
      host.restartMs = () => downMs;
      if (afterMs === 0) die(host);
      else host.timeline.after(afterMs, () => die(host));
    }),
  );
}

/** The daemon dies while RESUME waits and other threads of the kernel ask, for so long that its repetition finds nobody. */
function killBeforeResume(host: Host): void {
  const { daemon, prng } = host;
  const downMs = resendMs + prng.real(0, 2000);
  host.timeline.after(prng.real(0.5, 30), () => {
    if (host.healing || daemon?.running !== true) return;
    host.restartMs = () => downMs;
    daemon.die();
  });
}

function powerCut(host: Host): boolean {
  if (host.dark) return false;
  // The very first activation has something to lose only when it has begun.
  host.powerCut(host.prng.real(10, 5000));
  return true;
}

/** The daemon is killed and its state deleted: noticed by the kernel when it stays away, or not. */
function loseState(host: Host): boolean {
  const daemon = host.daemon;
  if (daemon?.running !== true || daemon.kill.armed) return false;
  const down = host.prng.pick([5, 200, 4000, 20_000]);
  host.restartMs = () => down;
  daemon.die();
  host.loseState();
  // The next one cannot load a log either whose kernel goes on writing.
  if (host.alone && host.prng.chance(0.5)) {
    const reads = { errno: errnoEio, reads: true, writes: host.prng.chance(0.5), opens: false };
    host.timeline.after(down, () => void (!host.healing && failDisk(host, reads)));
  }
  return true;
}

function stopDaemon(host: Host): boolean {
  if (host.daemon?.running !== true) return false;
  host.stopDaemon(host.prng.pick([300, resendMs + 200, 2 * resendMs + 1000]));
  return true;
}

function failDisk(host: Host, fault: { errno: number; reads: boolean; writes: boolean; opens: boolean }): boolean {
  const disk = pickDisk(host);
  if (disk === null || disk.fault !== null) return false;
  const operationsLeft = host.prng.pick([1, 1, 3, Number.POSITIVE_INFINITY]);
  // Shared disks fail for all, or on one host's way to them.
  const here = !host.alone && host.prng.chance(0.5) ? { node: host.node } : {};
  const set = { ...fault, operationsLeft, ...here };
  if (set.node !== undefined) host.count('log device fails on one host');
  disk.fault = set;
  if (host.alone && host.prng.chance(0.3)) askMeanwhile(host, disk);
  host.timeline.after(host.prng.real(500, 12_000), () => {
    if (disk.fault === set) disk.fault = null;
  });
  return true;
}

/** Somebody looks at the mirror while its log device fails, or right after. */
function askMeanwhile(host: Host, disk: LogDisk): void {
  host.timeline.after(host.prng.real(5, 3000), () => {
    for (const mirror of host.mirrors.values()) {
      if (mirror.disk === disk && !mirror.busy && mirror.device?.live) host.administrator.ask(mirror);
    }
  });
}

/** The log cannot be read when a table is reloaded. */
function unreadableAtReload(host: Host): boolean {
  return onMirror(host, (mirror) => {
    const disk = mirror.disk;
    if (disk === null || disk.fault !== null || !host.administrator.reload(mirror)) return false;
    const set = { errno: errnoEio, reads: true, writes: false, opens: false, operationsLeft: host.prng.between(1, 3) };
    disk.fault = set;
    if (host.prng.chance(0.5)) host.atDraining = () => killDraining(host, disk);
    host.timeline.after(host.prng.real(500, 6000), () => {
      if (disk.fault === set) disk.fault = null;
    });
    return true;
  });
}

/** The table that could not be loaded is suspended to be replaced, and the daemon dies while its writes drain. */
function killDraining(host: Host, disk: LogDisk): void {
  const { daemon, prng } = host;
  host.timeline.after(prng.pick([0, prng.real(0, 2)]), () => {
    if (host.healing || daemon?.running !== true) return;
    host.restartMs = () => prng.real(1, 500);
    daemon.die();
    // Nor can the next daemon load it at once.
    const set = { errno: errnoEio, reads: true, writes: false, opens: false, operationsLeft: prng.between(1, 2) };
    disk.fault ??= set;
    host.timeline.after(prng.real(500, 6000), () => {
      if (disk.fault === set) disk.fault = null;
    });
  });
}

function disturb(host: Host, change: Partial<Host['wire']>): boolean {
  const quiet = { requestLost: 0, requestTwice: 0, replyLost: 0, replyLateMs: 0, overrun: false };
  Object.assign(host.wire, change);
  host.timeline.after(host.prng.real(50, 1500), () => void Object.assign(host.wire, quiet));
  return true;
}

/** The daemon's queue is full: the kernel finds nobody and reconnects to a daemon that never was away. */
function overrun(host: Host): boolean {
  if (host.daemon?.running !== true) return false;
  return disturb(host, { overrun: true });
}

/** Longer or shorter; a log that starts in sync only shorter, since what grows back would count as equal. */
function resize(host: Host): boolean {
  return onMirror(host, (mirror) => {
    const plan = host.plan(mirror);
    if (plan === undefined || !host.alone) return false;
    const { regionSectors } = mirror.shape;
    const nosync = mirror.shape.words.includes('nosync');
    const low = Math.max(regionSectors, Math.floor(mirror.sectors * 0.7));
    const high = nosync ? mirror.sectors : plan.sectorsMax;
    return high > low && host.administrator.reload(mirror, host.prng.between(low, high));
  });
}

function failLeg(host: Host): boolean {
  return onMirror(host, (mirror) => {
    // A log that fails while a leg fails is beyond what this kernel can handle.
    if (mirror.port.broken || !host.diskWell(mirror)) return false;
    mirror.port.broken = true;
    const brokenMs = host.prng.real(200, 4000);
    host.timeline.after(brokenMs, () => {
      mirror.port.broken = false;
    });
    for (let i = 0; i < 4; i++) host.timeline.after(host.prng.real(10, 3000), () => repeatQuestion(host, mirror));
    if (host.alone) return true;
    searchElsewhere(host, mirror, brokenMs);
    if (host.prng.chance(0.5)) suspendUnheard(host, mirror, brokenMs + 1000);
    return true;
  });
}

/** What a kernel has found out of sync others would recover, whose legs are well: one that begins anew asks for all there is (R10). */
function searchElsewhere({ sim, prng, timeline, node }: Host, { shape }: SimMirror, withinMs: number): void {
  for (let times = 3; times > 0; times--) {
    const other = prng.pick(sim.hosts);
    timeline.after(prng.real(0, withinMs), () => {
      const mirror = other.mirrors.get(shape.uuid);
      if (sim.healing || other.node === node || other.dark || mirror?.device?.live == null) return;
      other.administrator.suspendAndResume(mirror, prng.real(0, 50));
    });
  }
}

/**
 * A leg fails between the constructor of a core log's new table, which says that all of it is in sync, and the RESUME: what the
 * log in use has learnt by then the new one must believe.
 */
function failLegAtReload(host: Host): boolean {
  return onMirror(host, (mirror) => {
    if (mirror.disk !== null || mirror.port.broken || mirror.device?.live?.inSync !== true) return false;
    const { prng, timeline } = host;
    const openMs = prng.real(20, 2000);
    if (!host.administrator.reload(mirror, mirror.sectors, openMs)) return false;
    timeline.after(prng.real(0, openMs), () => {
      if (host.healing) return;
      mirror.port.broken = true;
      host.workload.stir();
      timeline.after(prng.real(20, 4000), () => {
        mirror.port.broken = false;
      });
    });
    return true;
  });
}

function onMirror(host: Host, apply: (mirror: SimMirror) => boolean): boolean {
  const mirror = host.prng.pick([...host.mirrors.values()]);
  if (host.dark || mirror.busy || mirror.device?.live === null || mirror.device === null) return false;
  return apply(mirror);
}

function pickDisk(host: Host): LogDisk | null {
  const mirrors = [...host.mirrors.values()].filter((mirror) => mirror.disk !== null && !mirror.port.broken);
  return mirrors.length === 0 ? null : host.prng.pick(mirrors).disk;
}
