/**
 * Every form and size of a mirror on an unmodified kernel: constructors, regions, growing, 64 at once; and what
 * LVM2's own programs read of it.
 */
import { program } from '../programs/programs.mjs';
import { guestScript } from './script.mjs';

export default {
  name: 'shapes',
  longForm: true,
  programs: [
    ['dmsetup', 'dmsetup'],
    ['fio', 'fio'],
    ['gcc', 'gcc'],
    ['lvs', 'lvm2'],
    ['dmeventd', 'dmeventd'],
  ],
  async run({ machine, check, long }) {
    const result = await machine({
      script: guestScript('shapes', long),
      disksMiB: [34, 34, 16, 4, 1],
      environment: { MIRROR_STATUS: program('mirror-status') },
      cpus: 1,
      limitMs: 1_500_000,
    });
    check('the script ended well', result.status === 0, `status ${result.status} ${result.reason}`);
  },
};
