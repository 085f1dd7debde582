/**
 * A host of `corosync-cluster.mjs` with a real daemon on it, for a simulated kernel or one that a test speaks for. A host can die
 * and boot again: what is under test takes the boot id for the host's.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ControlClient, NoDaemonError } from '../../ts/admin/control-client.js';
import type { DaemonStatus } from '../../ts/admin/daemon-status.js';
import { KernelClient } from '../connector/kernel-client.js';
import { DaemonProcess } from '../daemon/daemon-process.js';
import { type CorosyncCluster, sleep, until } from './corosync-cluster.mjs';

/** Longest path of a socket, with what stands behind the folder. */
const socketNameBytes = 16;

export class ClusterHost {
  readonly node: number;
  readonly name: string;
  readonly folder: string;
  readonly kernelSocket: string;
  readonly controlSocket: string;
  readonly #cluster: CorosyncCluster;
  readonly #config: string;
  #boots = 0;
  #daemon: DaemonProcess | null = null;

  /** `folder` is the host's own, and gets made; `config` is its lockstep.toml. */
  constructor(cluster: CorosyncCluster, node: number, folder: string, config = '') {
    if (Buffer.byteLength(folder) + socketNameBytes > 107) throw new Error(`${folder} is too long for a socket`);
    mkdirSync(folder, { mode: 0o700 });
    chmodSync(folder, 0o700);
    this.node = node;
    this.name = `node${node}`;
    this.folder = folder;
    this.kernelSocket = join(folder, 'kernel');
    this.controlSocket = join(folder, 'control.sock');
    this.#cluster = cluster;
    this.#config = join(folder, 'lockstep.toml');
    writeFileSync(this.#config, config);
  }

  get daemon(): DaemonProcess {
    if (this.#daemon === null) throw new Error(`no daemon was started on ${this.name}`);
    return this.#daemon;
  }

  get running(): boolean {
    const child = this.#daemon?.child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  start(): void {
    if (this.#boots === 0) this.#boots = 1;
    const argv = [
      ...['--config', this.#config, '--transport', 'corosync', '--boot-id', `boot-${this.node}-${this.#boots}`],
      ...['--simulated-kernel', this.kernelSocket, '--state-dir', join(this.folder, 'state')],
    ];
    this.#daemon = new DaemonProcess(argv, undefined, this.#cluster.command(this.node));
  }

  /** The host is gone with corosync and daemon; whoever plays its kernel has to end that too. */
  async die(): Promise<void> {
    await Promise.all([this.#daemon?.kill('SIGKILL'), this.#cluster.killCorosync(this.node)]);
  }

  boot(): void {
    this.#boots += 1;
    this.#cluster.startCorosync(this.node);
    this.start();
  }

  kernel(): Promise<KernelClient> {
    return KernelClient.connect(this.kernelSocket);
  }

  status(): Promise<DaemonStatus | null> {
    return askStatus(this.controlSocket);
  }

  /** Waits until the status is as wanted; past the hang limit it shows the last one. */
  async stands(what: string, wanted: (status: DaemonStatus) => boolean, limitMs = 60_000): Promise<DaemonStatus> {
    let last: DaemonStatus | null = null;
    for (const end = Date.now() + limitMs; ; await sleep(50)) {
      const status = await this.status();
      if (status !== null && wanted(status)) return status;
      last = status ?? last;
      if (Date.now() < end) continue;
      const shown = JSON.stringify({ cluster: last?.cluster, logs: last?.logs });
      throw new Error(`${this.name}: ${what}: not after ${limitMs / 1000} s\n${shown}\n${this.#daemon?.stderr}`);
    }
  }
}

/** Null when the daemon does not answer, or only an old answer. */
export async function askStatus(controlSocket: string): Promise<DaemonStatus | null> {
  let client: ControlClient | null = null;
  try {
    client = await ControlClient.connect(controlSocket);
    const { status, fresh } = await client.status();
    return fresh ? status : null;
  } catch (error) {
    if (error instanceof NoDaemonError) return null;
    throw error;
  } finally {
    client?.close();
  }
}

/** True when the daemon is in a group of just these nodes that has quorum, with nobody else to hear from. */
export function joined(nodes: readonly number[]): (status: DaemonStatus) => boolean {
  return ({ cluster }) =>
    cluster !== null &&
    cluster.problem === '' &&
    cluster.quorate &&
    cluster.agreedQuorate &&
    !cluster.exchanging &&
    cluster.members.map(({ node }) => node).join() === nodes.join();
}

export async function allJoined(hosts: readonly ClusterHost[]): Promise<void> {
  const nodes = hosts.map(({ node }) => node);
  await Promise.all(hosts.map((host) => host.stands(`group of ${nodes.join()}`, joined(nodes))));
}

/** Ends what runs, and waits for it. */
export async function end(hosts: readonly ClusterHost[]): Promise<void> {
  await Promise.all(hosts.filter(({ running }) => running).map(({ daemon }) => daemon.kill('SIGKILL')));
  await until('the daemons end', () => hosts.every(({ running }) => !running));
}
