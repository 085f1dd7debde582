/**
 * The log device fails and comes back (R16), by dm-error and dm-flakey; then a leg. Status letters, what waits and what
 * ends stand in log-failure.sh; the log's bits are read here, by a reader that knows nothing of the daemon.
 */
import { readFileSync } from 'node:fs';
import { dirtyRegions, headerFault } from '../log-area.mjs';
import { program } from '../programs/programs.mjs';

const legMiB = 8;
const regionSectors = 128;
const regions = (legMiB * 2048) / regionSectors;

export default {
  name: 'log-failure',
  longForm: true,
  programs: [
    ['dmsetup', 'dmsetup'],
    ['mkfs.ext4', 'e2fsprogs'],
    ['gcc', 'gcc'],
  ],
  async run({ machine, check, long }) {
    const result = await machine({
      script: readFileSync(new URL('log-failure.sh', import.meta.url), 'utf8'),
      disksMiB: [legMiB, legMiB, 4],
      environment: {
        LEG_MIB: String(legMiB),
        REGION_SECTORS: String(regionSectors),
        ROUNDS: long ? '5' : '1',
        MIRROR_STATUS: program('mirror-status'),
      },
      cpus: 1,
      limitMs: 3_000_000,
      inspect(paths) {
        const [left, right, log] = paths.map((path) => readFileSync(path));
        check('the legs are identical', left.equals(right));
        const fault = headerFault(log, regions) || dirtyRegions(log, regions).join();
        check('the log says: every region clean', fault === '', fault);
      },
    });
    check('the script ended well', result.status === 0, `status ${result.status} ${result.reason}`);
  },
};
