/**
 * Corosync on this machine, one node each in network, mount and host-name namespaces of its own: what runs on a node sees that
 * node's corosync and no other's. No traffic leaves the namespaces, and nothing outlives this process: its children are killed
 * with it.
 *
 * Needs root, iproute2, util-linux and corosync; `whyNoCluster` says what is missing.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const network = '10.83.7';
const waitMsMax = 60_000;

/** Why no cluster can be made here; empty: it can. */
export function whyNoCluster() {
  const program = fileURLToPath(new URL('./why-no-cluster.mjs', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : stderr.trim() || 'the probe failed';
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits for a condition; past the hang limit it says what never came. */
export async function until(what, condition, limitMs = waitMsMax) {
  for (const end = Date.now() + limitMs; !condition(); await sleep(10)) {
    if (Date.now() > end) throw new Error(`${what}: not after ${limitMs / 1000} s`);
  }
}

/** A child that is killed when this process ends, however it ends. */
function startChild(command, output = 'ignore') {
  return spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { stdio: ['ignore', output, 'ignore'] });
}

async function hold(name) {
  const script = 'hostname "$1" && echo up && exec sleep infinity';
  const child = startChild(
    ['unshare', '-n', '-m', '-u', '--propagation', 'private', 'sh', '-c', script, 'sh', name],
    'pipe',
  );
  let said = '';
  child.stdout?.on('data', (chunk) => {
    said += chunk;
  });
  await until(`namespaces of ${name}`, () => said.includes('up'));
  return child;
}

function within(holder, ...command) {
  execFileSync('nsenter', ['-t', String(holder.pid), '-n', '-m', '-u', '--', ...command], { stdio: 'pipe' });
}

export class CorosyncCluster {
  #folder = mkdtempSync(join(tmpdir(), 'lockstep cluster '));
  /** `{ number, holder, folder, corosync }`; corosync is null where it does not run. */
  #nodes = [];
  #switch = null;

  /** corosync.conf for so many nodes. */
  #configuration;

  /** Also when the process ends while the cluster is formed. */
  #atExit = () => this.close();

  constructor(configurationOf) {
    this.#configuration = configurationOf;
    process.on('exit', this.#atExit);
  }

  /**
   * Nodes 1 to `count`, each member of the whole; `configurationOf`: of nodes with the addresses of `addressOf`; `counted` false: without
   * votequorum nobody says who is there, and nobody is waited for.
   */
  static async start(count, configurationOf = configuration, { counted = true } = {}) {
    const cluster = new CorosyncCluster(configurationOf);
    try {
      await cluster.#start(count);
      if (counted) await cluster.settled(cluster.#nodes.map(({ number }) => number));
    } catch (error) {
      cluster.close();
      throw error;
    }
    return cluster;
  }

  async #start(count) {
    this.#switch = await hold('switch');
    this.#bridge(0);
    for (let number = 1; number <= count; number++) this.#nodes.push(await this.#makeNode(number, count));
    for (const { number } of this.#nodes) this.startCorosync(number);
  }

  async #makeNode(number, count) {
    const holder = await hold(`node${number}`);
    const folder = join(this.#folder, String(number));
    for (const name of ['log', 'lib']) mkdirSync(join(folder, name), { recursive: true });
    const peer = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', String(holder.pid)];
    this.#onSwitch('ip', 'link', 'add', `p${number}`, ...peer);
    this.#onSwitch('ip', 'link', 'set', `p${number}`, 'master', 'br0', 'up');
    within(holder, 'ip', 'link', 'set', 'lo', 'up');
    within(holder, 'ip', 'addr', 'add', `${network}.${number}/24`, 'dev', 'eth0');
    within(holder, 'ip', 'link', 'set', 'eth0', 'up');
    writeFileSync(join(folder, 'corosync.conf'), this.#configuration(count));
    // For those that encrypt.
    writeFileSync(join(folder, 'authkey'), authKey, { mode: 0o400 });
    const script = `set -e
      mount -t tmpfs -o mode=755 tmpfs /run
      mkdir -p /run/lock /run/corosync /var/lib/corosync /var/log/corosync
      mount -t tmpfs -o mode=1777 tmpfs /dev/shm
      mount --bind "$1/lib" /var/lib/corosync
      mount --bind "$1/log" /var/log/corosync
      mount -t tmpfs -o mode=755 tmpfs /etc/corosync
      cp "$1/corosync.conf" "$1/authkey" /etc/corosync/`;
    within(holder, 'sh', '-c', script, 'sh', folder);
    return { number, holder, folder, corosync: null };
  }

  #onSwitch(...command) {
    if (this.#switch === null) throw new Error('the cluster has no switch');
    within(this.#switch, ...command);
  }

  #bridge(number) {
    this.#onSwitch('ip', 'link', 'add', `br${number}`, 'type', 'bridge');
    this.#onSwitch('ip', 'link', 'set', `br${number}`, 'up');
  }

  #node(number) {
    const node = this.#nodes.find((other) => other.number === number);
    if (node === undefined) throw new Error(`no node ${number}`);
    return node;
  }

  /** What to put before a command so that it runs on a node, and dies with this process. */
  command(number) {
    const holder = String(this.#node(number).holder.pid);
    return ['setpriv', '--pdeathsig', 'KILL', 'nsenter', '-t', holder, '-n', '-m', '-u', `--wd=${process.cwd()}`, '--'];
  }

  startCorosync(number) {
    const node = this.#node(number);
    if (node.corosync !== null) return;
    node.corosync = startChild(['nsenter', '-t', String(node.holder.pid), '-n', '-m', '-u', '--', 'corosync', '-f']);
  }

  /** Resolves when the process is gone. */
  async killCorosync(number, signal = 'SIGKILL') {
    const node = this.#node(number);
    const child = node.corosync;
    if (child === null) return;
    node.corosync = null;
    child.kill(signal);
    await until(`the end of corosync on node ${number}`, () => child.exitCode !== null || child.signalCode !== null);
  }

  /** SIGSTOP, and SIGCONT. */
  pauseCorosync(number, paused) {
    this.#node(number).corosync?.kill(paused ? 'SIGSTOP' : 'SIGCONT');
  }

  /** Cuts the network into sides. */
  partition(...sides) {
    sides.forEach((side, i) => {
      if (i > 0 && !this.#hasBridge(i)) this.#bridge(i);
      for (const number of side) this.#onSwitch('ip', 'link', 'set', `p${number}`, 'master', `br${i}`);
    });
  }

  #hasBridge(number) {
    try {
      this.#onSwitch('ip', 'link', 'show', `br${number}`);
      return true;
    } catch {
      return false;
    }
  }

  heal() {
    this.partition(this.#nodes.map(({ number }) => number));
  }

  members(number) {
    const [command = '', ...rest] = this.command(number);
    const said = spawnSync(command, [...rest, 'corosync-quorumtool', '-l'], { encoding: 'utf8' }).stdout;
    return [...said.matchAll(/^\s*(\d+)\s/gm)].map(([, node]) => Number(node)).sort((a, b) => a - b);
  }

  /** What corosync itself says of its groups on a node, for whoever looks for the cause of something. */
  groups(number) {
    const [command = '', ...rest] = this.command(number);
    return spawnSync(command, [...rest, 'corosync-cpgtool'], { encoding: 'utf8', timeout: 5000 }).stdout;
  }

  /** Waits until these nodes see each other and nobody else. */
  async settled(numbers) {
    for (const number of numbers) {
      await until(`node ${number} sees ${numbers.join()}`, () => this.members(number).join() === numbers.join());
    }
  }

  close() {
    process.off('exit', this.#atExit);
    for (const { corosync, holder } of this.#nodes) {
      corosync?.kill('SIGKILL');
      holder.kill('SIGKILL');
    }
    this.#switch?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export function addressOf(node) {
  return `${network}.${node}`;
}

/** What corosync-keygen makes; nothing leaves this machine. */
const authKey = randomBytes(256);

function configuration(count) {
  const nodes = Array.from({ length: count }, (_, i) => {
    return `  node {\n    nodeid: ${i + 1}\n    name: node${i + 1}\n    ring0_addr: ${addressOf(i + 1)}\n  }\n`;
  });
  return `totem {
  version: 2
  cluster_name: lockstep-test
  transport: knet
  crypto_cipher: none
  crypto_hash: none
  token: 1000
}
system {
  sched_rr: no
  move_to_root_cgroup: no
}
quorum {
  provider: corosync_votequorum
}
logging {
  to_stderr: no
  to_syslog: no
  to_logfile: yes
  logfile: /var/log/corosync/corosync.log
}
nodelist {
${nodes.join('')}}
`;
}
