/**
 * One run: one seed, at least 300 requests and three faults, a healing, and a last full look.
 *
 * While faults come, the checkers look after every step. Healing takes every fault away, replaces the tables that hold
 * writes, suspends and resumes each mirror once (what a daemon must not do under an unknown kernel happens then), and waits
 * until all writes are done and every region is in sync. In the end each mirror is suspended: its log must be clean on the
 * device, its legs identical, and no acknowledged write missing.
 */
import { LifeCycle } from '../mirror/log-state.js';
import { finalCheck, suspendedCheck } from './checks/final-checks.js';
import { Inconclusive, Violation } from './checks/violation.js';
import { liveState } from './checks/world.js';
import { applyClusterFault } from './cluster/faults.js';
import { applyFault } from './faults.js';
import type { Host } from './host.js';
import type { SimMirror } from './mirror.js';
import { Simulation } from './simulation.js';

export interface RunResult {
  readonly seed: number;
  readonly hosts: number;
  readonly restarts: boolean;
  readonly hash: number;
  readonly steps: number;
  readonly requests: number;
  readonly virtualMs: number;
  readonly counts: ReadonlyMap<string, number>;
  readonly evaluations: ReadonlyMap<string, number>;
  readonly failure: { readonly rule: string; readonly text: string; readonly events: readonly string[] } | null;
}

const faultMsMax = 300_000;
const healMsMax = 900_000;
/** Within this time a daemon finds out that a log device is well again. */
const repairMsMax = 60_000;
const stepsMax = 4_000_000;

export interface RunOptions {
  /** How many of the last events a failure brings along. */
  readonly events?: number;
  readonly hosts?: number;
  /** Daemons of a cluster restart recovery by suspending devices (R11). */
  readonly restarts?: boolean;
}

export function runSeed(seed: number, { events = 40, hosts = 1, restarts = false }: RunOptions = {}): RunResult {
  const sim = new Simulation(seed, hosts, restarts);
  let failure: RunResult['failure'] = null;
  try {
    live(sim);
    heal(sim);
    retire(sim);
    finalCheck(sim);
  } catch (error) {
    if (error instanceof Inconclusive) sim.count(`inconclusive: ${error.message}`);
    else failure = toFailure(error, sim, events);
  } finally {
    sim.close();
  }
  return {
    seed,
    hosts,
    restarts: sim.restarts,
    hash: sim.journal.hash,
    steps: sim.timeline.steps,
    requests: sim.requests,
    virtualMs: sim.nowMs,
    counts: sim.counts,
    evaluations: sim.evaluations.counts,
    failure,
  };
}

function toFailure(error: unknown, sim: Simulation, events: number): RunResult['failure'] {
  const rule = error instanceof Violation ? error.rule : 'crash';
  const text = error instanceof Violation ? error.message : String(error instanceof Error ? error.stack : error);
  return { rule, text, events: sim.journal.last(events) };
}

/** Users write, faults come. */
function live(sim: Simulation): void {
  for (const host of sim.hosts) host.boot(true);
  for (const host of sim.hosts) host.administrator.supervise();
  for (const host of sim.hosts) {
    for (const [uuid, mirror] of host.mirrors) {
      const plan = sim.shared.get(uuid)?.plan;
      if (plan !== undefined) host.workload.start(mirror, plan, () => sim.requests >= sim.scenario.requestsMin);
    }
  }
  let faults = 0;
  const next = () => {
    if (sim.healing) return;
    if (faults < sim.scenario.faults) {
      // Most faults come while writes are under way.
      if (sim.prng.chance(0.7)) for (const host of sim.hosts) host.workload.stir();
      sim.timeline.after(sim.prng.real(0, 12), () => {
        if (!sim.healing && strike(sim) !== null) faults += 1;
      });
    }
    sim.timeline.after(sim.prng.real(50, 5000), next);
  };
  sim.timeline.after(sim.prng.real(0, 1500), next);
  const wanted = () => faults >= sim.scenario.faults && sim.requests >= sim.scenario.requestsMin;
  runUntil(sim, faultMsMax, () => wanted() || sim.nowMs > faultMsMax);
  // Some time for the last fault to bite.
  const endMs = sim.nowMs + sim.prng.real(100, 4000);
  runUntil(sim, faultMsMax, () => sim.nowMs >= endMs);
}

/** A fault, of one host or of what is between several. */
function strike({ hosts, prng, cluster }: Simulation): string | null {
  const [alone] = hosts;
  if (cluster === null && alone !== undefined) return applyFault(alone);
  const host = prng.pick(hosts);
  if (cluster !== null && prng.chance(cluster.plan.clusterFaults)) return applyClusterFault(host, cluster);
  return applyFault(host);
}

