/**
 * Rules that only a cluster has, on real kernels: two machines, of which the first one has two votes and so keeps quorum, with a file
 * system on the mirror that both write.
 *
 *   no quorum      the second machine is cut off: its writes wait, its marks stay, the first one goes on (R13)
 *                  where it is told to fail instead, it reads, its writes are kept back or get an error, and go on when its table is loaded
 *                  anew behind the return of quorum
 *   another writer the daemon that writes the log is killed: the other one does, at once; its machine is killed: when it is known dead (R8)
 *   a death        what the dead had marked is recovered after the daemon has suspended and resumed the mirror, which it does not do
 *                  while an administrator has loaded a table; it is killed in there, and its successor ends it (R11)
 *   a suspend      waits while another node copies a region (R10)
 *   a leg fails    for one kernel alone: nobody else copies that region before this kernel has another table, although the other one has
 *                  (R10); that reload is done under the file system, with the daemon killed between suspend and resume
 *
 * After each the legs are compared from outside, as in scenario cluster; at the end the file system is checked on both.
 */
import { spawnSync } from 'node:child_process';
import {
  ClusterNodes,
  clusterPrograms,
  reasonAgainstCluster,
  regions,
  sleep,
  stillMs,
  until,
  within,
} from '../cluster-nodes.mjs';
import { differingRegions, logSession } from '../log-area.mjs';
import { blocksPerRegion, regionBytes, Stamps } from '../stamps.mjs';
import { guestScript } from './script.mjs';

/** Has quorum alone, and the file system. */
const first = 1;
const second = 2;
/** Behind the file system. */
const stamps = new Stamps({ firstRegion: 128, ownRegions: 48 });
/** Nobody else writes there. */
const quietRegion = 230;
const writes = 40;
const goesOnMs = 120_000;
/** A daemon writes its status every half second. */
const saysMs = 60_000;

/** The machines under load; each rule is one method. */
class Rules {
  #nodes;
  #check;
  #say;

  constructor(nodes, { check, say }) {
    this.#nodes = nodes;
    this.#check = check;
    this.#say = say;
  }

  async begin() {
    const nodes = this.#nodes;
    await Promise.all(nodes.numbers.map((number) => nodes.boot(number)));
    for (const number of nodes.numbers) await nodes.order(number, 'activate nosync');
    await nodes.order(first, 'make_files');
    await this.#load();
  }

