/**
 * The device a disk log lies on, as the mirror core sees it. `ts/storage` implements it over io_uring or a
 * native writer thread (R8), the simulator over a disk that loses and tears what was not flushed.
 *
 * Every operation ends by exactly one call of `LogDeviceEvents`, never inside the call that started it.
 */
import type { LogImage } from './log-image.js';

export interface LogDeviceInfo {
  /** `major:minor` of a block device, `file:<dev>:<inode>` of a file: what identity checks compare (R16). */
  readonly identity: string;
  /** The two numbers STATUS prints as `<major>:<minor>`. For a file those of the device it lies on. */
  readonly major: number;
  readonly minor: number;
  readonly bytes: number;
  readonly logicalBlockBytes: number;
}

/** Completions. `errno` is 0 or positive. */
export interface LogDeviceEvents {
  /** `reason` says more about an error where there is more to say than its number; it continues "log device X". */
  opened(errno: number, info: LogDeviceInfo | null, reason: string): void;
  /** `bytes` is valid during the call only. */
  read(errno: number, offset: number, bytes: Uint8Array): void;
  /** The planned blocks of the image are written and, when asked for, durable. */
  written(errno: number): void;
}

export interface LogDevice {
  /**
   * Opens (again): a path, or `major:minor`. With `claim` the opening ends when nobody else has a claim on the device
   * or IO of one in flight, be it another daemon, alive or killed, or another mirror; EBUSY when that takes too long.
   * Writing, and reading what is to be believed, need it; a look at what the device is does not.
   */
  open(name: string, claim: boolean): void;
  /** One read, `offset` and `length` multiples of the logical block size, at most `logReadBytesMax`. */
  read(offset: number, length: number): void;
  /** Writes the plan of `image`; with `durable` one barrier follows, and only then `written` is called. */
  write(image: LogImage, durable: boolean): void;
  /** Gives up what is open. Completions of operations under way are not delivered any more. */
  close(): void;
}
