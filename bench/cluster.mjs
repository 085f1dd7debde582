/**
 * Three hosts on this machine for the scenarios of clusters: a corosync each in namespaces of its own
 * (test/cluster/corosync-cluster.mjs), lockstepd on it as installed, and the bench's C programs beside it, on the same node.
 *
 * One cluster for all scenarios of a run, since it takes seconds to form; it ends with this process. Daemons are a scenario's
 * own. Everything shares the machine's processors: three hosts' work on what one of them would have.
 */
import { execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { CorosyncCluster, sleep, whyNoCluster } from '../test/cluster/corosync-cluster.mjs';
import { cpuNsOf, lineOf, statusOf } from './daemons.mjs';
import { allCores, program, root, start } from './programs.mjs';

export const nodes = [1, 2, 3];
/** Every node has a /run of its own. */
const folder = '/run/lockstep';
const controlSocket = `${folder}/control.sock`;
const hangMsMax = 60_000;

let forming = null;
let whyNot = null;

/** Why no cluster can be made here, or ''. */
export function reasonAgainst() {
  whyNot ??= whyNoCluster();
  return whyNot;
}

/** The cluster of this run, formed when the first asks. */
export function cluster() {
  forming ??= CorosyncCluster.start(nodes.length);
  return forming;
}

/** A program that goes by word: it says a line when it has done something, and goes on when it is told a line. */
export class Worded {
  #lines = [];
  #waiting = null;
  #ended = null;

  constructor(child) {
    this.child = child;
    let complaint = '';
    child.stderr.on('data', (chunk) => {
      complaint += chunk;
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#lines.push(line);
      this.#waiting?.();
    });
    // Not `exit`: what it has said last is read by then.
    this.gone = new Promise((resolve) => {
      child.on('close', (code) => {
        this.#ended = `${child.spawnargs.slice(3).join(' ')}: ended with ${code}: ${complaint.trim()}`;
        this.#waiting?.();
        resolve(code);
      });
    });
    // Whoever is gone takes no word.
    child.stdin.on('error', () => {});
  }

  /** Its next line. */
  async line() {
    for (const end = Date.now() + hangMsMax; this.#lines.length === 0; ) {
      if (this.#ended !== null) throw new Error(this.#ended);
      if (Date.now() > end)
        throw new Error(`${this.child.spawnargs.join(' ')}: said nothing for ${hangMsMax / 1000} s`);
      await new Promise((resolve) => {
        this.#waiting = resolve;
        setTimeout(resolve, 1000);
      });
    }
    return this.#lines.shift();
  }

  async says(word) {
    const line = await this.line();
    if (line !== word) throw new Error(`said ${line}, and not ${word}`);
  }

  async json() {
    return JSON.parse(await this.line());
  }

  goOn() {
    this.child.stdin.write('go on\n');
  }

  /** Killed when it does not end by itself. */
  async end() {
    if (this.#ended === null) this.child.kill('SIGKILL');
    await this.gone;
  }
}

/** Starts a C program of bench/peers on a node. */
export async function startOn(node, name, options) {
  const [command, ...before] = (await cluster()).command(node);
  const args = Object.entries(options).flatMap(([option, value]) => [`--${option}`, String(value)]);
  return new Worded(start(allCores, command, [...before, program(name), ...args]));
}

let logs = 0;

/** A log's name, as long as LVM's are, new every time. */
export function newLog() {
  logs += 1;
  const prefix = `LVM-${String(logs).padStart(62, 'b')}`;
  return { prefix, luid: 2 ** 20 * logs };
}

/** The simulated kernel of a node, by word; `log` is from `newLog`. */
export function startKernel(node, log, options) {
  return startOn(node, 'load', { socket: `${folder}/kernel`, ...log, 'by-word': 1, ...options });
}

/** One step of several that go by word: all have said it, and are told to go on together. */
export async function allSay(word, programs) {
  for (const each of programs) await each.says(word);
  for (const each of programs) each.goOn();
}

/** Their results; then they end in order. */
export async function resultsOf(programs) {
  const results = [];
  for (const each of programs) results.push(await each.json());
  return results;
}

/** Kernels: what they made is taken down; all at once, as each waits for the others. */
export async function takeDown(kernels) {
  await allSay('measured', kernels);
  for (const kernel of kernels) {
    const code = await kernel.gone;
    if (code !== 0) throw new Error(`a simulated kernel ended with ${code}`);
  }
}

/** A kernel that does nothing but have the log, until `takeDownIdle`. */
export async function startIdleKernel(node, log, options) {
  const kernel = await startKernel(node, log, { work: 'fresh', count: 0, warmup: 0, ...options });
  await kernel.says('made');
  return kernel;
}

/** Idle kernels and those that have measured leave their logs. */
export async function takeDownIdle(idle) {
  for (const kernel of idle) kernel.goOn();
  await allSay('warm', idle);
  await resultsOf(idle);
  await takeDown(idle);
}

/** lockstepd on a node, as a host has it; `boot` counts the boots of that host. */
export class ClusterDaemon {
  static async start(node, { boot = 1, config = '' } = {}) {
    const formed = await cluster();
    const on = formed.command(node);
    const script = `rm -rf ${folder} && mkdir -m 700 ${folder} && printf %s "$1" > ${folder}/lockstep.toml`;
    execFileSync(on[0], [...on.slice(1), 'sh', '-c', script, 'sh', config], { stdio: 'pipe' });
    const args = [
      ...['--config', `${folder}/lockstep.toml`, '--transport', 'corosync', '--boot-id', `boot-${node}-${boot}`],
      ...['--simulated-kernel', `${folder}/kernel`, '--state-dir', `${folder}/state`, '--pid-file', `${folder}/pid`],
    ];
    const command = [...on.slice(1), process.execPath, `${root}dist/bin/lockstepd.js`, ...args];
    const child = start(allCores, on[0], command);
    const daemon = new ClusterDaemon(node, child);
    await lineOf(child, [child.stderr], (line) => line.includes('ready'));
    // A pipe that nobody reads any more would fill up.
    child.stderr.resume();
    return daemon;
  }

  constructor(node, child) {
    this.node = node;
    this.child = child;
  }

  status() {
    return statusOf(this.child);
  }

  get cpuNs() {
    return cpuNsOf(this.child.pid);
  }

  /** The arguments of `lockstep` about this daemon, as a command to run on any node. */
  async lockstep(...args) {
    const on = (await cluster()).command(this.node);
    return [...on, process.execPath, `${root}dist/bin/lockstep.js`, ...args, '--socket', controlSocket];
  }

  async kill() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await gone;
  }

  async stands(what, wanted) {
    for (const end = Date.now() + hangMsMax; ; await sleep(20)) {
      const status = await this.status();
      if (wanted(status)) return status;
      if (Date.now() > end) throw new Error(`node ${this.node}: ${what}: not after ${hangMsMax / 1000} s`);
    }
  }
}

const joined =
  (wanted) =>
  ({ cluster: at }) =>
    at !== null &&
    at.problem === '' &&
    at.quorate &&
    at.agreedQuorate &&
    !at.exchanging &&
    at.members.map(({ node }) => node).join() === wanted.join();

/** A daemon on each of these nodes, all in one group. */
export async function startDaemons(on = nodes, options = {}) {
  const daemons = await Promise.all(on.map((node) => ClusterDaemon.start(node, options)));
  await allJoined(daemons);
  return daemons;
}

export async function allJoined(daemons) {
  const wanted = joined(daemons.map(({ node }) => node));
  for (const daemon of daemons) await daemon.stands('in the group', wanted);
}

/**
 * What the daemons have counted, all together: messages and multicasts of any kind (acknowledgements alone among them), their
 * bytes, how many were on their way when one was sent, added up, and writes of log devices.
 */
export async function countsOf(daemons) {
  const all = { multicasts: 0, messages: 0, acknowledgements: 0, bytes: 0, onTheWay: 0, writes: 0 };
  for (const daemon of daemons) {
    const { cluster: at, counters } = await daemon.status();
    all.multicasts += at.counters.multicastsSent;
    all.messages += at.counters.messagesSent;
    all.acknowledgements += at.counters.acknowledgementsAlone;
    all.bytes += at.counters.bytesSent;
    all.onTheWay += at.counters.onTheWaySum;
    all.writes += counters.devices.commits;
  }
  return all;
}

/** By how much they have risen. */
export const risen = (before, after) =>
  Object.fromEntries(Object.entries(after).map(([name, count]) => [name, count - before[name]]));

/** Waits until the group says nothing and no log is written, for so long. Resolves to the counts. */
export async function quiet(daemons, quietMs) {
  let last = await countsOf(daemons);
  for (let since = Date.now(); Date.now() - since < quietMs; await sleep(20)) {
    const now = await countsOf(daemons);
    if (JSON.stringify(now) !== JSON.stringify(last)) since = Date.now();
    last = now;
  }
  return last;
}
