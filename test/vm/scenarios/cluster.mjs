/**
 * Real kernels that write one mirror: machines that are nodes of a corosync cluster, on disks that all of them share. Each writes
 * stamped blocks of its own in regions of its own, blocks of its own in a region that all write at once, and, in turn, all
 * blocks of one region. Daemons and machines are killed under that load, in the long form corosync too, and machines are cut off;
 * a dead machine is confirmed to be dead by the administrator's command, boots again and joins.
 *
 * What happens in a guest stands in cluster.sh. Here the images are read by a reader that knows nothing of the daemon: right
 * after a machine was killed the legs may differ only where the log is not clean, and after each healing nowhere; every write
 * that was acknowledged is on both legs. The second leg is slow, so a kill leaves writes that only the first one has.
 */
import { readFileSync } from 'node:fs';
import { Guest } from '../guest.mjs';
import { differingRegions, dirtyRegions, headerFault } from '../log-area.mjs';
import { reasonAgainstNetwork } from '../network.mjs';
import { program } from '../programs/programs.mjs';
import { guestScript } from './script.mjs';

const legMiB = 16;
const logMiB = 1;
const regionSectors = 128;
const sectors = legMiB * 2048;
const regions = sectors / regionSectors;
const blockBytes = 4096;
const stampBytes = 16;
const stampMagic = 0x53544d50;
const blocksPerRegion = (regionSectors * 512) / blockBytes;

/** Each node's own regions, with one block in each that is written: more than are written at once, so that marks come and go. */
const ownRegions = 76;
/** All nodes write there, at the same time, each its own blocks. */
const neighboursRegion = 240;
/** One node at a time writes all of it. */
const turnRegion = 248;
/** How long a write takes to the second leg. */
const slowMs = 500;

const forms = {
  short: { nodes: 2, tokenMs: 5000, rounds: 1, writesPerKill: 60 },
  long: { nodes: 3, tokenMs: 10_000, rounds: 20, writesPerKill: 1000 },
};
const waitLimitMs = 600_000;
/** Longer than marks stay. */
const cutOffMs = 4000;

const range = (count, from = 0) => Array.from({ length: count }, (_, i) => from + i);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const turnBlocks = range(blocksPerRegion / 2, turnRegion * blocksPerRegion);

function blocksOf(node) {
  const own = range(ownRegions, (node - 1) * ownRegions).map(
    (region) => region * blocksPerRegion + (region % blocksPerRegion),
  );
  return [...own, neighboursRegion * blocksPerRegion + node, neighboursRegion * blocksPerRegion + node + 8];
}

const regionsOf = (node) => [...new Set(blocksOf(node).map((block) => Math.floor(block / blocksPerRegion)))];

async function until(what, condition) {
  for (const end = Date.now() + waitLimitMs; !(await condition()); await sleep(300)) {
    if (Date.now() > end) throw new Error(`hung: ${what}: not after ${waitLimitMs / 1000} s`);
  }
}

/** The machines, the disks, and what the nodes must have written. */
class Cluster {
  #run;
  #form;
  #network;
  #set;
  #nodes;
  #turn = { sequence: 0, node: 0 };

  constructor(run) {
    this.#run = run;
    this.#form = run.long ? forms.long : forms.short;
    this.#network = run.network();
    this.#set = run.disks([legMiB, legMiB, logMiB].map((mebibytes) => ({ mebibytes, shared: true })));
    this.#nodes = range(this.#form.nodes, 1).map((number) => ({
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

  order(number, words) {
    return this.#node(number).guest.order(words);
  }

  #all(words) {
    return Promise.all(this.#living.map(({ guest }) => guest.order(words)));
  }

  get #living() {
    return this.#nodes.filter(({ guest }) => guest !== null);
  }

