/**
 * Real kernels in virtual machines: `node test/vm/run.mjs [SCENARIO...]`, by default all but those that say `longOnly`.
 *
 *   --probe      runs nothing; exit 0 when machines can run here, else 1 and the reason on stdout
 *   --list       names the scenarios
 *   --turns N    those of every run (`everyRun`) and N of the others, others each day
 *   --long       each one five times in a row, then its long form once
 *   --times N    so often in a row (1; with --long 5, and 0 for the long forms alone)
 *   --jobs N     so many machines side by side: one more than there are processors, since they wait a lot; with --long 2
 *   --rounds N   of a long form that has rounds
 *   --until-failure   a scenario ends at its first check that fails
 *   --seed N     what chance decides; by default another number each time, which is printed
 *
 * A scenario is a file in scenarios/: it starts machines and checks what came of them. What it needs beyond programs it asks
 * for itself (`reasonAgainst`). Every step of a guest's script and every check counts as one test; what failed is named
 * again at the end, and the last line is `N passed, N failed, N skipped`. Where no machine can run, the scenarios are
 * skipped, with the reason. Exit 1 when anything failed.
 *
 * Console, output and result files of the last run's machines stay in out/vm/SCENARIO/ (further times SCENARIO-2 and
 * so on, the long form SCENARIO-long), one folder a boot.
 */
import { existsSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { byTurns, givenEnd } from '../../tools/stages.mjs';
import { Disks } from './disks.mjs';
import { reasonAgainst } from './kernel.mjs';
import { runInMachine } from './machine.mjs';
import { Network } from './network.mjs';
import cluster from './scenarios/cluster.mjs';
import clusterRules from './scenarios/cluster-rules.mjs';
import dropIn from './scenarios/drop-in.mjs';
import flood from './scenarios/flood.mjs';
import frames from './scenarios/frames.mjs';
import handover from './scenarios/handover.mjs';
import lockstep from './scenarios/lockstep.mjs';
import logFailure from './scenarios/log-failure.mjs';
import memory from './scenarios/memory.mjs';
import powerCut from './scenarios/power-cut.mjs';
import runner from './scenarios/runner.mjs';
import shapes from './scenarios/shapes.mjs';
import systemd from './scenarios/systemd.mjs';

/** A scenario takes that long at most, beside two others on a slow machine: later than that before the end none starts. */
const scenarioMinutes = 5;
/** In the order in which they start: the longest first, so that the last ones end together. */
const scenarios = [
  handover,
  frames,
  shapes,
  flood,
  powerCut,
  memory,
  logFailure,
  lockstep,
  runner,
  dropIn,
  systemd,
  cluster,
  clusterRules,
];

const timesInLong = 5;
/** Beside other work, as a rule, and with no budget. */
const jobsInLong = 2;
const path = (relative) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));

/**
 * What a scenario's `run` is given:
 *
 *   machine(options)   one boot, see machine.mjs; its output is shown, its steps are counted
 *   disks(specs)       disks for several boots, see disks.mjs; removed when the scenario ends
 *   network()          a network for several machines, see network.mjs; removed when the scenario ends
 *   check(name, passed, why)
 *   long               true for the long form
 *   rounds             of the long form, where somebody says so; else undefined
 *   prng               chance, seeded (ts/sim/prng.ts)
 *   say(text)          a line among the output
 */
async function runScenario(scenario, counts, print, { long, rounds, seed, untilFailure, folder }) {
  const { Prng } = await import('../../dist/sim/prng.js');
  const say = (text) => print(`        ${text}`);
  const report = (passed, name, why = '') => {
    const said = why && !passed ? `${name}: ${why}` : name;
    counts[passed ? 'passed' : 'failed'] += 1;
    print(passed ? `  ok    ${said}` : `  FAIL  ${said}`);
    if (!passed) counts.failures.push(`${scenario.name}: ${said}`);
  };
  const began = new Map();
  const onLine = (line, cpuSeconds) => {
    const [, kind, name] = line.match(/^@(begin|passed|failed) (.*)$/) ?? [];
    if (kind === 'begin') began.set(name, { at: performance.now(), cpuSeconds });
    else if (kind === 'passed') report(true, `${name} (${spent(began.get(name), cpuSeconds)})`);
    else if (kind === 'failed') report(false, name);
    else say(line);
  };
  rmSync(folder, { recursive: true, force: true });
  let boots = 0;
  const machine = async (options) => {
    boots += 1;
    const shown = (line, cpuSeconds) => {
      onLine(line, cpuSeconds);
      options.onLine?.(line);
    };
    const result = await runInMachine({ results: `${folder}/boot-${boots}`, say, ...options, onLine: shown });
    counts.cpuSeconds += result.cpuSeconds;
    say(
      `machine: ${result.accelerator}, ${result.seconds.toFixed(1)} s, ${result.cpuSeconds.toFixed(1)} s of CPU${result.stopped ? ', stopped' : ''}`,
    );
    return result;
  };
  const opened = [];
  const disks = (specs) => {
    opened.push(new Disks(specs));
    return opened.at(-1);
  };
  const network = () => {
    opened.push(new Network());
    return opened.at(-1);
  };
  try {
    const check = (name, passed, why) => {
      report(passed, name, why);
      if (!passed && untilFailure) throw new Error(`ends at its first failure: ${name}`);
    };
    await scenario.run({ machine, disks, network, check, long, rounds, prng: new Prng(seed), say });
  } finally {
    for (const each of opened) each.remove();
  }
}

function seconds(began) {
  return `${((performance.now() - began) / 1000).toFixed(1)} s`;
}