function heal(sim: Simulation): void {
  sim.heal();
  runUntil(sim, healMsMax, () => sim.hosts.every((host) => host.daemon?.running === true && settled(host)));
  const healedMs = sim.nowMs + repairMsMax;
  runUntil(sim, healMsMax, () => sim.nowMs >= healedMs || !sim.hosts.some(logFailed));
  sim.evaluations.check(
    'R16-healed',
    !sim.hosts.some(logFailed),
    () => 'a log device is well again and its log is still failed',
  );
  // R11: daemons restart what kernels do not ask for; a new table would.
  if (sim.restarts) runUntil(sim, healMsMax, () => allMirrors(sim).every((one) => resyncs(one.host, one.mirror)));
  for (const { host, mirror } of allMirrors(sim)) {
    runUntil(sim, healMsMax, () => !mirror.busy);
    host.administrator.reload(mirror);
  }
  const rests = (host: Host) => settled(host) && inSync(host) && host.workload.stopped && quorate(host);
  runUntil(sim, healMsMax, () => sim.hosts.every(rests));
}

/** Without quorum nothing becomes clean (R13), and who comes last may bring along that nobody knows what is in sync. */
function quorate(host: Host): boolean {
  return host.alone || (host.toldQuorate && host.quorumHeard === 1 && host.daemon?.exchanging === false);
}

/** No command at work, no table that must be replaced, no device suspended or about to be, no write under way. */
function settled(host: Host): boolean {
  if (host.kernel === null) return false;
  for (const mirror of usedMirrors(host)) {
    if (mirror.busy || mirror.device === null || host.administrator.needsCare(mirror)) return false;
    if (mirror.device.suspended || mirror.device.outstanding > 0) return false;
  }
  return host.daemon?.restartsRecovery !== true;
}

/** A log that is resumed has failed, as its daemon sees it. */
function logFailed(host: Host): boolean {
  return [...host.mirrors.values()].some((mirror) => liveState(host, mirror)?.logFailed === true);
}

function inSync(host: Host): boolean {
  for (const mirror of usedMirrors(host)) {
    const state = liveState(host, mirror);
    if (state === undefined || state.lifeCycle !== LifeCycle.active) return false;
    if (state.map.inner.syncCount < state.geometry.regionCount || mirror.device?.live?.hash.recovering === true)
      return false;
  }
  return true;
}

/** All is in sync, or it waits for more than a restart of recovery: for another table or its resume, somewhere. */
function resyncs(host: Host, mirror: SimMirror): boolean {
  const state = liveState(host, mirror);
  if (state?.lifeCycle === LifeCycle.active && state.map.inner.syncCount === state.geometry.regionCount) return true;
  return host.sim.hosts.some((other) => {
    const same = usedMirrors(other).find(({ shape }) => shape === mirror.shape);
    if (same === undefined) return false;
    const here = liveState(other, same);
    return here?.lifeCycle !== LifeCycle.active || here.marksUnknown || other.administrator.needsCare(same);
  });
}

function retire(sim: Simulation): void {
  for (const { host, mirror } of allMirrors(sim)) {
    const last = host === sim.hosts.findLast((other) => usedMirrors(other).some(({ shape }) => shape === mirror.shape));
    runUntil(sim, healMsMax, () => !mirror.busy);
    host.administrator.retire(mirror, () => {
      if (last) suspendedCheck(host, mirror);
    });
    runUntil(sim, healMsMax, () => !mirror.busy);
  }
  // A request of a thread that nobody waits for, sent again after its answer was lost.
  runUntil(sim, healMsMax, () => sim.hosts.every((host) => host.kernel?.client.waiting === 0));
  // Logs whose end nobody heard.
  runUntil(sim, healMsMax, () => sim.hosts.every((host) => host.states?.live.size === 0));
}

function allMirrors(sim: Simulation): { host: Host; mirror: SimMirror }[] {
  return sim.hosts.flatMap((host) => usedMirrors(host).map((mirror) => ({ host, mirror })));
}

function usedMirrors({ mirrors }: Host): readonly SimMirror[] {
  return [...mirrors.values()].filter(({ unused }) => !unused);
}

/** Steps until `done`; a run that does not come there is a failure of its own. */
function runUntil(sim: Simulation, limitMs: number, done: () => boolean): void {
  const endMs = sim.nowMs + limitMs + 1000;
  while (!done()) {
    if (!sim.step()) throw new Violation('everything-answered', 'nothing can happen any more, and the run is not over');
    if (sim.nowMs > endMs) throw new Violation('everything-answered', `no end after ${limitMs} ms: ${sim.describe()}`);
    if (sim.timeline.steps > stepsMax)
      throw new Violation('everything-answered', `no end after ${stepsMax} steps: ${sim.describe()}`);
  }
}
