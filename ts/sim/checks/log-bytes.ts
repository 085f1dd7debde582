/**
 * Reads a log device's bytes on its own (R9), sharing nothing with the code under test: header, session record, clean
 * bits. See `ts/mirror/log-image.ts` for the layout.
 */

const magic = 0x4d695272;
const sessionOffset = 512;
const sessionBytes = 512;
const sessionMagic = 'LSSESS01';
const bitsOffset = 1024;

export interface LogBytes {
  readonly valid: boolean;
  readonly regionCount: number;
  /** What does not belong there; empty when all is well. */
  readonly fault: string;
  readonly hasSession: boolean;
}

/** Takes the bytes of a device apart; `regions` is how many the log should have. */
export function readLogBytes(bytes: Uint8Array, regions: number): LogBytes {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const valid = view.getUint32(0, true) === magic && [1, 2].includes(view.getUint32(4, true));
  if (!valid) return { valid, regionCount: 0, fault: 'no header', hasSession: false };
  const regionCount = view.getUint32(8, true) + view.getUint32(12, true) * 2 ** 32;
  const hasSession = text(bytes, sessionOffset, sessionMagic.length) === sessionMagic;
  return { valid, regionCount, fault: findFault(bytes, view, { regionCount, regions, hasSession }), hasSession };
}

export function cleanBit(bytes: Uint8Array, region: number): boolean {
  return ((bytes[bitsOffset + Math.floor(region / 8)] ?? 0) & (1 << (region % 8))) !== 0;
}

/** Calls `found` for every region below `regions` whose bit is clear. */
export function forEachNotClean(bytes: Uint8Array, regions: number, found: (region: number) => void): void {
  for (let from = 0; from < regions; from += 8) {
    if (bytes[bitsOffset + from / 8] === 0xff) continue;
    for (let region = from; region < Math.min(from + 8, regions); region++) if (!cleanBit(bytes, region)) found(region);
  }
}

/** Whether a session record is intact is told by its checksum over everything before it. */
export function sessionIntact(bytes: Uint8Array): boolean {
  const record = bytes.subarray(sessionOffset, sessionOffset + sessionBytes);
  const stored = new DataView(record.buffer, record.byteOffset).getUint32(sessionBytes - 4, true);
  return crc32c(record.subarray(0, sessionBytes - 4)) === stored;
}

/** The flag that says that its writer closed the log in order. */
export function sessionClosed(bytes: Uint8Array): boolean {
  return ((bytes[sessionOffset + 24] ?? 0) & 1) === 1;
}

function findFault(
  bytes: Uint8Array,
  view: DataView,
  found: { regionCount: number; regions: number; hasSession: boolean },
): string {
  if (view.getUint32(4, true) !== 2) return `version ${view.getUint32(4, true)}`;
  if (found.regionCount !== found.regions)
    return `${found.regionCount} regions in the header, ${found.regions} in the log`;
  for (let i = 16; i < sessionOffset; i++) if (bytes[i] !== 0) return `byte ${i} is not zero`;
  if (!found.hasSession) {
    for (let i = sessionOffset; i < bitsOffset; i++) if (bytes[i] !== 0) return `byte ${i} is not zero`;
  }
  const padded = Math.ceil(found.regions / 32) * 32;
  for (let region = found.regions; region < padded; region++) {
    if (cleanBit(bytes, region)) return `the bit of region ${region}, past the end, is set`;
  }
  return '';
}

function text(bytes: Uint8Array, offset: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + length));
}

const crcTable = new Uint32Array(256).map((_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crcTable[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
