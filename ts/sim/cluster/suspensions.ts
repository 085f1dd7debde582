/**
 * R11 from outside: no device of a kernel stays suspended for nothing. One that neither an administrator nor a daemon's helper
 * thread has in hand, and for which no table waits, was left behind by a daemon that died, and the next one has to resume it.
 */
import type { Evaluations } from '../checks/violation.js';
import type { Host } from '../host.js';

/** From then on a daemon that is punctual has had the time for several attempts. */
const leftMsMax = 15_000;

export class Suspensions {
  readonly #evaluations: Evaluations;
  /** Since when, by host and log. */
  readonly #sinceMs = new Map<string, number>();

  constructor(evaluations: Evaluations) {
    this.#evaluations = evaluations;
  }

  look(host: Host, uuid: string): void {
    const mirror = host.mirrors.get(uuid);
    const device = mirror?.device;
    const left = device?.suspended === true && device.live !== null && device.loaded === null && mirror?.busy === false;
    if (!left && this.#sinceMs.size === 0) return;
    const key = `${host.node} ${uuid}`;
    if (!left) {
      if (this.#sinceMs.delete(key)) this.#evaluations.held('R11-resumed');
      return;
    }
    const mayWait = host.atDevices || !host.daemonPunctual;
    const sinceMs = mayWait ? host.nowMs : (this.#sinceMs.get(key) ?? host.nowMs);
    this.#sinceMs.set(key, sinceMs);
    if (mayWait) return;
    const forMs = host.nowMs - sinceMs;
    const text = () =>
      `${uuid}: its device on ${host.name} is suspended since ${forMs.toFixed(0)} ms and nobody resumes it`;
    this.#evaluations.check('R11-resumed', forMs <= leftMsMax, text);
  }
}
