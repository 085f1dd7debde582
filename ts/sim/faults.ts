/**
 * What goes wrong in a run, one entry a kind. Each is applied at a moment that the run chose, and ends by itself; one
 * that does not fit the moment (a device that is not there, a command at work) returns false and another is drawn.
 */
import type { LogDisk } from './daemon/log-disk.js';
import { injectHostile, repeatQuestion } from './hostile.js';
import type { SimMirror } from './mirror.js';
import type { Simulation } from './simulation.js';

export interface FaultKind {
  readonly name: string;
  readonly weight: number;
  readonly apply: (sim: Simulation) => boolean;
}

const errnoEio = 5;
const errnoEnodev = 19;
const errnoEnospc = 28;
/** As long as an answer and the request that follows it are under way. */
const answerOnItsWayMs = 0.05;
/** More than the kernel waits for an answer. */
const resendMs = 15_000;

export const faultKinds: readonly FaultKind[] = [
  { name: 'daemon-killed', weight: 14, apply: (sim) => killSoon(sim, () => sim.prng.real(1, 3000)) },
  { name: 'daemon-killed-twice', weight: 4, apply: killTwice },
  { name: 'daemon-down-long', weight: 4, apply: (sim) => killSoon(sim, () => sim.prng.real(resendMs, 3 * resendMs)) },
  { name: 'daemon-killed-reconnecting', weight: 5, apply: killReconnecting },
  { name: 'daemon-killed-writing', weight: 6, apply: killWriting },
  { name: 'power-cut', weight: 12, apply: powerCut },
  { name: 'state-lost', weight: 5, apply: loseState },
  { name: 'daemon-stopped', weight: 4, apply: stopDaemon },
  {
    name: 'log-eio',
    weight: 4,
    apply: (sim) => failDisk(sim, { errno: errnoEio, reads: false, writes: true, opens: false }),
  },
  {
    name: 'log-enospc',
    weight: 3,
    apply: (sim) => failDisk(sim, { errno: errnoEnospc, reads: false, writes: true, opens: false }),
  },
  {
    name: 'log-gone',
    weight: 4,
    apply: (sim) => failDisk(sim, { errno: errnoEnodev, reads: true, writes: true, opens: true }),
  },
  { name: 'log-stalled', weight: 2, apply: stallDisk },
  { name: 'log-unreadable', weight: 3, apply: unreadableAtReload },
  { name: 'requests-lost', weight: 3, apply: (sim) => disturb(sim, { requestLost: 0.2 }) },
  { name: 'requests-twice', weight: 4, apply: (sim) => disturb(sim, { requestTwice: 0.5 }) },
  { name: 'replies-lost', weight: 3, apply: (sim) => disturb(sim, { replyLost: 0.2 }) },
  { name: 'replies-late', weight: 3, apply: (sim) => disturb(sim, { replyLateMs: resendMs + 500 }) },
  { name: 'overrun', weight: 3, apply: overrun },
  {
    name: 'suspend-resume',
    weight: 7,
    apply: (sim) => onMirror(sim, (mirror) => sim.administrator.suspendAndResume(mirror, sim.prng.real(0, 2000))),
  },
  { name: 'reload', weight: 7, apply: (sim) => onMirror(sim, (mirror) => sim.administrator.reload(mirror)) },
  { name: 'resize', weight: 4, apply: resize },
  { name: 'recreate', weight: 3, apply: (sim) => onMirror(sim, (mirror) => sim.administrator.recreate(mirror)) },
  { name: 'removed-unheard', weight: 7, apply: removeUnheard },
  { name: 'leg-failed', weight: 5, apply: failLeg },
  { name: 'hostile-requests', weight: 6, apply: injectHostile },
  { name: 'status', weight: 4, apply: (sim) => onMirror(sim, (mirror) => sim.administrator.ask(mirror)) },
  { name: 'log-too-small', weight: 3, apply: (sim) => sim.administrator.trySmallDevice() },
];

const weightSum = faultKinds.reduce((sum, kind) => sum + kind.weight, 0);

/** Applies one fault that fits the moment; returns its name, or null when none of some tries did. */
export function applyFault(sim: Simulation): string | null {
  for (let attempt = 0; attempt < 8; attempt++) {
    const kind = draw(sim);
    if (!kind.apply(sim)) continue;
    sim.count(`fault ${kind.name}`);
    sim.note('fault', [kind.name.length], () => kind.name);
    return kind.name;
  }
  return null;
}

function draw(sim: Simulation): FaultKind {
  let left = sim.prng.real(0, weightSum);
  for (const kind of faultKinds) {
    left -= kind.weight;
    if (left < 0) return kind;
  }
  return faultKinds[0] as FaultKind;
}

