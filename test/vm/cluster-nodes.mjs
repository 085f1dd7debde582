/**
 * Machines that are nodes of a corosync cluster, on disks that all of them share, with one clustered mirror and a writer of stamped
 * blocks each: what scenarios of a cluster have in common. What happens in a guest stands in scenarios/cluster.sh; when it
 * happens, a scenario says.
 *
 * The images are read by a reader that knows nothing of the daemon: right after a machine was killed the legs may differ only where the
 * log is not clean, and after each healing nowhere; every write that was acknowledged is on both legs. The second leg is
 * slow, so a kill leaves writes that only the first one has.
 */
import { readFileSync } from 'node:fs';
import { Guest } from './guest.mjs';
import { differingRegions, dirtyRegions, headerFault } from './log-area.mjs';
import { reasonAgainstNetwork } from './network.mjs';
import { program } from './programs/programs.mjs';
import { range, regionBytes, regionSectors, turnBlocks, turnFaults } from './stamps.mjs';

const legMiB = 16;
const logMiB = 1;
const sectors = legMiB * 2048;
export const regions = sectors / regionSectors;
/** How long a write takes to the second leg. */
const slowMs = 500;
/** Of a node's stamper. */
const writesAtOnce = 16;
const waitLimitMs = 600_000;
const machineLimitMs = 7_200_000;
/** Writes that have nothing to wait for end in this time, many times over. */
export const stillMs = 4000;

export const clusterPrograms = [
  ['dmsetup', 'dmsetup'],
  ['corosync', 'corosync'],
  ['gcc', 'gcc'],
];

