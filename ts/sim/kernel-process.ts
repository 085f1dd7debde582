/**
 * The simulated kernel over the real world: frames through a daemon's local socket, the real clock, legs in files. The
 * model is that of the simulator, unchanged.
 *
 * When nobody listens on the socket a send fails as the kernel's does (-ESRCH), and the next send tries to connect again.
 * While requests wait that a daemon took with it the socket is also tried without a send: the real kernel hears what the
 * next daemon says without doing anything for it.
 */
import { FrameChannel, slotCount, slotOffset } from '../native/frame-channel.js';
import { Kernel } from './kernel/kernel.js';
import type { KernelObserver, KernelWorld } from './kernel/world.js';
import type { Prng } from './prng.js';

/** How often the socket is tried while requests wait for a daemon that is gone. */
const seekMs = 50;

export class KernelProcess {
  readonly kernel: Kernel;
  readonly #path: string;
  #channel: FrameChannel | null = null;
  #seekTimer: NodeJS.Timeout | null = null;

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
    if (this.#seekTimer !== null) clearInterval(this.#seekTimer);
    this.#seekTimer = null;
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
      this.#seek();
    });
    return channel;
  }

  #seek(): void {
    this.#seekTimer ??= setInterval(() => {
      if (this.#channel === null && this.kernel.client.waiting > 0) this.#channel = this.#connect();
      if (this.#channel === null) return;
      clearInterval(this.#seekTimer as NodeJS.Timeout);
      this.#seekTimer = null;
    }, seekMs);
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
