/** A native log device whose completions are promises, for tests: one operation of a kind at a time. */
import type { LogDeviceInfo } from '../../ts/mirror/log-device.js';
import type { LogImage } from '../../ts/mirror/log-image.js';
import { type LogWriterKind, NativeLogDevice } from '../../ts/native/log-device.js';

export interface Opened {
  readonly errno: number;
  readonly info: LogDeviceInfo | null;
}

export interface Read {
  readonly errno: number;
  readonly offset: number;
  readonly bytes: Buffer;
}

export class TestDevice {
  readonly device: NativeLogDevice;
  /** Completions so far, in order. */
  readonly log: string[] = [];
  /** True while a call on the device is under way: no completion may come then. */
  #calling = false;
  #opened: ((result: Opened) => void)[] = [];
  #read: ((result: Read) => void)[] = [];
  #written: ((errno: number) => void)[] = [];

  constructor(writer: LogWriterKind) {
    this.device = new NativeLogDevice(
      {
        opened: (errno, info) => this.#note(`opened ${errno}`, () => this.#opened.shift()?.({ errno, info })),
        read: (errno, offset, bytes) =>
          this.#note(`read ${errno}`, () => this.#read.shift()?.({ errno, offset, bytes: Buffer.from(bytes) })),
        written: (errno) => this.#note(`written ${errno}`, () => this.#written.shift()?.(errno)),
      },
      { writer },
    );
  }

  #note(line: string, then: () => void): void {
    if (this.#calling) throw new Error('a completion inside the call that started it');
    this.log.push(line);
    then();
  }

  #call(operation: () => void): void {
    this.#calling = true;
    operation();
    this.#calling = false;
  }

  open(name: string): Promise<Opened> {
    const result = new Promise<Opened>((resolve) => this.#opened.push(resolve));
    this.#call(() => this.device.open(name));
    return result;
  }

  read(offset: number, length: number): Promise<Read> {
    const result = new Promise<Read>((resolve) => this.#read.push(resolve));
    this.#call(() => this.device.read(offset, length));
    return result;
  }

  write(image: LogImage, durable: boolean): Promise<number> {
    const result = new Promise<number>((resolve) => this.#written.push(resolve));
    this.#call(() => this.device.write(image, durable));
    return result;
  }
}
