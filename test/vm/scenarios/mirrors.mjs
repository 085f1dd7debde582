/**
 * Mirrors of an unmodified kernel on this daemon: one with a core log, one with a disk log, at the same time. What
 * happens in the guest stands in mirrors.sh; here the disks are read afterwards, byte by byte, by a reader that
 * knows nothing of the daemon.
 */
import { readFileSync } from 'node:fs';

const legMiB = 24;
const regionSectors = 512;
const regions = (legMiB * 2048) / regionSectors;

export default {
  name: 'mirrors',
  programs: [
    ['dmsetup', 'dmsetup'],
    ['fio', 'fio'],
  ],
  async run({ machine, check }) {
    const script = readFileSync(new URL('mirrors.sh', import.meta.url), 'utf8');
    const inspect = (disks) => {
      const [first, second, third, fourth, log] = disks.map((path) => readFileSync(path));
      check('core log: the legs are identical', first.equals(second), `they differ at byte ${differ(first, second)}`);
      check('disk log: the legs are identical', third.equals(fourth), `they differ at byte ${differ(third, fourth)}`);
      check('the log says: every region clean', ...cleanLog(log));
    };
    const result = await machine({
      script,
      disksMiB: [legMiB, legMiB, legMiB, legMiB, 4],
      environment: { LEG_MIB: String(legMiB), REGION_SECTORS: String(regionSectors) },
      limitMs: 900_000,
      inspect,
    });
    check('the script ended well', result.status === 0, `status ${result.status} ${result.reason}`);
  },
};

function differ(left, right) {
  return left.findIndex((byte, i) => byte !== right[i]);
}

/** The classic area: magic, version, region count, then one bit a region from byte 1024, 1 = clean. */
function cleanLog(log) {
  const header = [log.readUInt32LE(0), log.readUInt32LE(4), Number(log.readBigUInt64LE(8))];
  const wanted = [0x4d695272, 2, regions];
  if (header.join() !== wanted.join()) return [false, `header ${header}, expected ${wanted}`];
  for (let region = 0; region < regions; region++) {
    if ((log[1024 + (region >> 3)] & (1 << (region & 7))) === 0) return [false, `region ${region} is dirty`];
  }
  return [true, ''];
}
