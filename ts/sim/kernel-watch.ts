/**
 * What one host's kernel says of itself, on its way to those who judge: the truth that the checkers compare with, the
 * counts and the journal.
 */

import { Errno } from '../base/errno.js';
import { LifeCycle } from '../mirror/log-state.js';
import type { KernelTruth } from './checks/kernel-truth.js';
import { Inconclusive } from './checks/violation.js';
import type { CountedStates } from './daemon/counted-state.js';
import type { KernelObserver, ObservedTarget } from './kernel/world.js';
import type { SimMirror } from './mirror.js';

export interface KernelWatcher {
  readonly truth: KernelTruth;
  readonly states: CountedStates | null;
  readonly mirrors: ReadonlyMap<string, SimMirror>;
  /** Those of several hosts judge more. */
  writeBegins(log: ObservedTarget, region: number, toAllLegs: boolean): void;
  copyBegins(log: ObservedTarget, region: number): void;
  count(what: string): void;
  note(what: string, numbers: readonly number[], detail: () => string): void;
}

export function watchKernel(host: KernelWatcher): KernelObserver {
  const { truth } = host;
  return {
    questionFailed: (log, region, { error, unheard }) => {
      host.count('question given up by the kernel');
      // Given up for an answer that the daemon gave: that is the daemon's to answer for.
      if (unheard) truth.of(log).givenUp.add(region);
      host.note('given-up', [region, error], () => `IN_SYNC of region ${region} of ${log.uuid}: ${error}`);
    },
    flushFailed: (log) => truth.flushFailed(truth.of(log)),
    writeIssued: (log, write, toAllLegs) => {
      checkLogged(host, log, write.region, toAllLegs);
      host.writeBegins(log, write.region, toAllLegs);
      truth.writeIssued(truth.of(log), write.region, toAllLegs);
      host.count(toAllLegs ? 'write to all legs' : 'write to the default leg');
      host.note(
        'write',
        [write.region, write.stamp],
        () => `region ${write.region} stamp ${write.stamp} ${toAllLegs ? 'all' : 'default'}`,
      );
    },
    writeEnded: (log, write, toAllLegs) => {
      truth.writeEnded(truth.of(log), write.region, toAllLegs);
      host.note('written', [write.region, write.stamp], () => `region ${write.region} stamp ${write.stamp}`);
    },
    recoveryStarted: (log, region) => {
      host.copyBegins(log, region);
      truth.recoveryStarted(truth.of(log), region);
      host.note('copy', [region], () => `region ${region} of ${log.uuid}`);
    },
    recoveryEnded: (log, region, ok) => {
      host.count(ok ? 'region recovered' : 'recovery failed');
      host.note('copied', [region, ok ? 1 : 0], () => `region ${region} of ${log.uuid} ${ok}`);
    },
    lifeCycle: (log, step, error) => {
      host.count(`${step} ${error === 0 ? 'answered' : 'failed'}`);
      host.note('life', [step.length, error], () => `${step} ${log.uuid} (${log.luidLow}) -> ${error}`);
      if (step === 'presuspend' && !truth.of(log).draining) truth.of(log).drainingUnheard = true;
      // Its copies are over by then, also one whose end could not be reported: the kernel does not repeat that.
      if (step === 'postsuspend') {
        const target = truth.of(log);
        target.changes += 1;
        target.copying = -1;
        target.drainingUnheard = false;
        target.halted = false;
        // The request never left the kernel.
        if (target.draining) Object.assign(target, { draining: false, endUnsaid: true, hintMax: 0 });
      }
      // Nobody was there to hear it, and the kernel begins with a hint of 0 all the same.
      if (step === 'resume' && error === -Errno.ESRCH) truth.of(log).latched = false;
      if (step === 'destroy') truth.forget(log);
    },
    say: (text) => host.note('kernel', [], () => text),
  };
}

/**
 * The reconnect's RESUME found nobody: the kernel has taken the region for out of sync and writes to it, to one leg or
 * all, although no daemon knows. Nothing on this side can log that write.
 */
function checkLogged(host: KernelWatcher, log: ObservedTarget, region: number, toAllLegs: boolean): void {
  const truth = host.truth.of(log);
  const marked = truth.marked.has(region);
  if (!truth.givenUp.has(region) || (marked && toAllLegs)) return;
  const state = host.states?.find(log.key);
  // Before the log is loaded its bits say nothing of what is on the device.
  const loaded = state?.lifeCycle === LifeCycle.active || state?.lifeCycle === LifeCycle.halted;
  // A device that has failed cannot be told, and a refused flush does not stop a write to one leg.
  const untold = state?.logFailed === true && host.mirrors.get(log.uuid)?.disk?.mayBeClean(region) === true;
  // Another write's mark protects this one only while no CLEAR is believed.
  const known =
    !toAllLegs &&
    loaded &&
    !untold &&
    !state.map.inner.isClean(region) &&
    (!state.map.inner.isInSync(region) || (marked && state.marksUnknown));
  if (!known) throw new Inconclusive('unlogged write after a reconnect without RESUME');
}
