/** Prints why no cluster of `corosync-cluster.mjs` can be made here, in one line; nothing when it can. */
import { spawnSync } from 'node:child_process';
import { corosyncBuiltIn } from '../../dist/native/cpg-group.js';

const programs = { corosync: 'corosync', ip: 'iproute2', nsenter: 'util-linux', setpriv: 'util-linux' };

function why() {
  if (!corosyncBuiltIn) return 'the addon is built without corosync (libcpg-dev and libquorum-dev were missing)';
  if (process.getuid?.() !== 0) return 'needs root for network namespaces';
  const missing = Object.entries(programs).filter(
    ([name]) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0,
  );
  if (missing.length > 0) return `not installed: ${[...new Set(missing.map(([, name]) => name))].join(', ')}`;
  const script = 'ip link add br0 type bridge && ip link add p0 type veth peer name p1';
  const made = spawnSync('unshare', ['-n', 'sh', '-c', script]);
  return made.status === 0 ? '' : `no bridges and veth pairs here: ${made.stderr?.toString().trim()}`;
}

console.log(why());
