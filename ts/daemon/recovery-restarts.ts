/**
 * The daemon's end of restarting recovery (R11): the file in which the intents stand, the helper thread that does it, the clock.
 * What is decided, and when, is `RecoveryRestarts` of the mirror core.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RecoveryRestarts, type RestartEffects, type RestartEnd } from '../mirror/recovery-restarts.js';
import { type NativeRestartRecovery, RestartOutcome } from '../native/dm-restart.js';
import { makeFolder } from './folders.js';

const retryMsDefault = 5_000;

export interface DeviceRestartsOptions {
  readonly stateDirectory: string;
  readonly bootId: string;
  readonly restart: NativeRestartRecovery;
  readonly log: RestartEffects['log'];
  readonly report: RestartEffects['report'];
  readonly retryMs?: number;
}

/** What stands in the file. */
interface Intents {
  readonly bootId: string;
  readonly uuids: readonly string[];
}

const ends: Readonly<Record<RestartOutcome, RestartEnd>> = {
  [RestartOutcome.restarted]: 'restarted',
  [RestartOutcome.absent]: 'absent',
  [RestartOutcome.inactiveTable]: 'inactive-table',
  [RestartOutcome.suspended]: 'suspended',
};

export class DeviceRestarts {
  readonly #options: DeviceRestartsOptions;
  readonly #restarts: RecoveryRestarts;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(options: DeviceRestartsOptions) {
    this.#options = options;
    const { log, report } = options;
    this.#restarts = new RecoveryRestarts({
      store: (uuids) => this.#write(uuids),
      restart: (uuid, resumeOnly, ended) => this.#restart(uuid, resumeOnly, ended),
      later: (action) => this.#later(action),
      log,
      report,
    });
  }

  /** Resumes what an earlier daemon of this boot may have left suspended. */
  takeUp(): void {
    this.#restarts.takeUp(this.#read());
  }

  want(uuid: string): void {
    this.#restarts.want(uuid);
  }

  close(): void {
    this.#restarts.close();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #restart(uuid: string, resumeOnly: boolean, ended: (end: RestartEnd) => void): void {
    const asked = this.#options.restart(uuid, resumeOnly, (errno, outcome) => {
      ended(errno === 0 ? ends[outcome] : { failed: `device-mapper answers with error ${errno}` });
    });
    if (!asked) ended({ failed: 'no descriptor or thread is left' });
  }

  #later(action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, this.#options.retryMs ?? retryMsDefault);
    timer.unref();
    this.#timers.add(timer);
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

  #write(uuids: readonly string[]): void {
    const path = this.#path;
    makeFolder(dirname(path), 0o700);
    const intents: Intents = { bootId: this.#options.bootId, uuids };
    writeFileSync(`${path}.new`, `${JSON.stringify(intents)}\n`);
    renameSync(`${path}.new`, path);
  }
}
