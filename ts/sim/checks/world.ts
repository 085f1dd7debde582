/** What the checkers may look at. */
import type { CountedState, CountedStates } from '../daemon/counted-state.js';
import type { SimMirror } from '../mirror.js';
import type { KernelTruth } from './kernel-truth.js';
import type { Evaluations } from './violation.js';

export interface CheckWorld {
  readonly evaluations: Evaluations;
  readonly truth: KernelTruth;
  readonly mirrors: ReadonlyMap<string, SimMirror>;
  /** The state memory of this boot; null while the machine is off. */
  readonly states: CountedStates | null;
  /** Node id of the daemon. */
  readonly node: number;
  readonly nowMs: number;
  /** The daemon runs and was not stopped lately: what it should have done by a deadline is done. */
  readonly daemonPunctual: boolean;
  readonly stickyIdleMs: number;
  readonly stickyMax: number;
  /** No other host has the mirrors. */
  readonly alone: boolean;
  /** The daemon's copy of the log is what all members have; always so on a host that is alone. */
  follows(uuid: string): boolean;
}

/** The record of the table that is live in the kernel, if the daemon has one. */
export function liveState(world: CheckWorld, mirror: SimMirror): CountedState | undefined {
  const log = mirror.device?.live?.log;
  return log === undefined ? undefined : world.states?.find(log.key);
}
