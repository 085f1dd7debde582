/**
 * Three hosts on real corosync that write to one mirror, and what can happen to hosts, every few seconds: daemons and corosyncs that are
 * killed or stopped, networks that break, hosts that die and boot again. Kernels are simulated, everything else is real.
 *
 * While it lasts no write and no question of a kernel fails, and everybody gets on between faults. In the end every sector holds what
 * was written last, both legs are equal, the log is clean, and the daemon that lived through it all is no bigger than it was.
 *
 * LOCKSTEP_SOAK_SECONDS: how long the faults last (20); LOCKSTEP_SOAK_SEED: which they are.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DaemonStatus } from '../../ts/admin/daemon-status.js';
import { Prng } from '../../ts/sim/prng.js';
import { readLogArea } from '../daemon/log-area.js';
import { allJoined, ClusterHost, end } from './cluster-host.js';
import { CorosyncCluster, sleep, until, whyNoCluster } from './corosync-cluster.mjs';
import { type SharedMirror, SimulatedHost } from './simulated-host.js';

const why = whyNoCluster();
const nodes = [1, 2, 3];
const { LOCKSTEP_SOAK_SECONDS: seconds = '20', LOCKSTEP_SOAK_SEED: seedText = '1' } = process.env;
const soakMs = Number(seconds) * 1000;
const seed = Number(seedText);
const regionSectors = 128;
const bytes = 16 * 2 ** 20;
const regionCount = bytes / 512 / regionSectors;
/** Its daemon is killed by nothing: it shows whether memory and descriptors stay. */
const witness = 1;
/** How often everybody must have got on. */
const checkMs = 15_000;

interface Sample {
  readonly residentMiB: number;
  readonly descriptors: number;
}

class Soak {
  readonly hosts: ClusterHost[];
  readonly kernels: SimulatedHost[] = [];
  readonly samples: Sample[] = [];
  readonly faults = new Map<string, number>();
  readonly folder = mkdtempSync('/tmp/ls-soak-');
  readonly mirror: SharedMirror;
  readonly #cluster: CorosyncCluster;
  readonly #prng = new Prng(seed);
  /** Of kernels that have ended. */
  #writesBefore = 0;
  readonly problems: string[] = [];

  constructor(cluster: CorosyncCluster) {
    this.#cluster = cluster;
    const confirm = join(this.folder, 'confirm');
    writeFileSync(confirm, `#!/bin/sh\ntest -e "${this.folder}/dead-$1"\n`, { mode: 0o755 });
    const config = `[fencing]\nconfirm = "command"\ncommand = "${confirm}"\ninterval_ms = 200\n`;
    this.hosts = nodes.map((node) => new ClusterHost(cluster, node, join(this.folder, String(node)), config));
    mkdirSync(join(this.folder, 'disks'));
    const disk = (name: string) => join(this.folder, 'disks', name);
    const logFile = disk('log');
    writeFileSync(logFile, '');
    truncateSync(logFile, 1 << 20);
    const legs = [disk('leg0'), disk('leg1')];
    this.mirror = { uuid: 'LVM-soak', legs, bytes, regionSectors, logFile, rate: 60, hosts: nodes.length };
  }

