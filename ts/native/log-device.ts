/**
 * A log device over the addon: a block device, or a regular file for tests and the demonstration.
 *
 * Opening runs on one of the addon's helper threads, because it may block for long; one that hangs holds up other
 * openings of the same name only, until eight hang. A claim locks the open file description (F_OFD_SETLK). A write
 * that io_uring has in flight refers to it, so the lock of a killed daemon lasts until its last write has
 * ended, and the next daemon's claim waits for that.
 *
 * Reads and writes go out with
 * O_DIRECT where the device allows it, one operation after the other in call order, at most 8 buffers of 1 MiB in
 * flight. A commit has one durable barrier: a single run of blocks is one write with RWF_DSYNC, several runs are
 * writes followed by one fdatasync. A short write is an error (EIO).
 *
 * It retries nothing and decides nothing: what follows from an error is the mirror core's business (R16).
 */
import type { LogDevice, LogDeviceEvents, LogDeviceInfo } from '../mirror/log-device.js';
import type { LogImage } from '../mirror/log-image.js';
import { addon } from './addon.js';
import type { NativeLogImage } from './log-image.js';

/**
 * `auto`: `uring` for a block device and `thread` for a file, whose durable writes end in a queue of the file system's where the
 * disk has a volatile cache: slower than to wait for them. `uring`: submitted to io_uring from the calling thread, for devices of this host alone; falls back to `thread`
 * where the kernel has no io_uring or forbids it. `thread`: synchronous writes on a native thread, so that a
 * daemon's disappearance comes after its IO (R8).
 */
export type LogWriterKind = 'auto' | 'uring' | 'thread';

export interface LogDeviceOptions {
  readonly writer: LogWriterKind;
  /** How long a claim waits for another one before it fails with EBUSY. */
  readonly claimWaitMs?: number;
}

/** Longer than the 15 s after which the kernel repeats a request: a disk that stalls is no reason to fail. */
const claimWaitMsDefault = 20_000;

/** The raw native object; `NativeLogDevice` is what to use. */
export interface NativeLogDeviceHandle {
  /** `claimWaitMs`: null opens without a claim. Like `read` and `write` 0, or the errno with which it has ended. */
  open(name: string, claimWaitMs: number | null): number;
  read(offset: number, length: number): number;
  write(image: NativeLogImage, durable: boolean): number;
  close(): void;
  readonly writer: LogWriterKind;
  readonly closed: boolean;
  readonly bytesWritten: number;
  readonly writesSubmitted: number;
  readonly barriersSubmitted: number;
}

export interface NativeLogDeviceConstructor {
  new (writer: LogWriterKind, events: LogDeviceEvents): NativeLogDeviceHandle;
}

/**
 * A log device. Every operation ends by exactly one call of its events, from the loop of the thread that made
 * the device and never inside the call that started it; after `close` none comes any more.
 *
 * `open` may be called again at any time, also after a failure or a `close`: what was open is given up first, and
 * operations under way are not reported any more. `read` and `write` on a device that is not open report EBADF.
 */
export class NativeLogDevice implements LogDevice {
  readonly #handle: NativeLogDeviceHandle;
  readonly #events: LogDeviceEvents;
  readonly #claimWaitMs: number;
  /** Rises with every open and close: failures of before are not reported. */
  #era = 0;

  /** @param events called with `this` bound; what they throw is an uncaught exception. */
  constructor(events: LogDeviceEvents, options: LogDeviceOptions) {
    this.#events = events;
    this.#claimWaitMs = options.claimWaitMs ?? claimWaitMsDefault;
    this.#handle = new addon.LogDevice(options.writer, {
      opened: (errno: number, info: LogDeviceInfo | null, reason: string) => events.opened(errno, info, reason),
      read: (errno: number, offset: number, bytes: Uint8Array) => events.read(errno, offset, bytes),
      written: (errno: number) => events.written(errno),
    });
  }

  /** The writer in use: `thread` also where `uring` is not to be had; `auto` before a device is open. */
  get writer(): LogWriterKind {
    return this.#handle.writer;
  }

  /** Bytes written since the device was made: for the bench and the demonstration's table. */
  get bytesWritten(): number {
    return this.#handle.bytesWritten;
  }

  /** Write calls since the device was made. */
  get writesSubmitted(): number {
    return this.#handle.writesSubmitted;
  }

  /** Durable barriers (RWF_DSYNC writes and fdatasync calls) since the device was made. */
  get barriersSubmitted(): number {
    return this.#handle.barriersSubmitted;
  }

  open(name: string, claim = false): void {
    this.#era += 1;
    const errno = this.#handle.open(name, claim ? this.#claimWaitMs : null);
    if (errno !== 0) this.#failLater(() => this.#events.opened(errno, null, ''));
  }

  /** @throws RangeError when offset or length is not a multiple of 512, or more than 1 MiB is asked for. */
  read(offset: number, length: number): void {
    const errno = this.#handle.read(offset, length);
    if (errno !== 0) this.#failLater(() => this.#events.read(errno, offset, new Uint8Array(0)));
  }

  /**
   * Writes what `image.plan()` or `planAll()` took. The image must come from this addon; it must not be planned
   * again before `written`.
   */
  write(image: LogImage, durable: boolean): void {
    const errno = this.#handle.write(image as NativeLogImage, durable);
    if (errno !== 0) this.#failLater(() => this.#events.written(errno));
  }

  close(): void {
    this.#era += 1;
    this.#handle.close();
  }

  /** An operation that could not begin, for want of a descriptor, ends from the loop like any other. */
  #failLater(tell: () => void): void {
    const era = this.#era;
    setImmediate(() => {
      if (era === this.#era) tell();
    });
  }
}
