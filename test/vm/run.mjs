/**
 * Real kernels in virtual machines: `node test/vm/run.mjs [SCENARIO...]`, by default all but those that say `longOnly`.
 *
 *   --probe      runs nothing; exit 0 when machines can run here, else 1 and the reason on stdout
 *   --list       names the scenarios
 *   --long       the long form of each, five times in a row
 *   --times N    so often in a row (1; with --long 5)
 *   --until-failure   a scenario ends at its first check that fails
 *   --seed N     what chance decides; by default another number each time, which is printed
 *
 * A scenario is a file in scenarios/: it starts machines and checks what came of them. Every step of a guest's
 * script and every check counts as one test; the last line is `N passed, N failed, N skipped`. Where no machine can
 * run, the scenarios are skipped, with the reason. Exit 1 when anything failed.
 *
 * Console, output and result files of the last run's machines stay in out/vm/SCENARIO/, one folder a boot.
 */
import { existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Disks } from './disks.mjs';
import { reasonAgainst } from './kernel.mjs';
import { runInMachine } from './machine.mjs';
import dropIn from './scenarios/drop-in.mjs';
import flood from './scenarios/flood.mjs';
import frames from './scenarios/frames.mjs';
import handover from './scenarios/handover.mjs';
import lockstep from './scenarios/lockstep.mjs';
import logFailure from './scenarios/log-failure.mjs';
import memory from './scenarios/memory.mjs';
import mirrors from './scenarios/mirrors.mjs';
import powerCut from './scenarios/power-cut.mjs';
import runner from './scenarios/runner.mjs';
import shapes from './scenarios/shapes.mjs';

/** In the order in which they run. */
const scenarios = [runner, mirrors, powerCut, logFailure, shapes, frames, handover, flood, memory, lockstep, dropIn];

const longTimes = 5;
const path = (relative) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));

/**
 * What a scenario's `run` is given:
 *
 *   machine(options)   one boot, see machine.mjs; its output is shown, its steps are counted
 *   disks(specs)       disks for several boots, see disks.mjs; removed when the scenario ends
 *   check(name, passed, why)
 *   long               true for the long form
 *   prng               chance, seeded (ts/sim/prng.ts)
 *   say(text)          a line among the output
 */
async function runScenario(scenario, counts, { long, seed, untilFailure }) {
  const { Prng } = await import('../../dist/sim/prng.js');
  const say = (text) => console.log(`        ${text}`);
  const report = (passed, name, why = '') => {
    counts[passed ? 'passed' : 'failed'] += 1;
    console.log(passed ? `  ok    ${name}` : `  FAIL  ${name}${why ? `: ${why}` : ''}`);
  };
  const began = new Map();
  const onLine = (line) => {
    const [, kind, name] = line.match(/^@(begin|passed|failed) (.*)$/) ?? [];
    if (kind === 'begin') began.set(name, performance.now());
    else if (kind === 'passed') report(true, `${name} (${seconds(began.get(name))})`);
    else if (kind === 'failed') report(false, name);
    else say(line);
  };
  const folder = path(`out/vm/${scenario.name}`);
  rmSync(folder, { recursive: true, force: true });
  let boots = 0;
  const machine = async (options) => {
    boots += 1;
    const shown = (line) => {
      onLine(line);
      options.onLine?.(line);
    };
    const result = await runInMachine({ results: `${folder}/boot-${boots}`, say, ...options, onLine: shown });
    console.log(
      `        machine: ${result.accelerator}, ${result.seconds.toFixed(1)} s${result.stopped ? ', stopped' : ''}`,
    );
    return result;
  };
  const opened = [];
  const disks = (specs) => {
    opened.push(new Disks(specs));
    return opened.at(-1);
  };
  try {
    const check = (name, passed, why) => {
      report(passed, name, why);
      if (!passed && untilFailure) throw new Error(`ends at its first failure: ${name}`);
    };
    await scenario.run({ machine, disks, check, long, prng: new Prng(seed), say });
  } finally {
    for (const each of opened) each.remove();
  }
}

function seconds(began = performance.now()) {
  return `${((performance.now() - began) / 1000).toFixed(1)} s`;
}

async function runOnce(scenario, counts, options) {
  const began = performance.now();
  const reason = reasonAgainst(scenario.programs);
  if (reason) {
    console.log(`${scenario.name}: skipped: ${reason}`);
    counts.skipped += 1;
    return;
  }
  console.log(`${scenario.name} (--seed ${options.seed})`);
  try {
    await runScenario(scenario, counts, options);
  } catch (error) {
    counts.failed += 1;
    console.log(`  FAIL  ${error instanceof Error ? error.stack : error}`);
  }
  console.log(`  ${scenario.name}: ${seconds(began)}`);
}

const optionTable = {
  probe: { type: 'boolean' },
  list: { type: 'boolean' },
  long: { type: 'boolean', default: false },
  times: { type: 'string' },
  seed: { type: 'string' },
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
  const times = Number(values.times ?? (values.long ? longTimes : 1));
  const firstSeed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  if (!Number.isSafeInteger(times) || !Number.isSafeInteger(firstSeed) || times < 1 || firstSeed < 0) {
    console.error('--times and --seed take whole numbers');
    return 2;
  }
  if (!existsSync(path('dist/bin/lockstepd.js'))) {
    console.error('the daemon is not built: npm run setup');
    return 1;
  }
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const wanted = ({ name, longOnly }) =>
    positionals.length === 0 ? values.long || !longOnly : positionals.includes(name);
  for (const scenario of scenarios.filter(wanted)) {
    for (let time = 0; time < times; time++) {
      const options = { long: values.long, seed: firstSeed + time, untilFailure: values['until-failure'] };
      await runOnce(scenario, counts, options);
    }
  }
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  return counts.failed > 0 ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));
process.exitCode = await main(process.argv.slice(2));
