/**
 * The simulated kernel of one host: one sequence counter, one limiter of questions, any number of mirrored devices.
 * A power cut is `halt`: nothing of this object ever runs again, and a new one is made.
 */
import { LogClient } from './log-client.js';
import { MappedDevice } from './mapped-device.js';
import { type Blocking, Threads } from './threads.js';
import type { RemoteRecoveringLimiter } from './userspace-log.js';
import type { KernelObserver, KernelWorld, Legs } from './world.js';

export class Kernel {
  readonly threads = new Threads();
  readonly client: LogClient;
  readonly devices: MappedDevice[] = [];
  readonly #world: KernelWorld;
  readonly #observer: KernelObserver;
  readonly #limiter: RemoteRecoveringLimiter = { nextMs: 0 };
  readonly #luid: () => { high: number; low: number };

  constructor(
    world: KernelWorld,
    observer: KernelObserver,
    identity: { firstSeq: number; luid: () => { high: number; low: number } },
  ) {
    this.#world = world;
    this.#observer = observer;
    this.#luid = identity.luid;
    this.client = new LogClient(this.threads, world, identity.firstSeq);
  }

  addDevice(legs: Legs): MappedDevice {
    const device = new MappedDevice(
      {
        threads: this.threads,
        client: this.client,
        world: this.#world,
        limiter: this.#limiter,
        observer: this.#observer,
        luid: this.#luid,
      },
      legs,
    );
    this.devices.push(device);
    return device;
  }

  /** A frame from the daemon. */
  receive(buffer: Buffer, start: number, length: number): void {
    if (!this.threads.halted) this.client.receive(buffer, start, length);
  }

  /** Runs what an administrator does. */
  run(command: Blocking<unknown>): void {
    this.threads.spawn(command);
  }

  halt(): void {
    this.threads.halt();
  }
}
