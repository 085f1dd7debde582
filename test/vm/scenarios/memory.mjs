/** The memory rules of the design on an unmodified kernel with 512 MiB: no write waits for a daemon that waits for memory. */
import { program } from '../programs/programs.mjs';
import { guestScript } from './script.mjs';

const legMiB = 64;

export default {
  name: 'memory',
  programs: [
    ['dmsetup', 'dmsetup'],
    ['fio', 'fio'],
    ['mkfs.ext4', 'e2fsprogs'],
    ['gcc', 'gcc'],
  ],
  async run({ machine, check, long }) {
    const result = await machine({
      script: guestScript('memory', long),
      disksMiB: [legMiB, legMiB, legMiB, legMiB, 4],
      memoryMiB: 512,
      environment: { HOG: program('memory-hog'), LEG_MIB: String(legMiB) },
      limitMs: 1_200_000,
    });
    check('the script ended well', result.status === 0, `status ${result.status} ${result.reason}`);
  },
};
