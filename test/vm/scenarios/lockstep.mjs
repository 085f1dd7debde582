/**
 * `lockstep` on a real kernel: status by the names of device-mapper devices, why, events, the log device while it is in use,
 * and doctor on a host that serves mirrors and on one that cannot. All of it happens in the guest, in lockstep.sh.
 */
import { readFileSync } from 'node:fs';

const legMiB = 16;
const regionSectors = 512;

export default {
  name: 'lockstep',
  everyRun: true,
  programs: [['dmsetup', 'dmsetup']],
  async run({ machine, check }) {
    const result = await machine({
      script: readFileSync(new URL('lockstep.sh', import.meta.url), 'utf8'),
      disksMiB: [legMiB, legMiB, 4],
      environment: { LEG_MIB: String(legMiB), REGION_SECTORS: String(regionSectors) },
      cpus: 1,
      limitMs: 900_000,
    });
    check('the script ended well', result.status === 0, `status ${result.status} ${result.reason}`);
  },
};
