/** A real cluster for all tests of a suite, and for each of them daemons of its own on all hosts, with a kernel that the test speaks for. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { lockstep } from '../bin-lockstep/lockstep-process.js';
import type { KernelClient, LogName } from '../connector/kernel-client.js';
import { allJoined, ClusterHost, end } from './cluster-host.js';
import { CorosyncCluster } from './corosync-cluster.mjs';

export class HostsOfEachTest {
  cluster!: CorosyncCluster;
  /** The test's own. */
  folder = '';
  hosts: ClusterHost[] = [];
  kernels: KernelClient[] = [];
  readonly #nodes: readonly number[];

  /** Has to be made within the suite. `prefix` is that of the folders. */
  constructor(nodes: readonly number[], prefix: string) {
    this.#nodes = nodes;
    beforeAll(async () => {
      this.cluster = await CorosyncCluster.start(nodes.length);
    });
    afterAll(() => this.cluster.close());
    beforeEach(() => {
      this.folder = mkdtempSync(prefix);
      this.hosts = [];
      this.kernels = [];
    });
    afterEach(() => this.#endAll());
  }

  host(node: number): ClusterHost {
    return this.hosts[node - 1] as ClusterHost;
  }

  kernel(node: number): KernelClient {
    return this.kernels[node - 1] as KernelClient;
  }

  /** Starts all daemons; `config` is their lockstep.toml. */
  async start(config = ''): Promise<void> {
    this.hosts = this.#nodes.map(
      (node) => new ClusterHost(this.cluster, node, join(this.folder, String(node)), config),
    );
    for (const one of this.hosts) one.start();
    for (const one of this.hosts) this.kernels.push(await one.kernel());
  }

  joined(): Promise<void> {
    return allJoined(this.hosts);
  }

  /** Makes the log active on all hosts, first on the first. */
  async activate(log: LogName, text: string): Promise<void> {
    for (const one of this.kernels) {
      expect((await one.ctr(log, text)).result).toBe(0);
      expect((await one.resume(log)).result).toBe(0);
    }
  }

  lockstepOn(node: number, ...argv: string[]): ReturnType<typeof lockstep> {
    return lockstep(...argv, '--socket', this.host(node).controlSocket);
  }

  async #endAll(): Promise<void> {
    for (const one of this.kernels) one.close();
    await end(this.hosts);
    for (const node of this.#nodes) this.cluster.startCorosync(node);
    this.cluster.heal();
    await this.cluster.settled(this.#nodes);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
