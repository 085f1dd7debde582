/**
 * What a mirror's daemon may meet, on an unmodified kernel under load: another responder before it, SIGKILL, SIGSTOP,
 * records that are lost, and every step of a table reload with the daemon killed there. At the end of each the legs
 * are compared byte by byte in the guest, and once more from outside.
 */
import { readFileSync } from 'node:fs';
import { program } from '../programs/programs.mjs';
import { guestScript } from './script.mjs';

export default {
  name: 'handover',
  programs: [
    ['dmsetup', 'dmsetup'],
    ['fio', 'fio'],
    ['gcc', 'gcc'],
  ],
  async run({ machine, check, long }) {
    const inspect = (disks) => {
      const [first, second, third, fourth] = disks.map((path) => readFileSync(path));
      check('core log: the legs are identical', first.equals(second));
      check('disk log: the legs are identical', third.equals(fourth));
      check('something was written', first.some((byte) => byte !== 0) && third.some((byte) => byte !== 0));
    };
    const result = await machine({
      script: guestScript('handover', long),
      disksMiB: [16, 16, 16, 16, 4],
      environment: { RESPONDER: program('responder') },
      limitMs: 1_500_000,
      inspect,
    });
    check('the script ended well', result.status === 0, `status ${result.status} ${result.reason}`);
  },
};
