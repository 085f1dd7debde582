/**
 * What `lockstep` says on real corosync when something waits: for a peer that does not acknowledge, for the writer of the log device, for
 * another host's recovery, for a host that suspends, for quorum. Each is brought about, read as an operator would, and ended.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ControlClient } from '../../ts/admin/control-client.js';
import { statusLines } from '../../ts/admin/status-text.js';
import { statusView } from '../../ts/admin/status-view.js';
import { joined } from './cluster-host.js';
import { sleep, whyNoCluster } from './corosync-cluster.mjs';
import { HostsOfEachTest } from './hosts-of-each-test.js';

const why = whyNoCluster();
const nodes = [1, 2, 3];
const regionCount = 64;
const log = { uuid: 'LVM-shared', luid: 0x5000 };
const coreLog = `${regionCount * 1024} clustered-core 1024`;

describe.skipIf(why !== '')(why === '' ? 'what waits' : `what waits (skipped: ${why})`, () => {
  // A constructor's words end at blanks, and the name of the log device is one.
  const suite = new HostsOfEachTest(nodes, '/tmp/ls-waits-');
  const host = (node: number) => suite.host(node);
  const kernel = (node: number) => suite.kernel(node);

  async function activate(text: string): Promise<void> {
    await suite.start();
    await suite.joined();
    await suite.activate(log, text);
  }

  const lockstepOn = async (node: number, ...argv: string[]) => (await suite.lockstepOn(node, ...argv)).stdout;

  /** What `lockstep status` prints, without a process for each look. */
  async function shown(node: number): Promise<string> {
    const client = await ControlClient.connect(host(node).controlSocket);
    const view = statusView(await client.status(), new Map(), '');
    client.close();
    return view === null ? '' : statusLines(view, null).join('\n');
  }

  /** A status in which a line is as wanted; past the hang limit it is shown. */
  async function shows(node: number, wanted: RegExp): Promise<string> {
    let last = '';
    for (const end = Date.now() + 60_000; Date.now() < end; await sleep(100)) {
      last = await shown(node);
      if (wanted.test(last)) return last;
    }
    throw new Error(`${wanted}: not after 60 s:\n${last}`);
  }

  async function isAnswered(answer: Promise<unknown>): Promise<boolean> {
    return (await Promise.race([answer.then(() => 'yes'), sleep(300).then(() => 'no')])) === 'yes';
  }

  it('a daemon that stands still: for its acknowledgement, for how long, and that it is over', async () => {
    await activate(`${coreLog} nosync`);
    const calm = await lockstepOn(1, 'status');
    expect(calm).toMatch(/^view \d+ since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d; fencing: none, an operator confirms/m);
    expect(calm).not.toMatch(/waits/);
    host(3).daemon.child.kill('SIGSTOP');
    const flushed = kernel(1).flush(log, [7]);
    const now = await shows(
      1,
      /^! LVM-shared: requests of this host wait for \d+ s: node3 has not said that it has the marks$/m,
    );
    expect(now).toMatch(/^ {4}waits for \d+ s: node3 has not said that it has the marks$/m);
    expect(await isAnswered(flushed)).toBe(false);
    const reasons = await lockstepOn(1, 'why', log.uuid, '7');
    expect(reasons).toContain('- requests of this host wait: node3 has not said that it has the marks');
    host(3).daemon.child.kill('SIGCONT');
    expect((await flushed).result).toBe(0);
    await host(1).daemon.said(/goes-on /);
    const events = await lockstepOn(1, 'events');
    expect(events).toMatch(/ warning waits LVM-shared: node3 has not said that it has the marks$/m);
    expect(events).toMatch(/ notice {2}goes-on LVM-shared: /m);
    await shows(1, /^(?!.*waits)/s);
  });

  it('a host that dies while it is the writer: for it, until it is confirmed dead; then another one is', async () => {
    const device = join(suite.folder, 'log');
    writeFileSync(device, Buffer.alloc(64 * 1024));
    await activate(`${regionCount * 1024} clustered-disk ${device} 1024 nosync`);
    await shows(2, /^ {2}LVM-shared: node1 \(writer\), node2, node3$/m);
    await host(1).die();
    kernel(1).close();
    await host(2).stands('node 1 is lost', ({ cluster: at }) => at?.lost[0]?.node === 1);
    const flushed = kernel(2).flush(log, [9]);
    const now = await shows(2, /^ {4}waits.*: node1, which writes the log device, is away$/m);
    expect(now).toMatch(/^ {2}LVM-shared: node1 \(writer, lost, its marks stay\), node2, node3$/m);
    expect(await isAnswered(flushed)).toBe(false);
    expect(await lockstepOn(3, 'fence-confirm', '1', '--yes')).toContain('node 1 is confirmed dead');
    expect((await flushed).result).toBe(0);
    await shows(2, /^ {2}LVM-shared: node2 \(writer\), node3$/m);
    const events = await lockstepOn(2, 'events', log.uuid);
    expect(events).toMatch(
      /log-writer LVM-shared: node 1 \(node1\) is to write the log device and is away: new marks wait$/m,
    );
    expect(events).toMatch(/log-writer LVM-shared: node 2 \(node2\) writes the log device, epoch \d+$/m);
    expect(events).toMatch(/log-member-gone LVM-shared: node 1 \(node1\) /m);
    expect(await lockstepOn(2, 'events')).toMatch(
      / view members: 2 node2, 3 node3; left: 1 node1 \(its host is not heard/m,
    );
  });

  it('who resyncs, whom a write and a suspend wait for, and who keeps a resync waiting', async () => {
    await activate(coreLog);
    const work = await kernel(2).resyncWork(log);
    expect(work.value(0)).toBe(1);
    const region = work.value(1);
    await shows(1, new RegExp(`^ {2}LVM-shared: node1, node2 \\(resyncs region ${region}\\), node3$`, 'm'));
    const elsewhere = await lockstepOn(1, 'why', log.uuid, String(region));
    expect(elsewhere).toContain('the kernel of node2 is copying it now');
    expect(await lockstepOn(2, 'why', log.uuid, String(region))).toContain("this host's kernel is copying it now");

    const flushed = kernel(1).flush(log, [region]);
    await shows(1, /^ {4}waits.*: node2 copies a region that is to be written here$/m);
    const marked = await lockstepOn(3, 'why', log.uuid, String(region));
    expect(marked).toContain('- node1 has marked it');
    const halted = kernel(3).presuspend(log);
    await shows(3, /^ {4}waits.*: the suspend waits until node2 has copied its region$/m);
    expect((await kernel(2).setRegionSync(log, region, 1)).result).toBe(0);
    expect((await flushed).result).toBe(0);
    expect((await halted).result).toBe(0);
    // Nothing is handed out while one suspends.
    expect((await kernel(2).resyncWork(log)).value(0)).toBe(0);
    const rests = await shows(1, /^ {4}resync waits: the mirror is suspended on node3$/m);
    expect(rests).toMatch(/^ {2}LVM-shared: node1, node2, node3 \(halted\)$/m);
    expect(await lockstepOn(2, 'why', log.uuid, '50')).toContain(
      'nothing is recovered: the mirror is suspended on node3',
    );
  });

  it('no quorum: what it holds up, on the side that has none', async () => {
    await activate(`${coreLog} nosync`);
    suite.cluster.partition([1, 2], [3]);
    await host(3).stands('no quorum', ({ cluster: at }) => at?.quorate === false);
    const flushed = kernel(3).flush(log, [2]);
    const cut = await shows(3, /^ {4}waits.*: no quorum$/m);
    expect(cut).toMatch(/^! host node1 \(node 1\) is not heard from this side, which has no quorum/m);
    expect(await lockstepOn(3, 'events')).toMatch(/ warning no-quorum this side of the cluster has no quorum/m);
    suite.cluster.heal();
    expect((await flushed).result).toBe(0);
    await host(3).stands('all are there', joined(nodes));
    expect(await lockstepOn(3, 'events')).toMatch(/ notice {2}quorum this side of the cluster has quorum/m);
  });
});
