/**
 * What a daemon's helper thread does to a device of the simulated kernel to restart recovery (R11), step by step as the real one
 * does it (cpp/os/dm_restart.h): looks, suspends unless somebody else has the device in hand, resumes unless a table was loaded
 * meanwhile. What an earlier daemon may have left half done is suspended first in any case: that waits for a suspend which goes on
 * without its caller.
 *
 * Between two steps the daemon may die, and the thread with it. A step that has begun goes on without them; but one that waits for
 * the device's writes to end is broken off by the death of its caller, and leaves a mirror target that no later suspend can
 * get past: no daemon can make that good.
 */
import type { RestartEnd } from '../mirror/recovery-restarts.js';
import { Inconclusive } from './checks/violation.js';
import type { DaemonProcess } from './daemon/process.js';
import type { Host } from './host.js';
import type { Kernel } from './kernel/kernel.js';
import type { Blocking } from './kernel/threads.js';
import type { Prng } from './prng.js';

const lookAgainMs = 100;
/** How often the daemon dies at a step, and how often somebody loads a table while the device is suspended. */
const deathAtStep = 0.12;
const tableMeanwhile = 0.15;

export class DeviceRestarter {
  readonly #host: Host;
  readonly #daemon: DaemonProcess;
  readonly #prng: Prng;
  /** Steps that have begun and not ended. */
  #inside = 0;

  constructor(host: Host, daemon: DaemonProcess, prng: Prng) {
    this.#host = host;
    this.#daemon = daemon;
    this.#prng = prng;
  }

  /** It has a device in hand. */
  get inside(): boolean {
    return this.#inside > 0;
  }

  restart(uuid: string, resumeOnly: boolean, ended: (end: RestartEnd) => void): void {
    const { kernel, timeline } = this.#host;
    if (kernel === null) return;
    timeline.after(this.#prng.real(0.01, 1), () => {
      if (!this.#daemon.alive) return;
      this.#host.note('restart', [resumeOnly ? 1 : 0], () => `${uuid}${resumeOnly ? ', resume only' : ''}`);
      kernel.run(this.#work(kernel, uuid, resumeOnly, ended));
    });
  }

  *#work(kernel: Kernel, uuid: string, resumeOnly: boolean, ended: (end: RestartEnd) => void): Blocking {
    let suspended = false;
    for (;;) {
      if (!this.#daemon.alive) return;
      const device = kernel.devices.find(({ live }) => live?.log.uuid === uuid);
      if (device === undefined) return this.#ended(uuid, 'absent', ended);
      const waits = device.loaded !== null;
      if (!suspended && !resumeOnly) {
        if (waits) return this.#ended(uuid, 'inactive-table', ended);
        if (device.suspended) return this.#ended(uuid, 'suspended', ended);
        if (this.#dies('intent stored')) return;
      }
      if (waits) {
        this.#host.count('restart: waits for who has loaded a table');
        yield* kernel.client.sleep(lookAgainMs);
      } else if (!suspended) {
        yield* this.#step(device.suspend());
        suspended = true;
        if (this.#dies('suspended')) return;
        this.#loadMeanwhile(uuid);
      } else {
        if (device.suspended) yield* this.#step(device.resume());
        if (this.#dies('resumed')) return;
        return this.#ended(uuid, 'restarted', ended);
      }
    }
  }

  /** Its process has died: a suspend that waits for writes is broken off. */
  died(): void {
    for (const { draining } of this.#inside > 0 ? (this.#host.kernel?.devices ?? []) : []) {
      if (draining) throw new Inconclusive('a suspend was broken off with writes under way');
    }
  }

  *#step(call: Blocking<unknown>): Blocking {
    this.#inside += 1;
    yield* call;
    this.#inside -= 1;
  }

  #ended(uuid: string, end: RestartEnd, ended: (end: RestartEnd) => void): void {
    this.#host.count(`restart: ${typeof end === 'string' ? end : 'failed'}`);
    this.#host.note('restart', [2], () => `${uuid}: ${JSON.stringify(end)}`);
    this.#daemon.outside(() => ended(end));
  }

  #dies(step: string): boolean {
    if (!this.#daemon.alive) return true;
    if (this.#host.healing || !this.#prng.chance(deathAtStep)) return false;
    this.#host.count(`restart: daemon dies, ${step}`);
    this.#daemon.die();
    return true;
  }

  /** The inactive table at the wrong moment. */
  #loadMeanwhile(uuid: string): void {
    const { administrator, mirrors, healing } = this.#host;
    const mirror = mirrors.get(uuid);
    if (healing || mirror === undefined || !this.#prng.chance(tableMeanwhile)) return;
    if (administrator.reload(mirror)) this.#host.count('restart: a table is loaded while suspended');
  }
}
