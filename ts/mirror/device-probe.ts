/** Opens a log device once, to learn what it is, and closes it again. */

import type { MirrorEffects } from './effects.js';
import type { LogDevice, LogDeviceEvents, LogDeviceInfo } from './log-device.js';

export class DeviceProbe implements LogDeviceEvents {
  readonly #device: LogDevice;
  readonly #done: (errno: number, info: LogDeviceInfo | null) => void;

  constructor(effects: MirrorEffects, name: string, done: (errno: number, info: LogDeviceInfo | null) => void) {
    this.#done = done;
    this.#device = effects.device(this, false);
    this.#device.open(name, false);
  }

  opened(errno: number, info: LogDeviceInfo | null): void {
    this.#device.close();
    this.#done(errno, info);
  }

  read(): void {
    throw new Error('a probe reads nothing');
  }

  written(): void {
    throw new Error('a probe writes nothing');
  }

  /** Nobody waits any more. */
  cancel(): void {
    this.#device.close();
  }
}
