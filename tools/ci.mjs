/**
 * What `.ci/run` runs: the README's test command, and around it lint and layout rules, both builds, the C++ tests
 * under the sanitizers, the addon's tests under AddressSanitizer, a fuzz smoke of each decoder, fresh simulator
 * seeds of one host and of clusters, two mutants by turns, and the quick form of the bench, which fails where a figure
 * is below its floor. `node tools/ci.mjs NAME` runs the stages whose name contains NAME.
 *
 * Half an hour is all it has. Where the machine is too slow for that the last stages are skipped and say so.
 */
import { execFileSync } from 'node:child_process';
import { closingLine, ctestCounts, root, runStages, vitestCounts } from './stages.mjs';

const node = process.execPath;

const preset = (name) => [
  ['cmake', '--preset', name],
  ['cmake', '--build', '--preset', name],
  ['ctest', '--preset', name, '--output-on-failure'],
];

function asanEnvironment() {
  const library = (name) => execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
  return {
    LD_PRELOAD: `${library('libasan.so')} ${library('libubsan.so')}`,
    ASAN_OPTIONS: 'detect_leaks=0',
    UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
    LOCKSTEP_ADDON: `${root}out/asan/lockstep.node`,
  };
}

/** Scenarios that fit: `growth` and `mirror` have no floors without a virtual machine. */
const smoke = ['bitmap', 'flush', 'placement', 'connector', 'cluster', 'join', 'failover'];

/** What the machine is given, less what its end takes; and what of it the stages behind the README's test command keep. */
const wholeMinutes = 28;
const behindTestMinutes = 5;
const startedAt = Date.now();
const minutesIn = (minutes) => startedAt + minutes * 60_000;

const stages = [
  { name: 'setup', budgetMinutes: 3, required: true, commands: [[node, 'tools/setup.mjs', '--test']] },
  { name: 'lint', budgetMinutes: 2, commands: [[node, 'tools/lint.mjs', '--turns', '24']] },
  {
    name: 'README test command',
    budgetMinutes: 11,
    env: { LOCKSTEP_ENDS_BY: String(minutesIn(wholeMinutes - behindTestMinutes)) },
    commands: [['npm', 'test', '--silent']],
    counts: closingLine,
  },
  { name: 'cpp under ASan and UBSan', budgetMinutes: 2.5, commands: preset('asan'), counts: ctestCounts },
  { name: 'cpp under TSan', budgetMinutes: 1.5, commands: preset('tsan'), counts: ctestCounts },
  {
    name: 'addon under ASan',
    budgetMinutes: 1,
    env: asanEnvironment(),
    commands: [[node, 'node_modules/vitest/vitest.mjs', 'run', 'test/native', 'test/connector']],
    counts: vitestCounts,
  },
  {
    // Two to five hosts by the seed. As few as must have met all faults, and not yet the rarest moments.
    name: 'simulated cluster, fresh seeds',
    budgetMinutes: 2,
    commands: [
      [node, 'dist/bin/sim.js', '--fresh', '--seeds', '600', '--hosts', '2..5'],
      [node, 'dist/bin/sim.js', '--fresh', '--seeds', '400', '--hosts', '2..5', '--restarts'],
    ],
  },
  {
    name: 'simulator, fresh seeds',
    budgetMinutes: 0.5,
    commands: [[node, 'dist/bin/sim.js', '--fresh', '--seeds', '900']],
  },
  {
    name: 'fuzz smoke',
    budgetMinutes: 1,
    commands: [[node, 'tools/fuzz.mjs', '--seconds', '10']],
    counts: closingLine,
  },
  { name: 'cmake-js build', budgetMinutes: 1, commands: [['npm', 'run', '--silent', 'build:cmake']] },
  {
    name: 'two mutants',
    budgetMinutes: 1,
    commands: [[node, 'tools/mutants.mjs', '--turns', '2']],
    counts: closingLine,
  },
  {
    name: 'bench smoke',
    budgetMinutes: 2,
    commands: [[node, 'bench/run.mjs', '--quick', '--no-guest', ...smoke]],
  },
];

const wanted = process.argv.slice(2);
const chosen = stages.filter((stage) => wanted.length === 0 || wanted.some((name) => stage.name.includes(name)));
process.exitCode = (await runStages('.ci/run', chosen, { endsBy: minutesIn(wholeMinutes) })) > 0 ? 1 : 0;