  #host(node: number): ClusterHost {
    return this.hosts[node - 1] as ClusterHost;
  }

  get writes(): number {
    return this.#writesBefore + this.kernels.reduce((sum, kernel) => sum + kernel.writes, 0);
  }

  async begin(): Promise<void> {
    for (const host of this.hosts) host.start();
    await allJoined(this.hosts);
    for (const node of nodes) await this.#startKernel(node, false);
  }

  async #startKernel(node: number, anew: boolean): Promise<void> {
    const kernel = new SimulatedHost(this.#host(node).kernelSocket, node, this.mirror, anew);
    this.kernels[node - 1] = kernel;
    await until(`the mirror is active on node ${node}`, () => kernel.active || kernel.ended);
    if (kernel.ended) throw new Error(`the mirror is not active on node ${node}: ${kernel.problems.join(' ')}`);
  }

  // Faults. Each ends what it began.

  async #daemonDies(node: number): Promise<void> {
    await this.#host(node).daemon.kill('SIGKILL');
    await sleep(this.#prng.between(0, 1500));
    this.#host(node).start();
  }

  async #daemonStops(node: number): Promise<void> {
    const { child } = this.#host(node).daemon;
    child.kill('SIGSTOP');
    await sleep(this.#prng.between(100, 1500));
    child.kill('SIGCONT');
  }

  async #corosyncDies(node: number): Promise<void> {
    await this.#cluster.killCorosync(node);
    await sleep(this.#prng.between(0, 2500));
    this.#cluster.startCorosync(node);
  }

  async #corosyncStops(node: number): Promise<void> {
    this.#cluster.pauseCorosync(node, true);
    await sleep(this.#prng.between(200, 3000));
    this.#cluster.pauseCorosync(node, false);
  }

  async #networkBreaks(node: number): Promise<void> {
    this.#cluster.partition(
      nodes.filter((other) => other !== node),
      [node],
    );
    await sleep(this.#prng.between(500, 4000));
    this.#cluster.heal();
  }

  /** A power cut: the kernel's caches are lost. It is fenced some time later, and boots. */
  async #hostDies(node: number): Promise<void> {
    const kernel = this.kernels[node - 1] as SimulatedHost;
    const host = this.#host(node);
    await Promise.all([kernel.kill(), host.die()]);
    this.problems.push(...kernel.problems);
    this.#writesBefore += kernel.writes;
    kernel.last = null;
    await sleep(this.#prng.between(0, 3000));
    const dead = join(this.folder, `dead-${host.name}`);
    writeFileSync(dead, '');
    await sleep(this.#prng.between(0, 2000));
    // Whoever asks from now on asks about another boot.
    rmSync(dead);
    host.boot();
    await allJoined(this.hosts);
    await this.#startKernel(node, true);
  }

  async fault(): Promise<void> {
    const kinds: readonly (readonly [string, (node: number) => Promise<void>])[] = [
      ['daemon killed', (node) => this.#daemonDies(node)],
      ['daemon stopped', (node) => this.#daemonStops(node)],
      ['corosync killed', (node) => this.#corosyncDies(node)],
      ['corosync stopped', (node) => this.#corosyncStops(node)],
      ['network broken', (node) => this.#networkBreaks(node)],
      ['host died', (node) => this.#hostDies(node)],
    ];
    const [name, act] = this.#prng.pick(kinds);
    const spared = name === 'daemon killed' || name === 'host died';
    const node = this.#prng.pick(spared ? nodes.filter((other) => other !== witness) : nodes);
    this.faults.set(name, (this.faults.get(name) ?? 0) + 1);
    console.log(`soak: ${name}, node ${node}`);
    await act(node);
    this.#complain();
    await sleep(this.#prng.between(200, 2500));
  }

  /**
   * What an administrator does when status says so. A daemon that is killed while its kernel reconnects leaves a log whose marks are not
   * known; nothing is recovered, on any host, before that one's mirror was suspended and resumed.
   */
  async #administer(): Promise<void> {
    for (const [i, host] of this.hosts.entries()) {
      const status = await host.status();
      if (status?.logs.some((log) => log.marksUnknown && log.lifeCycle === 'active') !== true) continue;
      this.faults.set('suspended and resumed', (this.faults.get('suspended and resumed') ?? 0) + 1);
      await (this.kernels[i] as SimulatedHost).restart();
    }
  }

  /** Everybody is in the group again, and writes. */
  async everybodyGetsOn(): Promise<void> {
    await allJoined(this.hosts);
    await this.#administer();
    const before = this.kernels.map((kernel) => kernel.writes);
    await until('every host writes', () => {
      this.#complain();
      return this.kernels.every((kernel, i) => kernel.writes > (before[i] ?? 0) + 20);
    });
    const { pid } = this.#host(witness).daemon.child;
    const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    const descriptors = readdirSync(`/proc/${pid}/fd`).length;
    this.samples.push({ residentMiB: Math.round(Number(resident) / 1024), descriptors });
  }

  /** Nobody may have said what no kernel may hear, and no daemon may have ended by itself. */
  #complain(): void {
    const all = [...this.problems, ...this.kernels.flatMap((kernel) => kernel.problems)];
    if (all.length > 0) throw new Error(`a kernel says:\n${all.join('\n')}`);
    for (const kernel of this.kernels) if (kernel.ended) throw new Error('a kernel has ended by itself');
    for (const host of this.hosts) {
      if (!host.running) throw new Error(`the daemon of ${host.name} has ended by itself:\n${host.daemon.stderr}`);
    }
  }

  /** Stops the users, resyncs what is out of sync, and ends every host in order. */
  async finish(): Promise<void> {
    await this.everybodyGetsOn();
    for (const kernel of this.kernels) await kernel.quiet();
    // A kernel that has once heard that all is in sync asks for no work before its mirror is resumed again.
    await (this.kernels[0] as SimulatedHost).restart();
    const whole = ({ logs }: DaemonStatus) =>
      logs.some((log) => log.inSyncCount === regionCount && log.dirtyCount === 0);
    for (const host of this.hosts) await host.stands('all regions are in sync, and clean', whole);
    for (const kernel of this.kernels) await kernel.stop();
    this.problems.push(...this.kernels.flatMap((kernel) => kernel.problems));
  }

  /** What the daemons said last, for whoever looks for the cause. */
  async story(): Promise<string> {
    const parts: string[] = [];
    for (const host of this.hosts) {
      const { name, node, daemon } = host;
      const status = await host.status();
      const stands = JSON.stringify({ cluster: status?.cluster, logs: status?.logs });
      parts.push(`${name}: ${stands}\n${this.#cluster.groups(node)}\n${daemon.stderr.slice(-6000)}`);
    }
    return parts.join('\n');
  }

  async close(): Promise<void> {
    for (const kernel of this.kernels) if (!kernel.ended) await kernel.kill();
    await end(this.hosts);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

describe.skipIf(why !== '')(
  why === '' ? 'a mirror of three hosts' : `a mirror of three hosts (skipped: ${why})`,
  () => {
    let cluster: CorosyncCluster;
    beforeAll(async () => {
      cluster = await CorosyncCluster.start(nodes.length);
    });
    afterAll(() => cluster.close());

    it(`lives through ${soakMs / 1000} s of faults`, { timeout: 300_000 + 10 * soakMs }, async () => {
      const soak = new Soak(cluster);
      try {
        await soak.begin();
        const endMs = Date.now() + soakMs;
        while (Date.now() < endMs) {
          const checkAtMs = Math.min(endMs, Date.now() + checkMs);
          while (Date.now() < checkAtMs) await soak.fault();
          await soak.everybodyGetsOn();
        }
        await soak.finish();
        expect(soak.problems).toEqual([]);
        const [first, second] = soak.mirror.legs.map((leg) => readFileSync(leg));
        expect((first as Buffer).equals(second as Buffer)).toBe(true);
        expect(readLogArea(soak.mirror.logFile as string, regionCount).dirty).toEqual([]);
        report(soak);
      } catch (error) {
        console.log(await soak.story());
        throw error;
      } finally {
        await soak.close();
      }
    });

    function report({ faults, samples, writes }: Soak): void {
      const told = [...faults].sort().map(([name, count]) => `${count} x ${name}`);
      console.log(`soak: seed ${seed}, ${soakMs / 1000} s, ${writes} writes; ${told.join(', ')}`);
      const memory = samples.map(({ residentMiB }) => residentMiB);
      const descriptors = samples.map((sample) => sample.descriptors);
      console.log(`soak: daemon that lived through it: ${memory.join(' ')} MiB, ${descriptors.join(' ')} descriptors`);
      const third = Math.max(1, Math.floor(samples.length / 3));
      const most = (list: readonly number[]) => Math.max(...list);
      expect(most(memory.slice(-third))).toBeLessThan(most(memory.slice(0, third)) * 1.25 + 16);
      expect(most(descriptors.slice(-third))).toBeLessThanOrEqual(most(descriptors.slice(0, third)) + 4);
    }
  },
);