/** The daemon dies before one of its next effects. */
function killSoon(sim: Simulation, downMs: () => number): boolean {
  const daemon = sim.daemon;
  if (daemon?.running !== true || daemon.kill.armed) return false;
  const down = downMs();
  sim.restartMs = () => down;
  daemon.kill.arm(sim.prng.between(1, 60));
  return true;
}

/** The daemon dies, and again before it has come to itself. */
function killTwice(sim: Simulation): boolean {
  if (!killSoon(sim, () => sim.prng.real(1, 200))) return false;
  const watch = () => {
    if (sim.dark) return;
    const next = sim.daemon;
    if (next?.alive === true && !next.kill.armed) next.kill.arm(sim.prng.between(1, 12));
    else sim.timeline.after(1, watch);
  };
  sim.timeline.after(sim.prng.real(1, 400), watch);
  return true;
}

/** The daemon dies for long enough that its kernel reconnects to the next, which dies between the constructor and RESUME. */
function killReconnecting(sim: Simulation): boolean {
  if (!killSoon(sim, () => sim.prng.real(300, 4000))) return false;
  sim.workload.stir();
  // What is in flight to its log device then holds the next daemon's RESUME up.
  const late = sim.prng.chance(0.4) && stallDisk(sim);
  sim.atReconnect = () => {
    if (late) {
      killBeforeResume(sim);
      return;
    }
    sim.restartMs = () => sim.prng.real(1, 500);
    const { daemon } = sim;
    if (sim.prng.chance(0.3)) daemon?.kill.arm(sim.prng.between(2, 8));
    // Or its answer is on the way: RESUME then finds nobody.
    else sim.timeline.after(sim.prng.real(0, answerOnItsWayMs), () => daemon?.die());
  };
  return true;
}

/** The daemon dies while the log device takes its time with a write, which may land when the next daemon is there. */
function killWriting(sim: Simulation): boolean {
  const daemon = sim.daemon;
  if (daemon?.running !== true || daemon.kill.armed || !stallDisk(sim)) return false;
  sim.workload.stir();
  sim.timeline.after(sim.prng.real(0.5, 30), () => {
    if (!daemon.running || daemon.kill.armed || sim.healing) return;
    const down = sim.prng.real(1, 100);
    sim.restartMs = () => down;
    daemon.die();
    // What the kernel asks the next daemon needs the device too.
    sim.timeline.after(down + 5, () => sim.workload.stir());
  });
  return true;
}

/** The path to a log device hangs: writes land at any time until it is back, in any order. */
function stallDisk(sim: Simulation): boolean {
  const disk = pickDisk(sim);
  if (disk === null || disk.stalledUntilMs > sim.nowMs) return false;
  const { prng } = sim;
  disk.stalledUntilMs = sim.nowMs + prng.pick([prng.real(5, 300), prng.real(300, 3000), prng.real(300, 3000), 23_000]);
  return true;
}

/**
 * The mirror is removed while no daemon listens, so that some or all of PRESUSPEND, POSTSUSPEND and DTR are lost, and is
 * created again after a while, or a long one.
 */
function removeUnheard(sim: Simulation): boolean {
  const { prng } = sim;
  const downMs = prng.pick([prng.real(5, 1000), prng.real(1000, 8000)]);
  const longerMs = prng.pick([prng.real(-3000, 3000), prng.real(7000, 20_000), prng.real(70_000, 90_000)]);
  const goneMs = Math.max(0, downMs + longerMs);
  const afterMs = prng.pick([0, prng.real(0, 3)]);
  return onMirror(sim, (mirror) =>
    sim.administrator.recreate(mirror, goneMs, () => {
      if (sim.healing) return;
      if (prng.chance(0.3)) {
        disturb(sim, { overrun: true });
        return;
      }
      const { daemon } = sim;
      if (daemon?.running !== true || daemon.kill.armed) return;
      sim.restartMs = () => downMs;
      if (afterMs === 0) daemon.die();
      else sim.timeline.after(afterMs, () => daemon.die());
    }),
  );
}

/** The daemon dies while RESUME waits and other threads of the kernel ask, for so long that its repetition finds nobody. */
function killBeforeResume(sim: Simulation): void {
  const { daemon, prng } = sim;
  const downMs = resendMs + prng.real(0, 2000);
  sim.timeline.after(prng.real(0.5, 30), () => {
    if (sim.healing || daemon?.running !== true) return;
    sim.restartMs = () => downMs;
    daemon.die();
  });
}

function powerCut(sim: Simulation): boolean {
  if (sim.dark) return false;
  // The very first activation has something to lose only when it has begun.
  sim.powerCut(sim.prng.real(10, 5000));
  return true;
}

