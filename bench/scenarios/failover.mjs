/**
 * How long the others cannot begin to write to a region that is not marked when a host dies: corosync, daemon and kernel of one of three
 * nodes are killed at once; a kernel on each of the other two marks a fresh region right then; an operator runs `lockstep
 * fence-confirm NODE --yes` on one of them again and again until it is taken, which it is as soon as the host is lost.
 *
 * Printed, since most of it is corosync's time-out for a silent node and the start of the operator's command: how long corosync took
 * to tell a C program of the group (peers/cpg.c) beside it. A host that did not write the log device needs no confirmation for others to
 * write; that is printed, too.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import {
  cluster,
  newLog,
  nodes,
  reasonAgainst,
  startDaemons,
  startIdleKernel,
  startKernel,
  startOn,
} from '../cluster.mjs';
import { LogFiles } from '../log-files.mjs';
import { median, row } from '../measure.mjs';
import { figure } from '../text-report.mjs';

export const title = 'a host dies: until the others write again';

const regions = 2 ** 16;
const executed = promisify(execFile);
const tries = 500;

/** The operator: the same command until it is taken. Resolves to how long the last one took. */
async function confirmDead(daemon, node) {
  const [command, ...args] = await daemon.lockstep('fence-confirm', String(node), '--yes');
  for (let attempt = 0; attempt < tries; attempt++) {
    const startedMs = performance.now();
    try {
      await executed(command, args);
      return performance.now() - startedMs;
    } catch (error) {
      if (error.code !== 1) throw error;
    }
  }
  throw new Error(`fence-confirm ${node} was refused ${tries} times`);
}

/** One death; `dies` is the node. */
async function once(daemons, file, dies) {
  const formed = await cluster();
  const log = newLog();
  const survivors = nodes.filter((node) => node !== dies);
  const group = `${log.prefix}.watch`.slice(-40);
  // Whoever is first writes the log device.
  const first = await startIdleKernel(1, log, { regions, 'log-file': file });
  const others = [];
  for (const node of [2, 3]) {
    const options = { work: 'fresh', first: node, stride: 4, warmup: 100, count: 1, regions, 'log-file': file };
    const kernel = await startKernel(node, log, options);
    await kernel.says('made');
    kernel.goOn();
    await kernel.says('warm');
    others.push({ node, kernel });
  }
  const watchers = await Promise.all(nodes.map((node) => startOn(node, 'cpg', { role: 'watch', group, members: 3 })));
  for (const watcher of watchers) await watcher.says('ready');

  const writers = others.filter(({ node }) => node !== dies).map(({ kernel }) => kernel);
  const gone = [first, ...others.map(({ kernel }) => kernel)][dies - 1];
  const killedMs = performance.now();
  gone.child.kill('SIGKILL');
  watchers[dies - 1].child.kill('SIGKILL');
  const dead = Promise.all([daemons[dies - 1].kill(), formed.killCorosync(dies)]);
  for (const writer of writers) writer.goOn();
  const noticed = watchers[survivors[0] - 1].json().then(() => performance.now() - killedMs);
  const written = Promise.all(writers.map((writer) => writer.json()));
  // Looked at below; until then nobody else hears of it.
  for (const each of [noticed, written]) each.catch(() => {});
  await dead;
  const commandMs = dies === 1 ? await confirmDead(daemons[survivors[0] - 1], dies) : 0;
  const ms = Math.max(...(await written).map(({ max }) => max)) / 1e6;
  const noticedMs = await noticed;
  for (const each of [...writers, first, ...watchers]) await each.end();
  return { ms, noticedMs, commandMs };
}

/** Everybody as before: the dead host boots, and logs that nobody has any more are gone with their daemons. */
async function healed(daemons, dies) {
  for (const daemon of daemons) await daemon.kill();
  const formed = await cluster();
  formed.startCorosync(dies);
  await formed.settled(nodes);
}

async function deaths(count, files, file, dies) {
  const taken = [];
  for (let round = 0; round < count; round++) {
    files.wipe(file, regions);
    const daemons = await startDaemons();
    taken.push(await once(daemons, file, dies));
    await healed(daemons, dies);
  }
  return taken;
}

export async function run({ quick, rounds }) {
  const files = new LogFiles();
  const reason = reasonAgainst() || files.reasonAgainst;
  if (reason) {
    files.remove();
    return { skipped: reason, results: [], ratios: {} };
  }
  try {
    const file = files.file(regions);
    const writer = await deaths(quick ? 1 : rounds, files, file, 1);
    const command = figure(median(writer.map(({ commandMs }) => commandMs)));
    const note = `the host that writes the log device; the operator's command takes ${command} ms, the last of them included`;
    const results = [
      row('first_write_after_kill_ms', writer, { unit: 'ms', figure: (one) => one.ms, of: 'a host dies', note }),
      row('corosync_noticed_ms', writer, {
        unit: 'ms',
        figure: (one) => one.noticedMs,
        of: 'a host dies',
        note: 'until a C program of a group hears of it; token 1000 ms',
      }),
    ];
    if (quick) return { results, ratios: {} };
    const other = await deaths(3, files, file, 3);
    const otherNote = 'a host that did not write the log device: nobody has to confirm anything for this';
    const how = { unit: 'ms', of: 'a host dies', note: otherNote };
    results.push(row('first_write_after_kill_other_ms', other, { ...how, figure: (one) => one.ms }));
    return { results, ratios: {} };
  } finally {
    files.remove();
  }
}
