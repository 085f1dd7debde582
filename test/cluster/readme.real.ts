/**
 * What the README says of several hosts, done as it stands there: its corosync.conf, its lockstep.toml, its table, on three hosts in
 * namespaces with kernels that are simulated. What needs machines (packages, Pacemaker, a kernel) is tested elsewhere.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { lockstep } from '../bin-lockstep/lockstep-process.js';
import { allJoined, ClusterHost, end } from './cluster-host.js';
import { addressOf, CorosyncCluster, whyNoCluster } from './corosync-cluster.mjs';

const why = whyNoCluster();
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const section = readme.slice(readme.indexOf('## On several hosts'), readme.indexOf('### Change over'));
const daemon = fileURLToPath(new URL('../../dist/bin/lockstepd.js', import.meta.url));

/** A limit on hangs. */
const patience = { timeout: 60_000, interval: 500 };

/** The indented block that begins with this line, without its indentation. */
function block(first: string): string {
  const lines = section.split('\n');
  const begin = lines.indexOf(`       ${first}`);
  const rest = lines.slice(begin);
  const length = rest.findIndex((line) => line !== '' && !line.startsWith('       '));
  return `${rest
    .slice(0, length)
    .map((line) => line.slice(7))
    .join('\n')
    .trim()}\n`;
}

describe.skipIf(why !== '')(
  why === '' ? 'several hosts as in the README' : `as in the README (skipped: ${why})`,
  () => {
    it('three bare machines become a mirror that outlives the host which writes its log', async () => {
      const written = block('totem {').replace(/10\.0\.0\.(\d)/g, (_, node) => addressOf(Number(node)));
      expect(written.match(/nodeid/g)?.length).toBe(3);
      // The namespaces share one machine: corosync must not take its real-time slice, nor its cgroup.
      const system = 'system {\n  sched_rr: no\n  move_to_root_cgroup: no\n}\n';
      const logging = 'logging {\n  to_logfile: yes\n  logfile: /var/log/corosync/corosync.log\n}\n';
      const cluster = await CorosyncCluster.start(3, () => `${written}${system}${logging}`);
      const folder = mkdtempSync('/tmp/ls-readme-');
      const hosts: ClusterHost[] = [];
      try {
        const [program = '', ...words] = cluster.command(1);
        const quorum = execFileSync(program, [...words, 'sh', '-c', 'corosync-quorumtool || true'], {
          encoding: 'utf8',
        });
        expect(quorum).toMatch(/^Quorate: +Yes$/m);
        const toml = block('transport = "corosync"');
        writeFileSync(join(folder, 'lockstep.toml'), toml);
        const checked = execFileSync(process.execPath, [
          daemon,
          '--check-config',
          '--config',
          join(folder, 'lockstep.toml'),
        ]);
        expect(checked.toString()).toContain('good');

        ['alpha', 'bravo', 'charlie'].forEach((name, i) => {
          const config = `${toml}node_name = "${name}"\n`;
          hosts.push(new ClusterHost(cluster, i + 1, join(folder, String(i + 1)), config));
        });
        for (const host of hosts) host.start();
        await allJoined(hosts);

        const device = join(folder, 'log');
        writeFileSync(device, Buffer.alloc(64 * 1024));
        const [, type, regionSize] = /userspace 4 my-mirror-uuid (\S+) \$LOG (\d+) 2 /.exec(section) ?? [];
        const log = { uuid: 'my-mirror-uuid', luid: 0x7000 };
        const kernels = await Promise.all(hosts.map((host) => host.kernel()));
        for (const kernel of kernels) {
          expect((await kernel.ctr(log, `65536 ${type} ${device} ${regionSize}`)).result).toBe(0);
          expect((await kernel.resume(log)).result).toBe(0);
        }
        const [first, second] = hosts as [ClusterHost, ClusterHost];
        // What the control socket shows may be from a moment ago.
        const status = () => lockstep('status', '--socket', second.controlSocket);
        const text = async () => (await status()).stdout;
        await expect.poll(text, patience).toContain('  my-mirror-uuid: alpha (writer), bravo, charlie');
        const shown = await status();
        expect(shown.stdout).toMatch(/^cluster: quorum; members: 1 alpha, 2 bravo \(this host\), 3 charlie$/m);
        expect(shown.code).toBe(0);

        await first.die();
        kernels[0]?.close();
        await second.stands('alpha is lost', ({ cluster: at }) => at?.lost[0]?.name === 'alpha');
        await expect.poll(text, patience).toMatch(/^lost: 1 alpha since /m);
        expect((await status()).code).toBe(1);
        const confirmed = await lockstep('fence-confirm', 'alpha', '--yes', '--socket', second.controlSocket);
        expect(confirmed.code).toBe(0);
        await second.stands('bravo writes', ({ logs }) => logs[0]?.cluster?.writer === 2);
        const story = await lockstep('events', '--socket', second.controlSocket);
        for (const event of ['view', 'host-lost', 'dead-confirmed', 'log-writer'])
          expect(story.stdout).toContain(` ${event} `);
        for (const kernel of kernels) kernel.close();
      } finally {
        await end(hosts);
        cluster.close();
        rmSync(folder, { recursive: true, force: true });
      }
    });
  },
);
