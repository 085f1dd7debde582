/**
 * Reads what the kernel's log-writes target has recorded, and replays it. The target records a write when a flush has
 * made it durable, and a write with FUA when that ended; so replaying up to any entry gives what a disk that loses all
 * it may lose would hold after a power cut at that moment.
 *
 * On the record's device: a sector with magic, version 1, count of entries, sector size; then each entry in a sector
 * of its own, followed by its data: device sector, count of sectors, flags, length of a mark's text, the text. All
 * little-endian; sectors are of the size that the first sector says.
 */
const magic = 0x6a736677736872n;
const flag = { flush: 1, fua: 2, discard: 4, mark: 8 };

/** @returns {{ sectorBytes: number, entries: { flush: boolean, fua: boolean, mark: string | null, offset: number,
 *   data: Buffer }[] }} */
export function readLogWrites(record) {
  if (record.readBigUInt64LE(0) !== magic) throw new Error('no record of log-writes');
  const version = record.readBigUInt64LE(8);
  if (version !== 1n) throw new Error(`a record of log-writes of version ${version}`);
  const count = Number(record.readBigUInt64LE(16));
  const sectorBytes = record.readUInt32LE(24);
  const entries = [];
  let at = sectorBytes;
  for (let i = 0; i < count; i++) {
    const [sector, sectors, flags, textBytes] = [0, 8, 16, 24].map((field) =>
      Number(record.readBigUInt64LE(at + field)),
    );
    const isMark = (flags & flag.mark) !== 0;
    const dataBytes = isMark || flags & flag.discard ? 0 : sectors * sectorBytes;
    const text = record.subarray(at + 32, at + 32 + textBytes).toString('latin1');
    at += sectorBytes;
    entries.push({
      flush: (flags & flag.flush) !== 0,
      fua: (flags & flag.fua) !== 0,
      mark: isMark ? text.replace(/\0.*$/s, '') : null,
      offset: sector * sectorBytes,
      data: record.subarray(at, at + dataBytes),
    });
    at += dataBytes;
  }
  return { sectorBytes, entries };
}

/** Applies the entries to `device` one after another; after each, `look` may look. */
export function replay(entries, device, look) {
  for (const entry of entries) {
    entry.data.copy(device, entry.offset);
    look(entry);
  }
}