/** Wall time and CPU time of a step. CPU time says more: machines wait a lot, and others may want the processor. */
function spent(began, cpuSeconds) {
  return `${seconds(began.at)}, CPU ${(cpuSeconds - began.cpuSeconds).toFixed(1)} s`;
}

async function runOnce({ scenario, name, ...options }, counts, print) {
  const began = performance.now();
  const minutesLeft = (givenEnd() - Date.now()) / 60_000;
  const tooLate = minutesLeft < scenarioMinutes ? `too late: ${minutesLeft.toFixed(1)} minutes are left` : '';
  const reason = tooLate || reasonAgainst(scenario.programs) || (await scenario.reasonAgainst?.()) || '';
  if (reason) {
    print(`${name}: skipped: ${reason}`);
    counts.skipped += 1;
    return;
  }
  print(`${name} (--seed ${options.seed})`);
  try {
    await runScenario(scenario, counts, print, options);
  } catch (error) {
    const said = error instanceof Error ? error.stack : String(error);
    counts.failed += 1;
    counts.failures.push(`${name}: ${said}`);
    print(`  FAIL  ${said}`);
  }
  print(`  ${name}: ${seconds(began)}`);
}

/**
 * So many at once, started in their order. Each one's output stays together: that of the first that has not ended is
 * shown as it comes, that of the others when their turn has come.
 */
async function runAll(runs, jobs, counts) {
  const outputs = runs.map(() => ({ lines: [], ended: false }));
  let shown = 0;
  const show = () => {
    for (; shown < outputs.length; shown++) {
      for (const line of outputs[shown].lines.splice(0)) console.log(line);
      if (!outputs[shown].ended) return;
    }
  };
  let next = 0;
  const worker = async () => {
    while (next < runs.length) {
      const index = next++;
      const output = outputs[index];
      await runOnce(runs[index], counts, (line) => {
        output.lines.push(line);
        show();
      });
      output.ended = true;
      show();
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
}

/** One scenario as often as it is wanted. Those that have a long form say so by `longForm`. */
function runsOf(scenario, { times, firstSeed, rounds, long, 'until-failure': untilFailure }) {
  const run = (index, name, inLongForm) => ({
    scenario,
    name,
    long: inLongForm,
    rounds: inLongForm ? rounds : undefined,
    seed: firstSeed + index,
    untilFailure,
    folder: path(`out/vm/${name}`),
  });
  const runs = Array.from({ length: times }, (_, i) => run(i, `${scenario.name}${i > 0 ? `-${i + 1}` : ''}`, false));
  if (long && scenario.longForm) runs.push(run(times, `${scenario.name}-long`, true));
  return runs;
}

function chosen(names, { long, turns }) {
  if (names.length > 0) return scenarios.filter(({ name }) => names.includes(name));
  const usual = scenarios.filter(({ longOnly }) => long || !longOnly);
  if (turns === undefined) return usual;
  const inTurn = byTurns(
    usual.filter(({ everyRun }) => !everyRun),
    Number(turns),
  );
  const left = usual.filter((scenario) => !scenario.everyRun && !inTurn.includes(scenario));
  if (left.length > 0) console.log(`on other days, or by name: ${left.map(({ name }) => name).join(', ')}`);
  return usual.filter((scenario) => !left.includes(scenario));
}

const optionTable = {
  probe: { type: 'boolean' },
  list: { type: 'boolean' },
  turns: { type: 'string' },
  long: { type: 'boolean', default: false },
  times: { type: 'string' },
  jobs: { type: 'string' },
  seed: { type: 'string' },
  rounds: { type: 'string' },
  'until-failure': { type: 'boolean', default: false },
};

async function main(args) {
  const { values, positionals } = parseArgs({ args, options: optionTable, allowPositionals: true });
  if (values.list) {
    for (const { name } of scenarios) console.log(name);
    return 0;
  }
  if (values.probe) {
    const reason = reasonAgainst();
    if (reason) console.log(reason);
    return reason ? 1 : 0;
  }
  const unknown = positionals.find((arg) => !scenarios.some(({ name }) => name === arg));
  if (unknown) {
    console.error(`no scenario ${unknown}; there are: ${scenarios.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  const times = Number(values.times ?? (values.long ? timesInLong : 1));
  const jobs = Number(values.jobs ?? (values.long ? jobsInLong : availableParallelism() + 1));
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  const firstSeed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  if (
    ![times, jobs, firstSeed, rounds ?? 1, Number(values.turns ?? 0)].every(Number.isSafeInteger) ||
    times < (values.long ? 0 : 1) ||
    jobs < 1 ||
    (rounds ?? 1) < 1 ||
    firstSeed < 0
  ) {
    console.error('--times, --jobs, --rounds, --turns and --seed take whole numbers');
    return 2;
  }
  if (!existsSync(path('dist/bin/lockstepd.js'))) {
    console.error('the daemon is not built: npm run setup');
    return 1;
  }
  const counts = { passed: 0, failed: 0, skipped: 0, cpuSeconds: 0, failures: [] };
  const runs = chosen(positionals, values).flatMap((scenario) =>
    runsOf(scenario, { ...values, times, firstSeed, rounds }),
  );
  const began = performance.now();
  await runAll(runs, jobs, counts);
  console.log(`${jobs} at once: ${seconds(began)}, ${counts.cpuSeconds.toFixed(0)} s of CPU in machines`);
  // Once more: the output of machines is long, and what failed is somewhere in it.
  for (const failure of counts.failures) console.log(`FAIL  ${failure}`);
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  return counts.failed > 0 ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));
process.exitCode = await main(process.argv.slice(2));
