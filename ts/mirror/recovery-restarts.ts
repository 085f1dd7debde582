/**
 * Restarting recovery (R11): which mapped devices are suspended and resumed, and when, because their kernels believe that all is in
 * sync, or were told of no work when none might be handed out, and ask no more. Who does it to a device, where the intents stand and what time it is, is the edge's.
 *
 * The intent is stored first: a daemon that is killed in between leaves the device suspended, and its successor resumes
 * what stands there, and nothing else. What could not be done is tried again for as long as the log needs it.
 */
import { LifeCycle, type LogState } from './log-state.js';

/** How an attempt ended. */
export type RestartEnd =
  /** The device was suspended and is not any more. */
  | 'restarted'
  /** No live table names the log. */
  | 'absent'
  /** A table waits behind the live one: nothing was done. */
  | 'inactive-table'
  /** Somebody else has suspended the device: nothing was done. */
  | 'suspended'
  /** Nobody could be asked, or device-mapper would not. */
  | { readonly failed: string };

export interface RestartEffects {
  /** Stores what is under way; in place before the call returns, and there for the next daemon of this boot. False: there is no room for it. */
  store(uuids: readonly string[]): boolean;
  /**
   * Suspends and resumes the device whose live table has the log, away from here; `ended` comes later. `resumeOnly`: an earlier
   * daemon may have left it suspended. Never while somebody else has it suspended or has loaded a table for it.
   */
  restart(uuid: string, resumeOnly: boolean, ended: (end: RestartEnd) => void): void;
  /** Calls back after the pause between two attempts. */
  later(action: () => void): void;
  /** It cannot be done here now: another node tries. */
  passOn(uuid: string): void;
  /** The log that is in use under this uuid: see `activeLog`. */
  log(uuid: string): RestingLog | null;
  report(level: 'notice' | 'warning', event: string, uuid: string, text: string): void;
}

/** Why a kernel asks for no work: it has heard that all is in sync, or that there is nothing to do. */
export type RecoveryRest = 'latched' | 'told-none';

/** What is asked of a log: whether its recovery rests, and whether its RESUME would find its device. */
export interface RestingLog {
  readonly rest: RecoveryRest | null;
  readonly logFailed: boolean;
}

interface Log {
  readonly uuid: string;
  readonly recoveryRest: RecoveryRest | null;
  readonly state: Pick<LogState, 'lifeCycle' | 'logFailed'>;
}

/** The log of this uuid that is resumed; null: none is. */
export function activeLog(logs: Iterable<Log>, uuid: string): RestingLog | null {
  for (const { uuid: name, state, recoveryRest } of logs) {
    if (name === uuid && state.lifeCycle === LifeCycle.active)
      return { rest: recoveryRest, logFailed: state.logFailed };
  }
  return null;
}

const waitsFor = {
  absent: 'no live table names it',
  'inactive-table': 'a table is loaded for its device',
  suspended: 'somebody else has suspended its device',
} as const;

export class RecoveryRestarts {
  readonly #effects: RestartEffects;
  /** Under way, and so stored. */
  readonly #begun = new Set<string>();
  /** Waiting for the next attempt; and what was said of the last. */
  readonly #waiting = new Set<string>();
  readonly #said = new Map<string, string>();
  /** What is stored is not what is under way, and is stored again later. */
  #owesStore = false;
  #closed = false;

  constructor(effects: RestartEffects) {
    this.#effects = effects;
  }

  /** Something is under way, or will be tried again. */
  get busy(): boolean {
    return this.#begun.size > 0 || this.#waiting.size > 0 || this.#owesStore;
  }

  /** Resumes what an earlier daemon of this boot may have left suspended: what it had stored. */
  takeUp(uuids: readonly string[]): void {
    for (const uuid of uuids) this.#begun.add(uuid);
    for (const uuid of uuids) this.#start(uuid, true);
  }

  /**
   * Once more is fine while it is under way. A kernel that was told of no work asks by itself when it is written to: it has until the next
   * attempt.
   */
  want(uuid: string): void {
    if (this.#closed || this.#begun.has(uuid) || this.#waiting.has(uuid)) return;
    if (this.#effects.log(uuid)?.rest === 'told-none') this.#wait(uuid, false);
    else this.#try(uuid);
  }

  close(): void {
    this.#closed = true;
  }

  /** Not while the log device has failed: a mirror that goes on without its log would be one whose RESUME fails. */
  #try(uuid: string): void {
    if (this.#effects.log(uuid)?.logFailed === true) this.#later(uuid, false, 'its log device has failed');
    else this.#start(uuid, false);
  }

  #start(uuid: string, resumeOnly: boolean): void {
    this.#begun.add(uuid);
    // What an earlier daemon has begun stands there already.
    if (!this.#store() && !resumeOnly) {
      this.#begun.delete(uuid);
      this.#passOn(uuid, 'there is no room to write down that it is begun');
      return;
    }
    this.#effects.restart(uuid, resumeOnly, (end) => {
      if (!this.#closed) this.#ended(uuid, resumeOnly, end);
    });
  }

  #ended(uuid: string, resumeOnly: boolean, end: RestartEnd): void {
    if (end === 'restarted' || (end === 'absent' && resumeOnly)) {
      this.#done(uuid, resumeOnly, end === 'restarted');
      return;
    }
    const why = typeof end === 'string' ? waitsFor[end] : end.failed;
    // What an earlier daemon has suspended may still be so, and stays stored. Of an attempt of one's own nothing was suspended.
    const stands = resumeOnly && typeof end !== 'string';
    if (!stands) {
      this.#begun.delete(uuid);
      this.#store();
    }
    if (resumeOnly) this.#later(uuid, stands, why);
    else this.#passOn(uuid, why);
  }

  #done(uuid: string, resumeOnly: boolean, restarted: boolean): void {
    this.#begun.delete(uuid);
    this.#store();
    this.#said.delete(uuid);
    if (!restarted) return;
    const text = resumeOnly
      ? 'its device, which an earlier daemon had suspended, is resumed'
      : 'its device was suspended and resumed, so that its kernel asks for resync work again';
    this.#effects.report('notice', 'recovery-restarted', uuid, text);
  }

  /** Another node may do it. With every attempt: the word of one may be lost with the group. */
  #passOn(uuid: string, why: string): void {
    this.#effects.passOn(uuid);
    this.#later(uuid, false, why);
  }

  #later(uuid: string, resumeOnly: boolean, why: string): void {
    if (this.#said.get(uuid) !== why) {
      this.#said.set(uuid, why);
      const text = `regions are out of sync and its kernel asks for no work; its device is not restarted now: ${why}`;
      this.#effects.report('warning', 'recovery-restart-waits', uuid, text);
    }
    this.#wait(uuid, resumeOnly);
  }

  #wait(uuid: string, resumeOnly: boolean): void {
    this.#waiting.add(uuid);
    this.#effects.later(() => {
      this.#waiting.delete(uuid);
      if (this.#closed) return;
      if (resumeOnly) this.#start(uuid, true);
      else if ((this.#effects.log(uuid)?.rest ?? null) !== null) this.#try(uuid);
      else this.#said.delete(uuid);
    });
  }

  #store(): boolean {
    const stored = this.#effects.store([...this.#begun]);
    if (!stored && !this.#owesStore) {
      this.#effects.later(() => {
        this.#owesStore = false;
        if (!this.#closed) this.#store();
      });
    }
    this.#owesStore ||= !stored;
    return stored;
  }
}