/** Why there can be no cluster of machines here; '' when there can. */
export async function reasonAgainstCluster() {
  const { corosyncBuiltIn } = await import('../../dist/native/cpg-group.js');
  if (!corosyncBuiltIn) return 'the addon is built without corosync (libcpg-dev and libquorum-dev were missing)';
  return reasonAgainstNetwork();
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Whether a condition holds in time. */
export async function within(limitMs, condition) {
  for (const end = Date.now() + limitMs; !(await condition()); await sleep(300)) if (Date.now() > end) return false;
  return true;
}

/** Waits for a condition; the limit is for hangs. */
export async function until(what, condition, limitMs = waitLimitMs) {
  if (!(await within(limitMs, condition))) throw new Error(`hung: ${what}: not after ${limitMs / 1000} s`);
}

export class ClusterNodes {
  #run;
  #options;
  #network;
  #set;
  #nodes;
  #turn = { sequence: 0, node: 0 };

  /**
   * @param {object} run what a scenario is given
   * @param {object} options
   * @param {string} options.script of the machines
   * @param {number[]} options.votes of each machine, in the quorum
   * @param {number} options.tokenMs how long corosync waits for a silent node
   * @param {import('./stamps.mjs').Stamps} options.stamps
   */
  constructor(run, options) {
    this.#run = run;
    this.#options = options;
    this.#network = run.network();
    this.#set = run.disks([legMiB, legMiB, logMiB].map((mebibytes) => ({ mebibytes, shared: true })));
    this.#nodes = range(options.votes.length, 1).map((number) => ({
      number,
      guest: null,
      end: null,
      table: '',
      writing: 'no',
    }));
    if (!this.#set.direct) run.say("the disks lie on a file system without direct IO: they share this machine's cache");
  }

  get numbers() {
    return this.#nodes.map(({ number }) => number);
  }

  #node(number) {
    return this.#nodes[number - 1];
  }

  /** Words for a machine's shell; resolves with what it printed. */
  order(number, words) {
    return this.#node(number).guest.order(words);
  }

  /** What a machine printed behind `@WORD `, of an order that prints it once. */
  async ask(number, words) {
    const lines = await this.order(number, words);
    const found = lines.find((line) => line.startsWith('@'));
    if (found === undefined) throw new Error(`node ${number} has not answered "${words}": ${lines.join(' / ')}`);
    return found.slice(found.indexOf(' ') + 1);
  }

  all(words) {
    return Promise.all(this.#living.map(({ guest }) => guest.order(words)));
  }

  get #living() {
    return this.#nodes.filter(({ guest }) => guest !== null);
  }

  /** Resolves when it takes orders. */
  boot(number) {
    const node = this.#node(number);
    const { script, votes, tokenMs, stamps } = this.#options;
    node.guest = new Guest(`node ${number}`);
    node.end = this.#run.machine({
      script,
      disks: this.#set,
      network: { network: this.#network, number },
      guest: node.guest,
      cpus: 1,
      memoryMiB: 1024,
      environment: {
        NODE_NUMBER: String(number),
        NODE_VOTES: votes.join(' '),
        TOKEN_MS: String(tokenMs),
        SECTORS: String(sectors),
        REGION_SECTORS: String(regionSectors),
        SLOW_MS: String(slowMs),
        STAMPER: program('stamper'),
        BLOCKS: stamps.blocksOf(number).join(' '),
        TURN_BLOCKS: turnBlocks.join(' '),
      },
      limitMs: machineLimitMs,
    });
    // A machine that could not start has no script that ends.
    node.end.catch((error) => node.guest?.ended(error.message));
    return node.guest.ready;
  }

  async startWriter(number) {
    const node = this.#node(number);
    await node.guest.order('start_writer');
    node.table = `${node.guest.results}/table`;
    node.writing = 'yes';
  }

  async resumeWriters() {
    for (const { number } of this.#living) await this.startWriter(number);
  }

  #acknowledged({ table, number }) {
    return this.#options.stamps.acknowledged(number, table);
  }

  /** Writes of a node that have ended, of all of them by default. */
  writes(number) {
    const nodes = number === undefined ? this.#nodes : [this.#node(number)];
    return nodes.flatMap((node) => this.#acknowledged(node)).reduce((sum, each) => sum + each, 0);
  }

  /** The load goes on, and the nodes take turns, until so many more writes have ended. */
  async load(writes) {
    const goal = this.writes() + writes;
    const end = Date.now() + waitLimitMs;
    for (let turn = 0; turn < this.#living.length || this.writes() < goal; turn++) {
      await this.#takeTurn(this.#living[turn % this.#living.length]);
      if (Date.now() > end) throw new Error(`hung: ${this.writes()} writes, wanted ${goal}`);
    }
  }

  async #takeTurn({ number, guest }) {
    const sequence = this.#turn.sequence + 1;
    const lines = await guest.order(`turn ${sequence}`);
    const found = lines.find((line) => line.startsWith('@turn '));
    const wanted = `@turn ${this.#turn.node} ${this.#turn.sequence}`;
    if (found !== wanted)
      this.#run.check(`node ${number} reads what was written in the turn before`, false, `${found}, not ${wanted}`);
    this.#turn = { sequence, node: number };
  }

  /** The node's writes go on: more of them end than can have been under way. */
  goesOn(number, limitMs) {
    const goal = this.writes(number) + writesAtOnce;
    return until(`writes of node ${number} go on`, () => this.writes(number) > goal, limitMs);
  }

  /** The node's writer runs, and none of its writes ends any more: what is under way may end before. */
  async standsStill(number, limitMs = 60_000) {
    for (const end = Date.now() + limitMs; Date.now() < end; ) {
      const before = this.writes(number);
      await sleep(stillMs);
      if (this.writes(number) === before) return true;
    }
    return false;
  }

  async killMachine(number) {
    const node = this.#node(number);
    node.guest.kill();
    const { stopped } = await node.end;
    this.#run.check(`node ${number} was killed under load`, stopped);
    node.guest = null;
    node.writing = 'no';
  }

  /** Both legs and the log, as bytes. */
  images() {
    return this.#set.paths.map((path) => readFileSync(path));
  }

  get imagePaths() {
    return this.#set.paths;
  }

  /** Regions that are not clean on the log device, of those that one node alone writes, or of all. */
  dirty(number) {
    const found = dirtyRegions(this.images()[2], regions);
    if (number === undefined) return found;
    const own = this.#options.stamps.ownRegionsOf(number);
    return found.filter((region) => own.includes(region));
  }

  /** What a dead node leaves, before anybody knows that it is dead: how many regions differ. */
  async lookAtTheDead(number) {
    for (const node of this.#living) await this.#stopWriter(node);
    // Time for others to let go of what they had marked, as far as they can.
    await sleep(3000);
    const [left, right, log] = this.images();
    const fault = headerFault(log, regions);
    this.#run.check('the log has its header', fault === '', fault);
    const dirty = dirtyRegions(log, regions);
    const differing = differingRegions(left, right, regionBytes);
    const own = this.#options.stamps.ownRegionsOf(number);
    this.#run.say(
      `node ${number} had marked ${dirty.filter((region) => own.includes(region)).length} of its ${own.length} regions; ` +
        `in all ${dirty.length} are marked, ${differing.length} differ`,
    );
    const unmarked = differing.filter((region) => !dirty.includes(region));
    this.#run.check('where the log is clean the legs are equal', unmarked.length === 0, `regions ${unmarked}`);
    return differing.length;
  }

  /** A living node has missed it. */
  seesLost(number) {
    const [survivor] = this.#living;
    const lost = () => this.status(survivor.number).cluster.lost.some(({ node }) => node === number);
    return until(`node ${survivor.number} sees that node ${number} is lost`, lost);
  }

  async confirmDead(number) {
    await this.seesLost(number);
    const [survivor] = this.#living;
    const lines = await survivor.guest.order(`lockstep fence-confirm ${number} --yes`);
    const said = lines.some((line) => line.startsWith(`node ${number} is confirmed dead`));
    this.#run.check(`an administrator confirms that node ${number} is dead`, said, lines.join(' / '));
  }

  status(number) {
    return JSON.parse(readFileSync(`${this.#node(number).guest.results}/status`, 'utf8'));
  }

  /** The log, as this node's daemon sees it. */
  log(number) {
    return this.status(number).logs[0];
  }

  /** The node that writes the log device, as the others see it. */
  logWriter(besides) {
    const [node] = this.#living.filter(({ number }) => number !== besides);
    return this.log(node.number)?.cluster.writer;
  }

  /** Out of the network, or back in it. */
  unplug(number, unplugged = true) {
    this.#network.unplug(number, unplugged);
  }

  async #stopWriter(node) {
    if (node.writing === 'yes') await node.guest.order('stop_writer');
    if (node.writing === 'yes') node.writing = 'until its writes have ended';
  }

  /** With the writers ended: everything in sync and clean, the legs identical, every acknowledged write there. */
  async healed(after) {
    const { check, say } = this.#run;
    for (const node of this.#living) await this.#stopWriter(node);
    for (const node of this.#living.filter(({ writing }) => writing !== 'no')) {
      await node.guest.order('writer_ended');
      node.writing = 'no';
    }
    await until('every region is clean', () => this.dirty().length === 0);
    await this.all('wait_for 300 in_sync shared');
    const [left, right, log] = this.images();
    check(`after ${after}: every region is clean`, dirtyRegions(log, regions).length === 0);
    const differing = differingRegions(left, right, regionBytes);
    check(`after ${after}: the legs are identical`, differing.length === 0, `regions ${differing}`);
    const { stamps } = this.#options;
    const own = this.#nodes.flatMap((node) => stamps.faults(node.number, this.#acknowledged(node), left));
    const faults = [...own, ...turnFaults(this.#turn, left)];
    check(`after ${after}: every acknowledged write is there`, faults.length === 0, faults.slice(0, 5).join('; '));
    say(`after ${after}: ${this.writes()} writes in all, ${this.#turn.sequence} turns`);
  }

  /** All leave; each machine's script must end well. */
  async end() {
    await this.all('leave');
    for (const { number, guest, end } of this.#living) {
      // The machine is gone right after the answer, or before it.
      await guest.order('leave_corosync; end_orders').catch(() => {});
      const { status, reason } = await end;
      this.#run.check(`node ${number}: the script ended well`, status === 0, `status ${status} ${reason}`);
    }
  }

  kill() {
    for (const { guest } of this.#living) guest.kill();
  }
}
