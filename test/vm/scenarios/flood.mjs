/**
 * The connector at its limits, on an unmodified kernel: a receive queue that overflows, requests that nobody hears,
 * devices removed while a request is under way.
 */
import { program } from '../programs/programs.mjs';
import { guestScript } from './script.mjs';

export default {
  name: 'flood',
  longForm: true,
  programs: [
    ['dmsetup', 'dmsetup'],
    ['fio', 'fio'],
    ['gcc', 'gcc'],
  ],
  async run({ machine, check, long }) {
    const result = await machine({
      script: guestScript('flood', long),
      disksMiB: [32, 32],
      environment: { SHIM: program('frame-shim') },
      cpus: 1,
      limitMs: 1_200_000,
    });
    check('the script ended well', result.status === 0, `status ${result.status} ${result.reason}`);
  },
};
