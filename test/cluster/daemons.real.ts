/**
 * Real daemons on real corosync, one on each of three hosts: what each does about the others beyond its logs. A lost host and who
 * says that it is dead (R7), loss of quorum (R13), an original cmirrord (R14).
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Errno } from '../../ts/base/errno.js';
import { joined } from './cluster-host.js';
import { until, whyNoCluster } from './corosync-cluster.mjs';
import { HostsOfEachTest } from './hosts-of-each-test.js';
import { MemberProcess } from './member-process.js';
import { Witness } from './transport-conformance.js';

const why = whyNoCluster();
const nodes = [1, 2, 3];
const regionCount = 64;
const log = { uuid: 'LVM-shared', luid: 0x5000 };
const text = `${regionCount * 1024} clustered-core 1024 nosync`;

describe.skipIf(why !== '')(why === '' ? 'daemons of a cluster' : `daemons of a cluster (skipped: ${why})`, () => {
  const suite = new HostsOfEachTest(nodes, '/tmp/ls hosts ');
  const host = (node: number) => suite.host(node);
  const kernel = (node: number) => suite.kernel(node);
  const lockstepOn = (node: number, ...argv: string[]) => suite.lockstepOn(node, ...argv);

  async function start(config = ''): Promise<void> {
    await suite.start(config);
    await suite.joined();
  }

  async function hostDies(node: number): Promise<void> {
    await host(node).die();
    kernel(node).close();
  }

  it('a host that dies is asked about until its fencing confirms it; what it had marked is out of sync then', async () => {
    const confirm = join(suite.folder, 'confirm');
    writeFileSync(confirm, `#!/bin/sh\ntest -e "${suite.folder}/dead-$1-$2"\n`);
    chmodSync(confirm, 0o755);
    await start(`[fencing]\nconfirm = "command"\ncommand = "${confirm}"\ninterval_ms = 200\n`);
    await suite.activate(log, text);
    expect((await kernel(3).flush(log, [5, 9])).result).toBe(0);
    expect((await kernel(1).flush(log, [9])).result).toBe(0);
    await hostDies(3);
    const status = await host(1).stands('node 3 is lost', ({ cluster: at }) => at?.lost[0]?.node === 3);
    expect(status.logs[0]).toMatchObject({ dirtyCount: 2, inSyncCount: regionCount });
    await host(1).daemon.said(/fencing-unclear .*node3 3: exit code 1/);
    await host(2).daemon.said(/fencing-unclear /);
    writeFileSync(join(suite.folder, 'dead-node3-3'), '');
    // Both ask; whoever hears it first tells the other.
    const confirmed = /dead-confirmed .*node 3 \(node3\) is dead, says .*confirm node3 3: exit code 0/;
    await until('one of them confirms it', () => [1, 2].some((node) => confirmed.test(host(node).daemon.stderr)));
    for (const node of [1, 2]) {
      const after = await host(node).stands('nobody is lost', ({ cluster: at }) => at?.lost.length === 0);
      expect(after.logs[0]?.inSyncCount).toBe(regionCount - 2);
      expect(after.logs[0]?.cluster?.members.map((member) => member.node)).toEqual([1, 2]);
    }
  });

  it('without fencing only an operator says so, and not of a host that lives', async () => {
    await start();
    await suite.activate(log, text);
    await host(1).daemon.said(/no-fencing /);
    expect((await kernel(3).flush(log, [5])).result).toBe(0);

    const alive = await lockstepOn(1, 'fence-confirm', '3', '--yes');
    expect(alive.code).toBe(1);
    expect(alive.stderr).toContain('node 3 (node3) is a member of the cluster now');
    // Its daemon alone is gone: corosync vouches for the host.
    await host(3).daemon.kill('SIGKILL');
    await host(1).stands('node 3 has no daemon', joined([1, 2]));
    const heard = await lockstepOn(1, 'fence-confirm', '3', '--yes');
    expect(heard.stderr).toContain('node 3 is not dead: corosync hears it');
    const itself = await lockstepOn(1, 'fence-confirm', '1', '--yes');
    expect(itself.stderr).toContain('node 1 is this host');

    await hostDies(3);
    await host(1).daemon.said(/host-lost .*lockstep fence-confirm 3/);
    const shown = await lockstepOn(2, 'status');
    expect(shown.code).toBe(1);
    expect(shown.stdout).toMatch(/^cluster: quorum; members: 1 node1, 2 node2 \(this host\)$/m);
    expect(shown.stdout).toMatch(/^lost: 3 node3 since /m);
    expect(shown.stdout).toMatch(/LVM-shared: node1, node2, node3 \(lost, its marks stay\)$/m);
    expect(shown.stdout).toMatch(/^! host node3 \(node 3\) is lost, no fencing is configured/m);

    const asked = await lockstepOn(1, 'fence-confirm', 'node3');
    expect(asked.code).toBe(2);
    expect(asked.stdout).toMatch(/node 3 \(node3\) is lost since .* has 1 of the logs.*\n(.*\n)+Nothing was done/);
    const done = await lockstepOn(1, 'fence-confirm', 'node3', '--yes');
    expect([done.code, done.stdout]).toEqual([0, 'node 3 is confirmed dead; all members of the cluster are told\n']);
    for (const node of [1, 2]) {
      const after = await host(node).stands('nobody is lost', ({ cluster: at }) => at?.lost.length === 0);
      expect(after.logs[0]?.inSyncCount).toBe(regionCount - 1);
    }
    expect((await lockstepOn(1, 'fence-confirm', '3', '--yes')).stderr).toContain('no log waits for it');
    expect((await lockstepOn(1, 'fence-confirm', 'node9')).code).toBe(2);
  });

  it('without quorum new marks fail where that is configured, and marks that are there go on', async () => {
    await start('[cluster]\non_quorum_loss = "fail"\n');
    await suite.activate(log, text);
    expect((await kernel(3).flush(log, [1])).result).toBe(0);
    suite.cluster.partition([1, 2], [3]);
    await host(3).stands('no quorum', ({ cluster: at }) => at?.quorate === false);
    expect((await kernel(3).flush(log, [1])).result).toBe(0);
    expect((await kernel(3).flush(log, [2])).result).toBe(-Errno.EIO);
    const shown = await lockstepOn(3, 'status');
    expect([shown.code, shown.stdout]).toEqual([1, expect.stringMatching(/^cluster: NO QUORUM; members: 3 node3/m)]);
    await host(1).stands('the others go on', joined([1, 2]));
    expect((await kernel(1).flush(log, [3])).result).toBe(0);
    suite.cluster.heal();
    await suite.joined();
    expect((await kernel(3).flush(log, [2])).result).toBe(0);
    // What node 3's kernel held when its flush failed is in doubt: it does not say any more which writes failed on a leg.
    await host(1).stands(
      'all three marks are known, and two of them are resynced',
      ({ logs: at }) => at[0]?.dirtyCount === 3 && at[0].inSyncCount === regionCount - 2,
    );
  });

  it('without quorum new marks wait, and are answered when it is back', async () => {
    await start();
    await suite.activate(log, text);
    suite.cluster.partition([1, 2], [3]);
    await host(3).stands('no quorum', ({ cluster: at }) => at?.quorate === false);
    let answered = false;
    const flushed = kernel(3)
      .flush(log, [2])
      .finally(() => {
        answered = true;
      });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(answered).toBe(false);
    suite.cluster.heal();
    expect((await flushed).result).toBe(0);
  });

  it('a RESUME right at the start of a daemon waits for the group, also that of a kernel which finds its daemon again', async () => {
    await suite.start();
    await Promise.all(
      suite.kernels.map(async (one) => {
        expect((await one.ctr(log, text)).result).toBe(0);
        expect((await one.resume(log)).result).toBe(0);
        expect((await one.flush(log, [3])).result).toBe(0);
      }),
    );
    for (let round = 0; round < 2; round++) {
      await host(2).daemon.kill('SIGKILL');
      kernel(2).close();
      host(2).start();
      suite.kernels[1] = await host(2).kernel();
      expect((await kernel(2).ctr(log, `${text}\0`)).result).toBe(0);
      expect((await kernel(2).resume(log)).result).toBe(0);
      expect((await kernel(2).flush(log, [4 + round])).result).toBe(0);
    }
    const { logs } = await host(1).stands('all marks are known', ({ logs: at }) => at[0]?.dirtyCount === 3);
    expect(logs[0]?.inSyncCount).toBe(regionCount);
  });

  it('a log that an original cmirrord has is not resumed, and one that appears later is an alarm', async () => {
    await start();
    const original = new MemberProcess(suite.cluster, 2, `${log.uuid}\\0`, '1', new Witness());
    await original.entered();
    expect((await kernel(1).ctr(log, text)).result).toBe(0);
    expect((await kernel(1).resume(log)).result).toBe(-Errno.ENOTCONN);
    await host(1).daemon.said(/resume-refused .*LVM-shared: an original cmirrord has it/);
    // Another log is another matter.
    const other = { uuid: 'LVM-other', luid: 0x6000 };
    expect((await kernel(1).ctr(other, text)).result).toBe(0);
    expect((await kernel(1).resume(other)).result).toBe(0);
    await original.kill();
    expect((await kernel(1).resume(log)).result).toBe(0);

    const late = new MemberProcess(suite.cluster, 3, `${log.uuid}\\0`, '1', new Witness());
    await host(1).daemon.said(/foreign-cmirrord .*LVM-shared/);
    const shown = await lockstepOn(1, 'status');
    expect([shown.code, shown.stdout]).toEqual([1, expect.stringMatching(/^! LVM-shared: an original cmirrord/m)]);
    await late.kill();
    await host(1).daemon.said(/foreign-cmirrord-gone /);
  });
});
