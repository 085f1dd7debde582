/**
 * The log devices of the engine: native ones, with what passes through them counted, and with the turn of the engine
 * ended behind every completion (a completion may answer flushes and start the next commit).
 *
 * It decides nothing about errors; it only counts them.
 */
import { logBlockBytes } from '../base/limits.js';
import type { LogDevice, LogDeviceEvents } from '../mirror/log-device.js';
import type { LogImage } from '../mirror/log-image.js';
import { type LogWriterKind, NativeLogDevice } from '../native/log-device.js';

/** Counted since start, over all devices. */
export interface LogDeviceCounters {
  /** Writes that ended well: group commits. */
  commits: number;
  /** Of these, with a durable barrier. */
  durableCommits: number;
  /** 4 KiB blocks of log areas and bytes in the writes that ended well. */
  blocksWritten: number;
  bytesWritten: number;
  bytesRead: number;
  writeFailures: number;
  readFailures: number;
  openFailures: number;
}

export interface LogDevicesOptions {
  readonly writer: LogWriterKind;
  /** Called behind every completion. */
  readonly endTurn: () => void;
}

export class LogDevices {
  readonly counters: LogDeviceCounters = {
    commits: 0,
    durableCommits: 0,
    blocksWritten: 0,
    bytesWritten: 0,
    bytesRead: 0,
    writeFailures: 0,
    readFailures: 0,
    openFailures: 0,
  };
  readonly #options: LogDevicesOptions;
  readonly #open = new Set<CountedLogDevice>();

  constructor(options: LogDevicesOptions) {
    this.#options = options;
  }

  /** A device that reports to `events`, not opened yet. `shared`: no write may outlive this process (R8). */
  device(events: LogDeviceEvents, shared: boolean): LogDevice {
    const options: LogDevicesOptions = shared ? { ...this.#options, writer: 'thread' } : this.#options;
    return new CountedLogDevice(events, options, this.counters, this.#open);
  }

  /** Gives every device up: none reports any more. */
  close(): void {
    for (const device of this.#open) device.close();
  }
}

/** One write is under way at a time: the core's group commit sees to that, and this checks it. */
class CountedLogDevice implements LogDevice {
  readonly #device: NativeLogDevice;
  readonly #counters: LogDeviceCounters;
  /** Devices that are open, or being opened; this one puts itself there. */
  readonly #open: Set<CountedLogDevice>;
  #writing = false;
  #durable = false;
  #blocks = 0;
  #bytes = 0;

  constructor(
    events: LogDeviceEvents,
    options: LogDevicesOptions,
    counters: LogDeviceCounters,
    open: Set<CountedLogDevice>,
  ) {
    this.#counters = counters;
    this.#open = open;
    const counted: LogDeviceEvents = {
      opened(errno, info, reason) {
        if (errno !== 0) counters.openFailures += 1;
        events.opened(errno, info, reason);
        options.endTurn();
      },
      read(errno, offset, bytes) {
        if (errno !== 0) counters.readFailures += 1;
        else counters.bytesRead += bytes.length;
        events.read(errno, offset, bytes);
        options.endTurn();
      },
      written: (errno) => {
        this.#countWrite(errno);
        events.written(errno);
        options.endTurn();
      },
    };
    this.#device = new NativeLogDevice(counted, { writer: options.writer });
  }

  open(name: string, claim: boolean): void {
    // Opening gives up what was open, so a write under way is not reported any more.
    this.#writing = false;
    this.#open.add(this);
    this.#device.open(name, claim);
  }

  read(offset: number, length: number): void {
    this.#device.read(offset, length);
  }

  write(image: LogImage, durable: boolean): void {
    if (this.#writing) throw new Error('a second write of a log while one is under way');
    this.#writing = true;
    this.#durable = durable;
    this.#blocks = 0;
    this.#bytes = 0;
    for (let run = 0; run < image.runCount; run++) {
      const bytes = image.runBytes(run);
      this.#bytes += bytes;
      this.#blocks += Math.ceil(bytes / logBlockBytes);
    }
    this.#device.write(image, durable);
  }

  close(): void {
    this.#writing = false;
    this.#device.close();
    this.#open.delete(this);
  }

  #countWrite(errno: number): void {
    this.#writing = false;
    if (errno !== 0) {
      this.#counters.writeFailures += 1;
      return;
    }
    this.#counters.commits += 1;
    if (this.#durable) this.#counters.durableCommits += 1;
    this.#counters.blocksWritten += this.#blocks;
    this.#counters.bytesWritten += this.#bytes;
  }
}
