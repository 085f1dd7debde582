/**
 * Real kernels that write one mirror: machines that are nodes of a corosync cluster. Each writes stamped blocks in regions of its own,
 * blocks of its own in a region that all write at once, and, in turn, all blocks of one region. Daemons and machines are
 * killed under that load, in the long form corosync too, and machines are cut off; a dead machine is confirmed to be dead by the
 * administrator's command, boots again and joins.
 *
 * What the cluster is, and what is checked of its disks, stands in cluster-nodes.mjs.
 */
import { ClusterNodes, clusterPrograms, reasonAgainstCluster, sleep, until } from '../cluster-nodes.mjs';
import { equalMax, KillTally } from '../kill-tally.mjs';
import { Stamps } from '../stamps.mjs';
import { guestScript } from './script.mjs';

const forms = {
  short: { votes: [1, 1], tokenMs: 5000, rounds: 1, writesPerKill: 60, writesBetween: 60 },
  long: { votes: [1, 1, 1], tokenMs: 10_000, rounds: 20, writesPerKill: 1000, writesBetween: 60 },
};
/** Longer than marks stay. */
const cutOffMs = 4000;

/** Out of the network, and back in it: without quorum a node writes nothing that needs a new mark (R13). */
async function cutOff(cluster, number, check) {
  cluster.unplug(number);
  await until(`node ${number} has no quorum`, () => !cluster.status(number).cluster.quorate);
  await sleep(cutOffMs);
  check(`node ${number} without quorum: its writes wait`, await cluster.standsStill(number));
  cluster.unplug(number, false);
  await until(`node ${number} has quorum again`, () => cluster.status(number).cluster.agreedQuorate);
}

async function hurt(cluster, number, how, { check, prng, say }) {
  say(`node ${number}: ${how} fails`);
  if (how === 'network') {
    await cutOff(cluster, number, check);
    return;
  }
  await cluster.order(number, `kill_${how}`);
  await sleep(prng.between(0, 2000));
  await cluster.order(number, `start_${how}`);
}

/** A machine dies, is confirmed dead, boots and joins. How many regions differed, and whether it wrote the log. */
async function die(cluster, number, form, { check, prng }) {
  await cluster.load(form.writesPerKill);
  await sleep(prng.between(0, 1000));
  const wrote = cluster.logWriter(number) === number;
  await cluster.killMachine(number);
  const differing = await cluster.lookAtTheDead(number);
  await cluster.confirmDead(number);
  await cluster.healed(`node ${number} was killed`);
  if (wrote) {
    const writer = cluster.logWriter(number);
    check(`node ${number} wrote the log: another node does now`, writer > 0 && writer !== number, `node ${writer}`);
  }
  await cluster.boot(number);
  await cluster.order(number, 'activate');
  await cluster.resumeWriters();
  await cluster.load(form.writesBetween);
  await cluster.healed(`node ${number} has joined again`);
  return { differing, wrote };
}

export default {
  name: 'cluster',
  everyRun: true,
  longForm: true,
  programs: clusterPrograms,
  reasonAgainst: reasonAgainstCluster,
  async run(run) {
    const { check, long, prng, say } = run;
    const form = long ? forms.long : forms.short;
    const rounds = run.rounds ?? form.rounds;
    const cluster = new ClusterNodes(run, {
      ...form,
      script: guestScript('cluster', long),
      stamps: new Stamps({ firstRegion: 0, ownRegions: 76 }),
    });
    try {
      await Promise.all(cluster.numbers.map((number) => cluster.boot(number)));
      await cluster.all('activate nosync');
      const tally = new KillTally();
      for (let round = 0; round < rounds; round++) {
        if (rounds > 1) say(`round ${round + 1} of ${rounds}`);
        const [number, dead] = [0, 1].map(() => prng.between(1, form.votes.length));
        const how = long ? prng.pick(['daemon', 'corosync', 'network']) : 'daemon';
        await cluster.resumeWriters();
        await cluster.load(form.writesPerKill);
        await hurt(cluster, number, how, run);
        await cluster.load(form.writesBetween);
        await cluster.healed(`node ${number} was without ${how}`);
        await cluster.resumeWriters();
        tally.count(await die(cluster, dead, form, run));
        if (tally.untested) check(`${equalMax} kills in a row have left equal legs: untested`, false);
      }
      say(
        `${tally.tested} of ${tally.kills} kills have left legs that differed; ${tally.takenOver} have hit the node that wrote the log`,
      );
      if (long) check('kills have left legs that differed', tally.tested > 0);
      else if (tally.tested === 0) say('this kill has left no differing region: it has tested less than it should');
      await cluster.end();
    } finally {
      cluster.kill();
    }
  },
};
