/**
 * Makes the records of a state folder those of the oldest version that is read, as a release before left them: `node older-record.mjs
 * FOLDER`. Only for logs of one host: the older ones have no words and no tables of members. Knows of the layout what cpp/core/state_layout.h
 * says, and nothing of the program.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const at = { version: 8, checksum: 1144, memberWords: 2048 + 13 * 8, memberTables: 2304, end: 4096 };

function crc32c(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

const [folder] = process.argv.slice(2);
for (const name of readdirSync(folder).filter((each) => each.endsWith('.state'))) {
  const record = readFileSync(join(folder, name));
  if (record.readUInt32LE(at.checksum) !== crc32c(record.subarray(0, at.checksum)))
    throw new Error(`${name}: checksum`);
  record.writeUInt32LE(1, at.version);
  record.writeUInt32LE(crc32c(record.subarray(0, at.checksum)), at.checksum);
  record.fill(0, at.memberWords, at.memberTables);
  record.fill(0, at.memberTables, at.end);
  writeFileSync(join(folder, name), record);
  console.log(name);
}
