/**
 * Real kernels in virtual machines: `node test/vm/run.mjs [SCENARIO...]`, all of them by default.
 *
 *   --probe   runs nothing; exit 0 when machines can run here, else 1 and the reason on stdout
 *   --list    names the scenarios
 *
 * A scenario is a file in scenarios/: it starts machines and checks what came of them. Every step of a guest's
 * script and every check counts as one test; the last line is `N passed, N failed, N skipped`. Where no machine can
 * run, the scenarios are skipped, with the reason. Exit 1 when anything failed.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { reasonAgainst } from './kernel.mjs';
import { runInMachine } from './machine.mjs';
import flood from './scenarios/flood.mjs';
import frames from './scenarios/frames.mjs';
import handover from './scenarios/handover.mjs';
import memory from './scenarios/memory.mjs';
import mirrors from './scenarios/mirrors.mjs';
import runner from './scenarios/runner.mjs';
import shapes from './scenarios/shapes.mjs';

const scenarios = [runner, mirrors, shapes, handover, flood, memory, frames];

async function runScenario(scenario, counts) {
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
    else console.log(`        ${line}`);
  };
  const machine = async (options) => {
    const result = await runInMachine({ onLine, say: (text) => console.log(`        ${text}`), ...options });
    console.log(`        machine: ${result.accelerator}, ${result.seconds.toFixed(1)} s`);
    return result;
  };
  await scenario.run({ machine, check: (name, passed, why) => report(passed, name, why) });
}

function seconds(began = performance.now()) {
  return `${((performance.now() - began) / 1000).toFixed(1)} s`;
}

async function main(args) {
  if (args.includes('--list')) {
    for (const { name } of scenarios) console.log(name);
    return 0;
  }
  const programs = scenarios.flatMap((scenario) => scenario.programs ?? []);
  const reason = reasonAgainst(programs);
  if (args.includes('--probe')) {
    if (reason) console.log(reason);
    return reason ? 1 : 0;
  }
  const unknown = args.find((arg) => !scenarios.some(({ name }) => name === arg));
  if (unknown) {
    console.error(`no scenario ${unknown}; there are: ${scenarios.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  if (!existsSync(fileURLToPath(new URL('../../dist/bin/lockstepd.js', import.meta.url)))) {
    console.error('the daemon is not built: npm run setup');
    return 1;
  }
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const scenario of scenarios.filter(({ name }) => args.length === 0 || args.includes(name))) {
    const began = performance.now();
    if (reason) {
      console.log(`${scenario.name}: skipped: ${reason}`);
      counts.skipped += 1;
      continue;
    }
    console.log(scenario.name);
    try {
      await runScenario(scenario, counts);
    } catch (error) {
      counts.failed += 1;
      console.log(`  FAIL  ${error instanceof Error ? error.message : error}`);
    }
    console.log(`  ${scenario.name}: ${seconds(began)}`);
  }
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  return counts.failed > 0 ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));
process.exitCode = await main(process.argv.slice(2));
