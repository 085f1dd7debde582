/** A corosync without a quorum provider, as its example configuration has it: what an operator is told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockstep } from '../bin-lockstep/lockstep-process.js';
import { ClusterHost, end } from './cluster-host.js';
import { addressOf, CorosyncCluster, sleep, whyNoCluster } from './corosync-cluster.mjs';

const why = whyNoCluster();

function withoutProvider(): string {
  const address = addressOf(1);
  return `totem {
  version: 2
  cluster_name: lockstep-test
  transport: knet
  crypto_cipher: none
  crypto_hash: none
}
system {
  sched_rr: no
  move_to_root_cgroup: no
}
logging {
  to_stderr: no
  to_syslog: no
}
nodelist {
  node {
    nodeid: 1
    name: node1
    ring0_addr: ${address}
  }
}
`;
}

describe.skipIf(why !== '')('a corosync without votequorum', () => {
  let cluster: CorosyncCluster;
  let folder: string;
  let host: ClusterHost | undefined;

  beforeAll(async () => {
    cluster = await CorosyncCluster.start(1, withoutProvider, { counted: false });
    folder = mkdtempSync('/tmp/lockstep-no-quorum-');
    host = new ClusterHost(cluster, 1, join(folder, '1'));
    host.start();
  });
  afterAll(async () => {
    if (host !== undefined) await end([host]);
    cluster.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('it is named as the cause, and no RESUME waits for quorum without end', async () => {
    if (host === undefined) throw new Error('there is no host');
    const { controlSocket } = host;
    const kernel = await host.kernel();
    const log = { uuid: 'LVM-free', luid: 0x5000 };
    expect((await kernel.ctr(log, '65536 clustered-core 1024')).result).toBe(0);
    expect((await kernel.resume(log)).result).toBeLessThan(0);
    kernel.close();
    // Corosync may have come behind the daemon, and was not there before that.
    const told = async (command: string) => {
      const { stdout } = await lockstep(command, '--socket', controlSocket);
      return stdout.includes('corosync.conf needs quorum { provider: corosync_votequorum }');
    };
    let said = false;
    for (let tries = 0; tries < 100 && !said; tries++) {
      said = await told('status');
      if (!said) await sleep(200);
    }
    expect([said, await told('doctor')]).toEqual([true, true]);
  });
});
