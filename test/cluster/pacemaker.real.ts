/**
 * The resource agent under a real Pacemaker, tied to the mirrors as the README says: three hosts in namespaces that write one mirror, with
 * simulated kernels. Only `npm run long -- pacemaker` runs it.
 *
 * Pacemaker starts daemons and then mirrors, and ends them the other way round; it sees a daemon that was killed or hangs and starts another one,
 * under the mirror, which is left where it is; a start that fails is said with its reason; a host of which its fencing record says that
 * it is dead is dead for the daemons. All the time the others write, and in the end every kernel reads what it wrote, and the legs are equal.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CorosyncCluster, sleep, whyNoCluster } from './corosync-cluster.mjs';
import { PacemakerHost, whyNoPacemaker } from './pacemaker-host.js';

const { LOCKSTEP_PACEMAKER: asked } = process.env;
const why = asked === '1' ? whyNoCluster() || whyNoPacemaker() : 'npm run long -- pacemaker';
const nodes = [1, 2, 3];
const regionCount = 256;
const limitMs = 600_000;

describe.skipIf(why !== '')(why === '' ? 'under Pacemaker' : `under Pacemaker (skipped: ${why})`, () => {
  let cluster: CorosyncCluster;
  let hosts: PacemakerHost[] = [];
  const folder = why === '' ? mkdtempSync('/tmp/ls-pacemaker-') : '';
  const disk = (name: string) => join(folder, 'disks', name);
  const host = (node: number) => hosts[node - 1] as PacemakerHost;

  beforeAll(async () => {
    for (const name of ['disks', 'kernels']) mkdirSync(join(folder, name), { mode: 0o700 });
    for (const [name, bytes] of Object.entries({ first: 16 << 20, second: 16 << 20, log: 1 << 20 })) {
      writeFileSync(disk(name), '');
      truncateSync(disk(name), bytes);
    }
    cluster = await CorosyncCluster.start(nodes.length);
    hosts = nodes.map((node) => new PacemakerHost(cluster, node, folder));
    await Promise.all(hosts.map((each) => each.boot()));
    await host(1).until('all are online', () => /Online: \[ node1 node2 node3 \]/.test(host(1).try('crm_mon -1')));
  }, limitMs);

  afterAll(async () => {
    await Promise.all(hosts.filter(({ running }) => running).map((each) => each.die()));
    cluster?.close();
    if (folder) rmSync(folder, { recursive: true, force: true });
  }, limitMs);

  /** Has the log, in the group of all these; nothing is out of sync. */
  async function serves(each: PacemakerHost, members = nodes): Promise<void> {
    await each.stands(
      `serves among ${members}`,
      ({ cluster: at, logs }) =>
        at?.agreedQuorate === true &&
        at.members.map(({ node }) => node).join() === members.join() &&
        logs[0]?.lifeCycle === 'active' &&
        logs[0].inSyncCount === regionCount,
    );
    await each.goesOn();
  }

  async function allServe(): Promise<void> {
    for (const each of hosts) await serves(each);
  }

  it('starts daemons, then mirrors', { timeout: limitMs }, async () => {
    host(1).sayResources();
    await allServe();
    expect(hosts.map(({ story }) => story)).toEqual(nodes.map(() => 'start'));
    for (const each of hosts) expect(each.failures).toBe(0);
  });

  /** Another daemon, under the same mirror, that still writes; nothing was resynced, and Pacemaker knows what it did. */
  async function isReplaced(each: PacemakerHost, pid: number): Promise<void> {
    await each.until('another daemon runs', () => each.daemonPid > 0 && each.daemonPid !== pid);
    await allServe();
    each.settle();
    expect(each.story).toBe('start');
    expect(each.failures).toBe(1);
    each.run('crm_resource --cleanup -r mirror-log');
    each.settle();
  }

  it('replaces a daemon that was killed, and leaves the mirror where it is', { timeout: limitMs }, async () => {
    const pid = host(2).daemonPid;
    host(2).run(`kill -KILL ${pid}`);
    await isReplaced(host(2), pid);
  });

  it('replaces a daemon that hangs', { timeout: limitMs }, async () => {
    const pid = host(3).daemonPid;
    host(3).run(`kill -STOP ${pid}`);
    await isReplaced(host(3), pid);
    expect(host(3).file('/var/log/pacemaker/pacemaker.log')).toContain('mirrors use the daemon');
  });

  /** Nothing of it is left, and the daemon had no need to be killed. */
  async function ended(each: PacemakerHost, story: string): Promise<void> {
    await each.until('mirror and daemon have ended', () => each.daemonPid === 0 && each.file('/run/mirror.pid') === '');
    expect(each.story).toBe(story);
    expect(each.file('/run/mirror.end')).toBe('0');
    const log = each.file('/var/log/pacemaker/pacemaker.log');
    expect(log.split('mirrors use the daemon').length - 1).toBe(each.node === 3 ? 1 : 0);
  }

  it('standby: first the mirror, then the daemon, and back', { timeout: limitMs }, async () => {
    host(1).run('crm_standby -N node2 -v on');
    await ended(host(2), 'start, stop');
    await host(1).goesOn();
    host(1).run('crm_standby -N node2 -D');
    await allServe();
    expect(host(2).story).toBe('start, stop, start');
  });

  it('a host from which it is moved away, and one that is told to take it back', { timeout: limitMs }, async () => {
    host(1).run('crm_resource --ban -r mirror-log-clone -N node3');
    await ended(host(3), 'start, stop');
    await host(1).goesOn();
    host(1).run('crm_resource --clear -r mirror-log-clone -N node3');
    await allServe();
  });

  it('a start that fails is said with its reason, and no mirror is activated there', { timeout: limitMs }, async () => {
    const each = host(1);
    each.run('crm_resource -r mirror-log-clone -m -p target-role -v Stopped');
    await ended(each, 'start, stop');
    each.configure('transprot = "x"\n');
    each.run('crm_resource -r mirror-log-clone -m -p target-role -v Started');
    await each.until('the reason is said', () => /unknown key/.test(each.try('crm_mon -1rf')));
    for (const other of [host(2), host(3)]) await serves(other, [2, 3]);
    each.settle();
    expect([each.story, each.daemonPid]).toEqual(['start, stop', 0]);
    each.configure();
    each.run('crm_resource --cleanup -r mirror-log');
    await allServe();
    expect(each.story).toBe('start, stop, start');
  });

  it('who is dead by its record of fencing is dead for the daemons', { timeout: limitMs }, async () => {
    await host(3).die();
    const lost = ({ cluster: at }: { cluster: { lost: readonly unknown[] } | null }) => at?.lost.length === 1;
    await host(1).stands('node 3 is lost', lost);
    await sleep(5000);
    expect((await host(1).status())?.cluster?.lost.length).toBe(1);
    host(1).run('stonith_admin --confirm=node3');
    await host(1).stands('node 3 is known dead', (status) => !lost(status));
    // What the daemon would have device-mapper do (R11), which a simulated kernel has not.
    host(1).run('kill -USR2 $(cat /run/mirror.pid)');
    for (const each of [host(1), host(2)]) await serves(each, [1, 2]);
    await host(3).boot();
    await allServe();
    expect(host(3).story).toBe('start');
  });

  it('a shutdown ends mirrors, then daemons, and leaves equal legs', { timeout: limitMs }, async () => {
    const stories = hosts.map(({ story }) => story.split(', '));
    for (const each of hosts) await each.shutDown();
    // Pacemaker's end, no daemon, the story of the mirror, and its own end.
    const ends = nodes.map((node) =>
      readFileSync(join(folder, `end-${node}`), 'utf8')
        .trim()
        .split('\n'),
    );
    expect(ends).toEqual(stories.map((story) => ['0', ...story, 'stop', '0']));
    expect(readFileSync(disk('first')).equals(readFileSync(disk('second')))).toBe(true);
  });
});
