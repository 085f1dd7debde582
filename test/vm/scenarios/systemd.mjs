/**
 * An administrator's day, on a host that its systemd boots and shuts down: the Debian package is installed, upgraded and removed,
 * its units serve a mirror with a file system, users write all the time, and mistakes are made. The host goes down
 * with the mirror mounted: after that, log and legs are read here by a reader that knows nothing of the daemon. Another boot
 * takes the mirror up again.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dirtyRegions, headerFault } from '../log-area.mjs';
import { guestScript } from './script.mjs';

const path = (relative) => fileURLToPath(new URL(`../../../${relative}`, import.meta.url));
const legMiB = 32;
const regions = 64;

function built(...options) {
  const build = [path('packaging/build-deb.mjs'), '--out', path('out/systemd'), ...options];
  return execFileSync(process.execPath, build, { encoding: 'utf8' }).trim();
}

export default {
  name: 'systemd',
  longOnly: true,
  programs: [
    ['dmsetup', 'dmsetup'],
    ['fio', 'fio'],
    ['mkfs.ext4', 'e2fsprogs'],
    ['blkdeactivate', 'dmsetup'],
    ['dpkg', 'dpkg'],
    ['scdoc', 'scdoc'],
    ['systemctl', 'systemd'],
  ],
  async run({ machine, disks, check, long }) {
    const set = disks([legMiB, legMiB, 4]);
    const environment = { PACKAGE: built(), NEWER: built('--version', '99.1') };
    for (const boot of ['first', 'second']) {
      const result = await machine({
        script: `BOOT=${boot}\n${guestScript('systemd', long)}`,
        disks: set,
        environment,
        systemd: true,
        limitMs: 1_800_000,
      });
      check(`the ${boot} boot's script ended well`, result.status === 0, `status ${result.status} ${result.reason}`);
      const [left, right, log] = set.paths.map((each) => readFileSync(each));
      const fault = headerFault(log, regions) || dirtyRegions(log, regions).join();
      check('after the shutdown: the log says: every region clean', fault === '', fault);
      check('after the shutdown: the legs are identical', left.equals(right));
      check(
        'after the shutdown: something was written',
        left.some((byte) => byte !== 0),
      );
    }
  },
};
