/**
 * `cmirrord` is replaced: the Debian package is unpacked in the guest, takes the live mirror of another responder over, and does on
 * an unmodified kernel what the README tells an administrator to do, up to its removal. And the shell that it offers to
 * those who have no such kernel is typed into.
 */
import { execFileSync, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { program } from '../programs/programs.mjs';
import { guestScript } from './script.mjs';

const path = (relative) => fileURLToPath(new URL(`../../../${relative}`, import.meta.url));

/** Types into `npm run vm`, at a terminal, when its prompt is there. */
function typed(line, limitMs) {
  return new Promise((resolve) => {
    const command = [process.execPath, path('test/vm/shell.mjs')].map((word) => `'${word}'`).join(' ');
    const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const timer = setTimeout(() => child.kill('SIGTERM'), limitMs);
    let shown = '';
    let asked = false;
    child.stdout.on('data', (bytes) => {
      shown += bytes;
      if (asked || !shown.includes('vm# ')) return;
      asked = true;
      child.stdin.write(`${line}\n`);
    });
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ status, shown });
    });
  });
}

export default {
  name: 'drop-in',
  longOnly: true,
  programs: [
    ['dmsetup', 'dmsetup'],
    ['fio', 'fio'],
    ['gcc', 'gcc'],
    ['dpkg-deb', 'dpkg'],
    ['scdoc', 'scdoc'],
    ['script', 'bsdutils'],
  ],
  async run({ machine, check, long }) {
    const build = [path('packaging/build-deb.mjs'), '--out', path('out/drop-in')];
    const result = await machine({
      script: guestScript('drop-in', long),
      disksMiB: [16, 16, 4],
      environment: {
        PACKAGE: execFileSync(process.execPath, build, { encoding: 'utf8' }).trim(),
        RESPONDER: program('responder'),
      },
      limitMs: 900_000,
    });
    check('the script ended well', result.status === 0, `status ${result.status} ${result.reason}`);
    const line = 'modprobe dm-log-userspace; cat /proc/net/connector; lockstep --version; exit 3';
    const { status, shown } = await typed(line, 600_000);
    const answers = /^dmlogusr\s+7:1\r?$/m.test(shown) && /^lockstep \d+\.\d+\.\d+\r?$/m.test(shown);
    check('a shell on such a machine does what is typed, and its exit code comes back', answers && status === 3, shown);
  },
};
