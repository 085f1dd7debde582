/**
 * The daemon's end of restarting recovery (R11): the file in which the intents stand, the helper thread that does it, the clock.
 * What is decided, and when, is `RecoveryRestarts` of the mirror core.
 */
import { RecoveryRestarts, type RestartEffects, type RestartEnd } from '../mirror/recovery-restarts.js';
import { type NativeRestartRecovery, RestartOutcome } from '../native/dm-restart.js';
import { BootFile } from './boot-file.js';

const retryMsDefault = 5_000;

export interface DeviceRestartsOptions {
  readonly stateDirectory: string;
  readonly bootId: string;
  readonly restart: NativeRestartRecovery;
  readonly log: RestartEffects['log'];
  readonly report: RestartEffects['report'];
  readonly passOn: RestartEffects['passOn'];
  readonly retryMs?: number;
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
  readonly #file: BootFile;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(options: DeviceRestartsOptions) {
    this.#options = options;
    const { log, report } = options;
    this.#file = new BootFile(options.stateDirectory, 'restarts', options.bootId);
    this.#restarts = new RecoveryRestarts({
      store: (uuids) => this.#store(uuids),
      restart: (uuid, resumeOnly, ended) => this.#restart(uuid, resumeOnly, ended),
      later: (action) => this.#later(action, this.#options.retryMs ?? retryMsDefault),
      // Never in the middle of what the core is doing.
      passOn: (uuid) => this.#later(() => options.passOn(uuid), 0),
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

  /** What logs do goes on without room for it, as with every other record of this folder. */
  #store(uuids: readonly string[]): boolean {
    try {
      this.#file.write({ uuids });
      return true;
    } catch {
      return false;
    }
  }

  #restart(uuid: string, resumeOnly: boolean, ended: (end: RestartEnd) => void): void {
    const asked = this.#options.restart(uuid, resumeOnly, (errno, outcome) => {
      ended(errno === 0 ? ends[outcome] : { failed: `device-mapper answers with error ${errno}` });
    });
    if (!asked) ended({ failed: 'no descriptor or thread is left' });
  }

  #later(action: () => void, afterMs: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, afterMs);
    timer.unref();
    this.#timers.add(timer);
  }

  #read(): string[] {
    // After a boot nothing is suspended.
    const { uuids } = this.#file.read() ?? {};
    return Array.isArray(uuids) ? uuids.filter((uuid) => typeof uuid === 'string') : [];
  }
}
