/**
 * A log device over the addon: a block device, or a regular file for tests and the demonstration.
 *
 * Opening runs on the addon's helper thread, because it may block for long. Reads and writes go out with
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
 * `uring`: submitted to io_uring from the calling thread, for devices of this host alone; falls back to `thread`
 * where the kernel has no io_uring or forbids it. `thread`: synchronous writes on a native thread, so that a
 * daemon's disappearance comes after its IO (R8).
 */
export type LogWriterKind = 'uring' | 'thread';

export interface LogDeviceOptions {
  readonly writer: LogWriterKind;
}

/** The raw native object; `NativeLogDevice` is what to use. */
export interface NativeLogDeviceHandle {
  open(name: string): void;
  read(offset: number, length: number): void;
  write(image: NativeLogImage, durable: boolean): void;
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

  /** @param events called with `this` bound; what they throw is an uncaught exception. */
  constructor(events: LogDeviceEvents, options: LogDeviceOptions) {
    this.#handle = new addon.LogDevice(options.writer, {
      opened: (errno: number, info: LogDeviceInfo | null) => events.opened(errno, info),
      read: (errno: number, offset: number, bytes: Uint8Array) => events.read(errno, offset, bytes),
      written: (errno: number) => events.written(errno),
    });
  }

  /** The writer in use: `thread` also where `uring` was asked for and is not to be had. */
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

  open(name: string): void {
    this.#handle.open(name);
  }

  /** @throws RangeError when offset or length is not a multiple of 512, or more than 1 MiB is asked for. */
  read(offset: number, length: number): void {
    this.#handle.read(offset, length);
  }

  /**
   * Writes what `image.plan()` or `planAll()` took. The image must come from this addon; it must not be planned
   * again before `written`.
   */
  write(image: LogImage, durable: boolean): void {
    this.#handle.write(image as NativeLogImage, durable);
  }

  close(): void {
    this.#handle.close();
  }
}