  async #load() {
    await this.#nodes.order(first, 'start_files');
    await this.#nodes.resumeWriters();
    await this.#nodes.load(writes);
  }

  async #healed(after) {
    await this.#nodes.order(first, 'end_files');
    await this.#nodes.healed(after);
  }

  /** R13. */
  async withoutQuorum() {
    const nodes = this.#nodes;
    // Writes are under way when it is cut off, however slow the cluster: on a busy machine all of them may wait for one FLUSH.
    await nodes.order(second, 'hold_leg');
    await nodes.standsStill(second);
    await until(`node ${second} has marked what it writes`, () => nodes.dirty(second).length > 0);
    await this.#cutOff();
    await nodes.order(second, 'release_leg');
    this.#check('without quorum: its writes wait', await nodes.standsStill(second));
    const marked = nodes.dirty(second);
    this.#say(`node ${second} has no quorum, ${marked.length} of its regions are marked`);
    this.#check('without quorum: what it had marked is marked', marked.length > 0);
    await nodes.order(second, 'kill_daemon; start_daemon');
    await nodes.goesOn(first, goesOnMs);
    await sleep(stillMs);
    const left = nodes.dirty(second);
    const cleaned = marked.filter((region) => !left.includes(region));
    this.#check('without quorum: none of its marks is taken from it', cleaned.length === 0, `regions ${cleaned}`);
    this.#check('without quorum: its writes wait still', await nodes.standsStill(second));
    await this.#plugIn();
    await nodes.goesOn(second, goesOnMs);
    await this.#healed(`node ${second} was without quorum`);
  }

  async #cutOff() {
    const nodes = this.#nodes;
    nodes.unplug(second);
    await until(`node ${second} has no quorum`, () => !nodes.status(second).cluster.quorate);
  }

  async #plugIn() {
    const nodes = this.#nodes;
    nodes.unplug(second, false);
    await until(`node ${second} has quorum again`, () => nodes.status(second).cluster.agreedQuorate);
  }

  /** R13 with `on_quorum_loss = "fail"`: a kernel that has heard of one failed FLUSH writes nothing more with this table. */
  async failsWithoutQuorum() {
    const nodes = this.#nodes;
    await nodes.order(second, 'quorum_loss_means fail');
    await this.#load();
    await this.#cutOff();
    this.#check('told to fail without quorum: its writes are kept back', await nodes.standsStill(second));
    const marked = nodes.dirty();
    const block = quietRegion * blocksPerRegion;
    await nodes.order(second, `begin_write ${block}; read_ends ${block}; wait_for 60 says_more_of flush-failed 0`);
    this.#check('and it reads, and its daemon has said so', true);
    await nodes.goesOn(first, goesOnMs);
    const late = nodes.dirty(second).filter((region) => !marked.includes(region));
    const quiet = nodes.dirty().includes(quietRegion);
    this.#check('and marks nothing', late.length === 0 && !quiet, `regions ${late}`);
    await this.#plugIn();
    const waits = await nodes.standsStill(second);
    await nodes.order(second, 'write_waits');
    this.#check('with quorum again they are kept back until its table is loaded anew', waits);
    this.#say(`node ${second}: ${regions - nodes.log(second).inSyncCount} regions are out of sync`);
    await nodes.order(second, 'reload_table; write_ended');
    await nodes.goesOn(second, goesOnMs);
    await this.#healed(`node ${second} failed without quorum`);
    await this.#failsWithKeepLog();
  }

  async #failsWithKeepLog() {
    const nodes = this.#nodes;
    const block = quietRegion * blocksPerRegion;
    await nodes.order(second, 'reload_table "2 handle_errors keep_log"');
    await this.#cutOff();
    await nodes.order(second, `write_fails ${block}; read_ends ${block}`);
    this.#check('without quorum and with keep_log: a write gets an error', !nodes.dirty().includes(quietRegion));
    await this.#plugIn();
    await nodes.order(second, `write_fails ${block}; reload_table; begin_write ${block}; write_ended`);
    await nodes.order(second, 'quorum_loss_means wait; dmesg -C');
    await nodes.healed(`a write of node ${second} got an error without quorum`);
    // So that the first one writes the log again, whoever did meanwhile.
    await nodes.order(second, 'reload_table');
  }

  #session() {
    return logSession(this.#nodes.images()[2]);
  }

  /** R8, when the daemon alone is gone. */
  async writersDaemonKilled() {
    const nodes = this.#nodes;
    await this.#load();
    const before = this.#session();
    this.#check(`node ${first} writes the log`, before?.node === `node${first}` && nodes.logWriter() === first);
    await nodes.order(first, 'kill_daemon');
    await nodes.goesOn(second, goesOnMs);
    const after = this.#session();
    const name = `its daemon is killed: node ${second} writes the log`;
    this.#check(name, after?.node === `node${second}` && after.epoch > before.epoch, JSON.stringify({ before, after }));
    await until(
      `node ${second} says that it writes the log`,
      () => nodes.log(second).cluster.writer === second,
      saysMs,
    );
    await nodes.order(first, 'start_daemon');
    await nodes.goesOn(first, goesOnMs);
    await this.#healed(`the daemon of node ${first}, which wrote the log, was killed`);
  }

  /** R8 when the machine is gone: before it is known dead nobody takes its role, so nothing is marked. */
  async writersMachineKilled() {
    const nodes = this.#nodes;
    await this.#load();
    this.#check(`node ${second} writes the log`, nodes.log(first).cluster.writer === second);
    await nodes.killMachine(second);
    await nodes.seesLost(second);
    const still = await nodes.standsStill(first);
    const before = nodes.images()[2];
    await sleep(stillMs);
    const same = before.equals(nodes.images()[2]);
    this.#check('its machine is killed: the writes of the other one wait, nobody writes the log', still && same);
    const [left, right] = nodes.images();
    const marked = nodes.dirty(second).length;
    const differing = differingRegions(left, right, regionBytes);
    this.#say(`node ${second} had marked ${marked} of its regions; in all ${differing.length} regions differ`);
    const unmarked = differing.filter((region) => !nodes.dirty().includes(region));
    this.#check('where the log is clean the legs are equal', unmarked.length === 0, `regions ${unmarked}`);
    this.#check(`node ${second} has left something to recover`, marked > 0);
  }

  /** R11. */
  async recoveryRestarts() {
    const nodes = this.#nodes;
    await nodes.order(first, 'load_table');
    await nodes.confirmDead(second);
    await nodes.goesOn(first, goesOnMs);
    this.#check(`it is confirmed dead: node ${first} writes the log`, this.#session()?.node === `node${first}`);
    await nodes.order(first, 'wait_for 60 says_more_of "a table is loaded for its device" 0');
    await sleep(stillMs);
    const waits = await nodes.ask(first, 'echo "@is $(device_state), $(tables)"');
    this.#check(
      'an administrator has loaded a table: nothing is restarted',
      waits === 'ACTIVE, LIVE & INACTIVE',
      waits,
    );
    const inSync = nodes.log(first).inSyncCount;
    this.#check('what the dead node had marked is out of sync', inSync < regions, `${inSync} of ${regions}`);
    await nodes.order(first, 'hold_leg; dmsetup clear shared; kill_in_restart; hold_recovery');
    const copies = () => nodes.log(first).recoveringNode === first && nodes.log(first).recoveringRegion >= 0;
    const name = `the daemon is killed in its restart: node ${first} recovers`;
    this.#check(name, await within(saysMs, copies));
  }

  /** R10: the recovery that stands still on the first machine. */
  async suspendWaits() {
    const nodes = this.#nodes;
    await nodes.boot(second);
    await nodes.order(second, 'activate');
    const before = nodes.log(first);
    await nodes.order(second, 'begin_suspend');
    await sleep(stillMs);
    const state = await nodes.ask(second, 'echo "@is $(device_state)"');
    const waits = nodes
      .log(second)
      .cluster.waits.some(({ code, nodes: of }) => code === 'suspend' && of.includes(first));
    const stands = nodes.log(first).recoveringRegion === before.recoveringRegion;
    this.#check('a suspend waits while another node copies a region', state === 'ACTIVE' && waits && stands, state);
    await nodes.order(first, 'release_leg');
    await nodes.order(second, 'suspend_ended');
    await nodes.order(first, 'wait_for 300 in_sync shared');
    await nodes.order(second, 'dmsetup resume shared');
    await nodes.startWriter(second);
    await nodes.load(writes);
    await this.#healed(`node ${second} had died, and has suspended the mirror`);
  }

  /** The quiet region is out of sync, and nothing else; its legs differ, and it is marked. */
  #outAlone() {
    const nodes = this.#nodes;
    const [left, right] = nodes.images();
    const differs = differingRegions(left, right, regionBytes).includes(quietRegion);
    const out = regions - nodes.log(first).inSyncCount;
    this.#say(`node ${first}: ${out} regions are out of sync`);
    return differs && out === 1 && nodes.dirty().includes(quietRegion);
  }

  /** R10: what one kernel has found out of sync, and a reload under the file system with the daemon killed in it. */
  async legFailsForOne() {
    const nodes = this.#nodes;
    await nodes.order(first, 'start_files');
    await nodes.order(second, `break_leg; begin_write ${quietRegion * blocksPerRegion}`);
    await until('the region is out of sync', () => nodes.log(first).inSyncCount < regions);
    await nodes.order(first, 'load_table; begin_suspend; suspend_ended; kill_while_suspended; dmsetup resume shared');
    await sleep(stillMs);
    await until('the reloaded log serves', () => nodes.log(first)?.lifeCycle === 'active');
    await sleep(stillMs);
    await nodes.order(second, 'write_waits');
    this.#check('a region that one kernel has found out of sync is recovered by no other', this.#outAlone());
    await nodes.order(second, 'load_table; begin_suspend --noflush; suspend_ended');
    await sleep(2 * stillMs);
    this.#check('also when its mark went with a suspend', this.#outAlone());
    await nodes.order(second, 'mend_leg; dmsetup resume shared');
    await nodes.order(second, 'write_ended; wait_for 300 in_sync shared; dmesg -C');
    await this.#healed(`a leg had failed for node ${second} alone, and node ${first} had another table`);
  }

  async end() {
    const nodes = this.#nodes;
    await nodes.order(first, 'check_files');
    await nodes.end();
    const [left, right] = nodes.imagePaths;
    for (const [leg, path] of Object.entries({ first: left, second: right })) {
      const { status, stdout } = spawnSync('e2fsck', ['-fn', path], { encoding: 'utf8' });
      this.#check(`the file system is sound on the ${leg} leg`, status === 0, stdout);
    }
  }
}

export default {
  name: 'cluster-rules',
  longOnly: true,
  programs: [...clusterPrograms, ['e2fsck', 'e2fsprogs']],
  reasonAgainst: reasonAgainstCluster,
  async run(run) {
    const nodes = new ClusterNodes(run, {
      script: `${guestScript('cluster-rules', run.long)}\n${guestScript('cluster', run.long)}`,
      votes: [2, 1],
      tokenMs: 5000,
      stamps,
    });
    try {
      const rules = new Rules(nodes, run);
      await rules.begin();
      await rules.withoutQuorum();
      await rules.failsWithoutQuorum();
      await rules.writersDaemonKilled();
      await rules.writersMachineKilled();
      await rules.recoveryRestarts();
      await rules.suspendWaits();
      await rules.legFailsForOne();
      await rules.end();
    } finally {
      nodes.kill();
    }
  },
};