/** The daemon is killed and its state deleted: noticed by the kernel when it stays away, or not. */
function loseState(sim: Simulation): boolean {
  const daemon = sim.daemon;
  if (daemon?.running !== true || daemon.kill.armed) return false;
  const down = sim.prng.pick([5, 200, 4000, 20_000]);
  sim.restartMs = () => down;
  daemon.die();
  sim.loseState();
  return true;
}

function stopDaemon(sim: Simulation): boolean {
  if (sim.daemon?.running !== true) return false;
  sim.stopDaemon(sim.prng.pick([300, resendMs + 200, 2 * resendMs + 1000]));
  return true;
}

function failDisk(sim: Simulation, fault: { errno: number; reads: boolean; writes: boolean; opens: boolean }): boolean {
  const disk = pickDisk(sim);
  if (disk === null || disk.fault !== null) return false;
  const operationsLeft = sim.prng.pick([1, 1, 3, Number.POSITIVE_INFINITY]);
  const set = { ...fault, operationsLeft };
  disk.fault = set;
  sim.timeline.after(sim.prng.real(500, 12_000), () => {
    if (disk.fault === set) disk.fault = null;
  });
  return true;
}

/** The log cannot be read when a table is reloaded. */
function unreadableAtReload(sim: Simulation): boolean {
  return onMirror(sim, (mirror) => {
    const disk = mirror.disk;
    if (disk === null || disk.fault !== null || !sim.administrator.reload(mirror)) return false;
    const set = { errno: errnoEio, reads: true, writes: false, opens: false, operationsLeft: sim.prng.between(1, 3) };
    disk.fault = set;
    if (sim.prng.chance(0.5)) sim.atDraining = () => killDraining(sim, disk);
    sim.timeline.after(sim.prng.real(500, 6000), () => {
      if (disk.fault === set) disk.fault = null;
    });
    return true;
  });
}

/** The table that could not be loaded is suspended to be replaced, and the daemon dies while its writes drain. */
function killDraining(sim: Simulation, disk: LogDisk): void {
  const { daemon, prng } = sim;
  sim.timeline.after(prng.pick([0, prng.real(0, 2)]), () => {
    if (sim.healing || daemon?.running !== true) return;
    sim.restartMs = () => prng.real(1, 500);
    daemon.die();
    // Nor can the next daemon load it at once.
    const set = { errno: errnoEio, reads: true, writes: false, opens: false, operationsLeft: prng.between(1, 2) };
    disk.fault ??= set;
    sim.timeline.after(prng.real(500, 6000), () => {
      if (disk.fault === set) disk.fault = null;
    });
  });
}

function disturb(sim: Simulation, change: Partial<Simulation['wire']>): boolean {
  const quiet = { requestLost: 0, requestTwice: 0, replyLost: 0, replyLateMs: 0, overrun: false };
  Object.assign(sim.wire, change);
  sim.timeline.after(sim.prng.real(50, 1500), () => void Object.assign(sim.wire, quiet));
  return true;
}

/** The daemon's queue is full: the kernel finds nobody and reconnects to a daemon that never was away. */
function overrun(sim: Simulation): boolean {
  if (sim.daemon?.running !== true) return false;
  return disturb(sim, { overrun: true });
}

/** Longer or shorter; a log that starts in sync only shorter, since what grows back would count as equal. */
function resize(sim: Simulation): boolean {
  return onMirror(sim, (mirror) => {
    const plan = sim.plans.get(mirror.shape.uuid);
    if (plan === undefined) return false;
    const { regionSectors } = mirror.shape;
    const nosync = mirror.shape.words.includes('nosync');
    const low = Math.max(regionSectors, Math.floor(mirror.sectors * 0.7));
    const high = nosync ? mirror.sectors : plan.sectorsMax;
    return high > low && sim.administrator.reload(mirror, sim.prng.between(low, high));
  });
}

function failLeg(sim: Simulation): boolean {
  return onMirror(sim, (mirror) => {
    // A log that fails while a leg fails is beyond what this kernel can handle.
    if (mirror.legs.broken || !sim.diskWell(mirror)) return false;
    mirror.legs.broken = true;
    sim.timeline.after(sim.prng.real(200, 4000), () => {
      mirror.legs.broken = false;
    });
    for (let i = 0; i < 4; i++) sim.timeline.after(sim.prng.real(10, 3000), () => repeatQuestion(sim, mirror));
    return true;
  });
}

function onMirror(sim: Simulation, apply: (mirror: SimMirror) => boolean): boolean {
  const mirror = sim.prng.pick([...sim.mirrors.values()]);
  if (sim.dark || mirror.busy || mirror.device?.live === null || mirror.device === null) return false;
  return apply(mirror);
}

function pickDisk(sim: Simulation): LogDisk | null {
  const mirrors = [...sim.mirrors.values()].filter((mirror) => mirror.disk !== null && !mirror.legs.broken);
  return mirrors.length === 0 ? null : sim.prng.pick(mirrors).disk;
}
