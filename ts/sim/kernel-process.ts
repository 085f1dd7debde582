/**
 * The simulated kernel over the real world: frames through a daemon's local socket, the real clock, legs in files. The
 * model is that of the simulator, unchanged.
 *
 * When nobody listens on the socket a send fails as the kernel's does (-ESRCH), and the next send tries to connect again.
 */
import { FrameChannel, slotCount, slotOffset } from '../native/frame-channel.js';
import { Kernel } from './kernel/kernel.js';
import type { KernelObserver, KernelWorld } from './kernel/world.js';
import type { Prng } from './prng.js';

export class KernelProcess {
  readonly kernel: Kernel;
  readonly #path: string;
  #channel: FrameChannel | null = null;

  constructor(path: string, observer: KernelObserver, prng: Prng) {
    this.#path = path;
    const world: KernelWorld = {
      nowMs: () => performance.now(),
      after: (delayMs, action) => {
        if (delayMs <= 0) setImmediate(action);
        else setTimeout(action, delayMs);
      },
      send: (frame, length) => this.#send(frame, length),
      wakeDelayMs: () => 0,
    };
    // A luid is an address: another one for every run of the kernel.
    const luid = () => ({ high: 0xffff8880 + prng.below(64), low: prng.below(2 ** 20) * 1024 });
    this.kernel = new Kernel(world, observer, { firstSeq: prng.below(2 ** 16), luid });
  }

  get connected(): boolean {
    return this.#channel !== null;
  }

  close(): void {
    this.#channel?.close();
    this.#channel = null;
  }

  #send(frame: Buffer, length: number): boolean {
    this.#channel ??= this.#connect();
    const channel = this.#channel;
    if (channel === null || channel.closed) return false;
    frame.copy(channel.outSlots, slotOffset(0), 0, length);
    channel.outLengths[0] = length;
    return channel.send(1) === 0;
  }

  #connect(): FrameChannel | null {
    let channel: FrameChannel;
    try {
      channel = FrameChannel.connect(this.#path);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ECONNREFUSED' || code === 'ENOENT' || code === 'EAGAIN') return null;
      throw error;
    }
    channel.onReadable(() => this.#drain(channel));
    channel.onClosed(() => {
      if (this.#channel === channel) this.#channel = null;
      channel.close();
    });
    return channel;
  }

  #drain(channel: FrameChannel): void {
    let count = slotCount;
    while (count === slotCount && !channel.closed) {
      count = channel.drain();
      for (let i = 0; i < count; i++) {
        const length = channel.lengths[i] ?? 0;
        if (length > 0) this.kernel.receive(channel.slots, slotOffset(i), length);
      }
    }
  }
}
