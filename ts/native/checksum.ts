/** CRC-32C by the processor's instruction: the checksum of all records of this project. */
import { addon } from './addon.js';

export type NativeCrc32c = (bytes: Uint8Array, count: number) => number;

/** CRC-32C of the first `count` bytes. */
export const crc32c: NativeCrc32c = (bytes, count) => addon.crc32c(bytes, count);
