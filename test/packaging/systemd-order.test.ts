/** The order of our unit and corosync's, by a systemd of its own in namespaces (systemd-order.sh). Needs root, systemd, corosync and a cgroup of version 1. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { corosyncBuiltIn } from '../../ts/native/cpg-group.js';

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const namespaces = ['-fpmunC', '--kill-child', '--mount-proc', '--propagation', 'private'];

function whyNot(): string | null {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!corosyncBuiltIn) return 'the addon is built without corosync';
  for (const file of ['/lib/systemd/systemd', '/lib/systemd/system/corosync.service', '/usr/sbin/corosync']) {
    if (!existsSync(file)) return `there is no ${file}`;
  }
  const cgroup = 'mount -t tmpfs tmpfs /mnt && mount -t cgroup -o none,name=systemd cgroup /mnt && ip link set lo up';
  const tried = spawnSync('unshare', [...namespaces, 'sh', '-c', cgroup], { encoding: 'utf8' });
  return tried.status === 0 ? null : `no namespaces for a systemd here: ${tried.stderr.trim()}`;
}

const why = whyNot();

it.skipIf(why !== null)(
  `is started after corosync and ends before it, and needs no corosync to start (${why ?? 'run here'})`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'lockstep order '));
    const script = path('test/packaging/systemd-order.sh');
    const words = [path('packaging/lvm2-cmirrord.service'), folder, process.execPath, path('dist/bin/lockstepd.js')];
    spawnSync('unshare', [...namespaces, 'sh', script, ...words], { timeout: 300_000, killSignal: 'SIGKILL' });
    const said = readFileSync(join(folder, 'said'), 'utf8');
    rmSync(folder, { recursive: true, force: true });
    expect(said.trim().split('\n')).toEqual([
      'ok without corosync it starts all the same, and does not start it',
      'ok it is started when corosync is up, and enters its group',
      'ok a restart of corosync leaves it running, and it enters its group again',
      'ok it has ended when corosync is stopped',
    ]);
  },
);