  /** Resolves when it takes orders. */
  boot(number) {
    const node = this.#node(number);
    node.guest = new Guest(`node ${number}`);
    node.end = this.#run.machine({
      script: guestScript('cluster', this.#run.long),
      disks: this.#set,
      network: { network: this.#network, number },
      guest: node.guest,
      cpus: 1,
      memoryMiB: 1024,
      environment: {
        NODE_NUMBER: String(number),
        NODE_COUNT: String(this.#form.nodes),
        TOKEN_MS: String(this.#form.tokenMs),
        SECTORS: String(sectors),
        REGION_SECTORS: String(regionSectors),
        SLOW_MS: String(slowMs),
        STAMPER: program('stamper'),
        BLOCKS: blocksOf(number).join(' '),
        TURN_BLOCKS: turnBlocks.join(' '),
      },
      limitMs: 7_200_000,
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

  /** Sequence of the last write of each of its blocks that has ended. */
  #acknowledged({ table, number }) {
    const bytes = table ? readFileSync(table) : Buffer.alloc(0);
    return blocksOf(number).map((_, i) => (bytes.length >= 4 * i + 4 ? bytes.readUInt32LE(4 * i) : 0));
  }

  #writes() {
    return this.#nodes.flatMap((node) => this.#acknowledged(node)).reduce((sum, each) => sum + each, 0);
  }

  /** The load goes on, and the nodes take turns, until so many more writes have ended. */
  async load() {
    const goal = this.#writes() + this.#form.writesPerKill;
    const rounds = Date.now() + waitLimitMs;
    for (let turn = 0; turn < this.#living.length || this.#writes() < goal; turn++) {
      await this.#takeTurn(this.#living[turn % this.#living.length]);
      if (Date.now() > rounds) throw new Error(`hung: ${this.#writes()} writes, wanted ${goal}`);
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

  async killMachine(number) {
    const node = this.#node(number);
    node.guest.kill();
    const { stopped } = await node.end;
    this.#run.check(`node ${number} was killed under load`, stopped);
    node.guest = null;
    node.writing = 'no';
  }

  #images() {
    return this.#set.paths.map((path) => readFileSync(path));
  }

  /** What a dead node leaves, before anybody knows that it is dead: how many regions differ. */
  async lookAtTheDead(number) {
    for (const node of this.#living) await this.#stopWriter(node);
    // Time for others to let go of what they had marked, as far as they can.
    await sleep(3000);
    const [left, right, log] = this.#images();
    const fault = headerFault(log, regions);
    this.#run.check('the log has its header', fault === '', fault);
    const dirty = dirtyRegions(log, regions);
    const differing = differingRegions(left, right, regionSectors * 512);
    const own = regionsOf(number);
    this.#run.say(
      `node ${number} had marked ${dirty.filter((region) => own.includes(region)).length} of its ${own.length} regions; ` +
        `in all ${dirty.length} are marked, ${differing.length} differ`,
    );
    const unmarked = differing.filter((region) => !dirty.includes(region));
    this.#run.check('where the log is clean the legs are equal', unmarked.length === 0, `regions ${unmarked}`);
    return differing.length;
  }

  async confirmDead(number) {
    const [survivor] = this.#living;
    const lost = () => statusOf(survivor).cluster.lost.some(({ node }) => node === number);
    await until(`node ${survivor.number} sees that node ${number} is lost`, lost);
    const lines = await survivor.guest.order(`lockstep fence-confirm ${number} --yes`);
    const said = lines.some((line) => line.startsWith(`node ${number} is confirmed dead`));
    this.#run.check(`an administrator confirms that node ${number} is dead`, said, lines.join(' / '));
  }

  /** The node that writes the log device, as the others see it. */
  logWriter(besides) {
    const [node] = this.#living.filter(({ number }) => number !== besides);
    return statusOf(node).logs[0]?.cluster.writer;
  }

  /** Out of the network, and back in it: without quorum a node writes nothing that needs a new mark (R13). */
  async cutOff(number) {
    const node = this.#node(number);
    this.#network.unplug(number);
    await until(`node ${number} has no quorum`, () => !statusOf(node).cluster.quorate);
    await sleep(cutOffMs);
    const before = this.#acknowledged(node).join();
    await sleep(cutOffMs);
    this.#run.check(`node ${number} without quorum: its writes wait`, this.#acknowledged(node).join() === before);
    this.#network.unplug(number, false);
    await until(`node ${number} has quorum again`, () => statusOf(node).cluster.agreedQuorate);
  }

  async #stopWriter(node) {
    if (node.writing === 'yes') await node.guest.order('stop_writer');
    if (node.writing === 'yes') node.writing = 'until its writes have ended';
  }

  /** With the writers paused: everything in sync and clean, the legs identical, every acknowledged write there. */
  async healed(after) {
    const { check, say } = this.#run;
    for (const node of this.#living) await this.#stopWriter(node);
    for (const node of this.#living.filter(({ writing }) => writing !== 'no')) {
      await node.guest.order('writer_ended');
      node.writing = 'no';
    }
    await until('every region is clean', () => dirtyRegions(this.#images()[2], regions).length === 0);
    await this.#all('wait_for 300 in_sync shared');
    const [left, right, log] = this.#images();
    check(`after ${after}: every region is clean`, dirtyRegions(log, regions).length === 0);
    const differing = differingRegions(left, right, regionSectors * 512);
    check(`after ${after}: the legs are identical`, differing.length === 0, `regions ${differing}`);
    const faults = this.#nodes.flatMap((node) => this.#faults(node, left));
    check(`after ${after}: every acknowledged write is there`, faults.length === 0, faults.slice(0, 5).join('; '));
    say(`after ${after}: ${this.#writes()} writes in all, ${this.#turn.sequence} turns`);
  }

  #faults(node, leg) {
    // The write that a kill has cut off may be there, or parts of it.
    const own = blocksOf(node.number).map((block, i) => {
      const acknowledged = this.#acknowledged(node)[i];
      return stampFault(leg, block, node.number, acknowledged, acknowledged + 1);
    });
    const { sequence, node: last } = this.#turn;
    const turn = turnBlocks.map((block) => stampFault(leg, block, last, sequence, sequence));
    return [...own, ...turn].filter(Boolean);
  }

  async resumeWriters() {
    for (const { number } of this.#living) await this.startWriter(number);
  }

  /** All leave; each machine's script must end well. */
  async end() {
    await this.#all('leave');
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

function statusOf({ guest }) {
  return JSON.parse(readFileSync(`${guest.results}/status`, 'utf8'));
}

/** Why a block does not hold stamps of this node between two sequences, in each of its sectors; '' when it does. */
function stampFault(leg, block, node, least, most) {
  for (let at = 0; at < blockBytes; at += stampBytes) {
    const [magic, by, sequence, where] = [0, 4, 8, 12].map((field) =>
      leg.readUInt32LE(block * blockBytes + at + field),
    );
    const empty = magic === 0 && least === 0;
    const sound = magic === stampMagic && by === node && where === block && sequence >= least && sequence <= most;
    if (!empty && !sound)
      return `block ${block} of node ${node}: found ${magic.toString(16)} ${by} ${sequence} ${where}, acknowledged ${least}`;
  }
  return '';
}

export default {
  name: 'cluster',
  longForm: true,
  longOnly: true,
  programs: [
    ['dmsetup', 'dmsetup'],
    ['corosync', 'corosync'],
    ['gcc', 'gcc'],
  ],
  async reasonAgainst() {
    const { corosyncBuiltIn } = await import('../../../dist/native/cpg-group.js');
    if (!corosyncBuiltIn) return 'the addon is built without corosync (libcpg-dev and libquorum-dev were missing)';
    return reasonAgainstNetwork();
  },
  async run(run) {
    const { check, long, prng, say } = run;
    const form = long ? forms.long : forms.short;
    const cluster = new Cluster(run);
    try {
      await Promise.all(cluster.numbers.map((number) => cluster.boot(number)));
      await Promise.all(cluster.numbers.map((number) => cluster.order(number, 'activate nosync')));
      await cluster.resumeWriters();
      let tested = 0;
      let takenOver = 0;
      for (let round = 0; round < form.rounds; round++) {
        const [hurt, dead] = [0, 1].map(() => prng.between(1, form.nodes));
        const how = long ? prng.pick(['daemon', 'corosync', 'network']) : 'daemon';
        await cluster.load();
        if (how === 'network') await cluster.cutOff(hurt);
        else {
          await cluster.order(hurt, `kill_${how}`);
          await sleep(prng.between(0, 2000));
          await cluster.order(hurt, `start_${how}`);
        }
        await cluster.load();
        await cluster.healed(`node ${hurt} was without ${how}`);
        await cluster.resumeWriters();
        await cluster.load();
        await sleep(prng.between(0, 1000));
        const writerDied = cluster.logWriter(dead) === dead;
        await cluster.killMachine(dead);
        if ((await cluster.lookAtTheDead(dead)) > 0) tested += 1;
        await cluster.confirmDead(dead);
        await cluster.healed(`node ${dead} was killed`);
        if (writerDied) {
          takenOver += 1;
          const writer = cluster.logWriter(dead);
          check(`node ${dead} wrote the log: another node does now`, writer > 0 && writer !== dead, `node ${writer}`);
        }
        await cluster.boot(dead);
        await cluster.order(dead, 'activate');
        await cluster.resumeWriters();
        await cluster.load();
        await cluster.healed(`node ${dead} has joined again`);
        if (round + 1 < form.rounds) await cluster.resumeWriters();
      }
      say(
        `${tested} of ${form.rounds} kills have left legs that differed; ${takenOver} have hit the node that wrote the log`,
      );
      if (long) check('kills have left legs that differed', tested > 0);
      else if (tested === 0) say('this kill has left no differing region: it has tested less than it should');
      await cluster.end();
    } finally {
      cluster.kill();
    }
  },
};
