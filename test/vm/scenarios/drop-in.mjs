/**
 * `cmirrord` is replaced: the Debian package is installed in the guest and does on an unmodified kernel what the README
 * tells an administrator to do, up to its removal.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { guestScript } from './script.mjs';

const path = (relative) => fileURLToPath(new URL(`../../../${relative}`, import.meta.url));

export default {
  name: 'drop-in',
  longOnly: true,
  programs: [
    ['dmsetup', 'dmsetup'],
    ['fio', 'fio'],
    ['dpkg-deb', 'dpkg'],
    ['scdoc', 'scdoc'],
  ],
  async run({ machine, check, long }) {
    const build = [path('packaging/build-deb.mjs'), '--out', path('out/drop-in')];
    const result = await machine({
      script: guestScript('drop-in', long),
      disksMiB: [16, 16, 4],
      environment: { PACKAGE: execFileSync(process.execPath, build, { encoding: 'utf8' }).trim() },
      limitMs: 900_000,
    });
    check('the script ended well', result.status === 0, `status ${result.status} ${result.reason}`);
  },
};
