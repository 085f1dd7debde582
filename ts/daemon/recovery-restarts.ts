/**
 * Restarting recovery after a death (R11): suspends and resumes a log's mapped device, because its kernel believes that all is in
 * sync and asks no more. Never while somebody else has the device suspended or has loaded a table for it.
 *
 * The intent is written down first: a daemon that is killed in between leaves the device suspended, and its successor resumes
 * what stands in that file, and nothing else. What could not be done is tried again for as long as the log needs it.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type NativeRestartRecovery, RestartOutcome } from '../native/dm-restart.js';
import { makeFolder } from './folders.js';

const retryMsDefault = 5_000;

export interface RecoveryRestartsOptions {
  readonly stateDirectory: string;
  readonly bootId: string;
  readonly restart: NativeRestartRecovery;
  /** Regions of the log are out of sync, and its kernel asks for no work. */
  readonly needed: (uuid: string) => boolean;
  readonly report: (level: 'notice' | 'warning', event: string, uuid: string, text: string) => void;
  readonly retryMs?: number;
}

/** What stands in the file. */
interface Intents {
  readonly bootId: string;
  readonly uuids: readonly string[];
}

export class RecoveryRestarts {
  readonly #options: RecoveryRestartsOptions;
  /** Under way, and so in the file. */
  readonly #begun = new Set<string>();
  /** Waiting for the next attempt; with what was said of the last. */
  readonly #waiting = new Map<string, NodeJS.Timeout>();
  readonly #said = new Map<string, string>();
  #closed = false;

  constructor(options: RecoveryRestartsOptions) {
    this.#options = options;
  }

  /** Resumes what an earlier daemon of this boot may have left suspended. */
  takeUp(): void {
    for (const uuid of this.#read()) this.#start(uuid, true);
  }

  /** Once more is fine while it is under way. */
  want(uuid: string): void {
    if (this.#closed || this.#begun.has(uuid) || this.#waiting.has(uuid)) return;
    this.#start(uuid, false);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
  }

  #start(uuid: string, resumeOnly: boolean): void {
    this.#begun.add(uuid);
    this.#write();
    const ended = (errno: number, outcome: RestartOutcome) => this.#ended(uuid, resumeOnly, errno, outcome);
    if (this.#options.restart(uuid, resumeOnly, ended)) return;
    if (resumeOnly) this.#later(uuid, true, 'no descriptor or thread is left');
    else this.#missed(uuid, 'no descriptor or thread is left');
  }

  #ended(uuid: string, resumeOnly: boolean, errno: number, outcome: RestartOutcome): void {
    if (this.#closed) return;
    if (errno !== 0) {
      const text = `device-mapper answers with error ${errno}`;
      if (resumeOnly) this.#later(uuid, true, text);
      else this.#missed(uuid, text);
      return;
    }
    if (outcome === RestartOutcome.inactiveTable) this.#missed(uuid, 'a table is loaded for its device');
    else if (outcome === RestartOutcome.suspended) this.#missed(uuid, 'somebody else has suspended its device');
    else this.#done(uuid, resumeOnly, outcome === RestartOutcome.restarted);
  }

  #done(uuid: string, resumeOnly: boolean, restarted: boolean): void {
    this.#begun.delete(uuid);
    this.#write();
    this.#said.delete(uuid);
    if (!restarted) return;
    const text = resumeOnly
      ? 'its device, which an earlier daemon had suspended, is resumed'
      : 'its device was suspended and resumed, so that its kernel asks for resync work again';
    this.#options.report('notice', 'recovery-restarted', uuid, text);
  }

  /** Nothing was suspended. */
  #missed(uuid: string, why: string): void {
    this.#begun.delete(uuid);
    this.#write();
    this.#later(uuid, false, why);
  }

  #later(uuid: string, resumeOnly: boolean, why: string): void {
    if (this.#said.get(uuid) !== why) {
      this.#said.set(uuid, why);
      const text = `regions are out of sync and its kernel asks for no work; its device is not restarted now: ${why}`;
      this.#options.report('warning', 'recovery-restart-waits', uuid, text);
    }
    const timer = setTimeout(() => {
      this.#waiting.delete(uuid);
      if (resumeOnly || this.#options.needed(uuid)) this.#start(uuid, resumeOnly);
      else this.#said.delete(uuid);
    }, this.#options.retryMs ?? retryMsDefault);
    timer.unref();
    this.#waiting.set(uuid, timer);
  }

  get #path(): string {
    return join(dirname(this.#options.stateDirectory), 'restarts');
  }

  #read(): string[] {
    let found: Partial<Intents> | null;
    try {
      found = JSON.parse(readFileSync(this.#path, 'utf8')) as Partial<Intents> | null;
    } catch {
      return [];
    }
    // After a boot nothing is suspended.
    if (found?.bootId !== this.#options.bootId || !Array.isArray(found.uuids)) return [];
    return found.uuids.filter((uuid) => typeof uuid === 'string');
  }

  #write(): void {
    const path = this.#path;
    makeFolder(dirname(path), 0o700);
    const intents: Intents = { bootId: this.#options.bootId, uuids: [...this.#begun] };
    writeFileSync(`${path}.new`, `${JSON.stringify(intents)}\n`);
    renameSync(`${path}.new`, path);
  }
}
