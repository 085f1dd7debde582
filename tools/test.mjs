/**
 * `npm test`: the C++ tests, the TypeScript tests, fixed simulator seeds, real corosync in network namespaces and the real
 * kernel in a virtual machine where they can run. `npm test -- NAME` runs the stages whose name contains NAME.
 */
import { existsSync } from 'node:fs';
import { closingLine, ctestCounts, root, run, runStages, vitestCounts } from './stages.mjs';

const node = process.execPath;
const has = async (program) => (await run('sh', ['-c', `command -v ${program}`], { quiet: true })).status === 0;

async function withoutCmake() {
  for (const program of ['cmake', 'ninja']) if (!(await has(program))) return `${program} is not installed`;
  return existsSync('/usr/include/doctest/doctest.h') ? '' : 'the Debian package doctest-dev is not installed';
}

async function withoutVm() {
  const probe = await run(node, ['test/vm/run.mjs', '--probe'], { quiet: true });
  return probe.status === 0 ? '' : probe.output.trim() || `the probe failed with ${probe.status}`;
}

async function withoutCluster() {
  const probe = await run(node, ['test/cluster/why-no-cluster.mjs'], { quiet: true });
  return probe.output.trim();
}

const stages = [
  {
    name: 'cpp',
    budgetMinutes: 1,
    skip: withoutCmake,
    commands: [
      ['cmake', '--preset', 'dev'],
      ['cmake', '--build', '--preset', 'dev'],
      ['ctest', '--preset', 'dev', '--output-on-failure'],
    ],
    counts: ctestCounts,
  },
  {
    name: 'typescript',
    budgetMinutes: 2.5,
    commands: [[node, `${root}node_modules/vitest/vitest.mjs`, 'run']],
    counts: vitestCounts,
  },
  {
    name: 'simulator, fixed seeds',
    budgetMinutes: 1,
    commands: [[node, 'dist/bin/sim.js', '--seed', '1', '--seeds', '1000']],
  },
  {
    name: 'simulated cluster, fixed seeds',
    budgetMinutes: 1,
    commands: [[node, 'dist/bin/sim.js', '--seed', '1', '--seeds', '200', '--hosts', '2..5']],
  },
  {
    name: 'real corosync',
    budgetMinutes: 3,
    skip: withoutCluster,
    commands: [[node, `${root}node_modules/vitest/vitest.mjs`, 'run', '--config', 'vitest.cluster.config.ts']],
    counts: vitestCounts,
  },
  {
    name: 'real kernel in a VM',
    budgetMinutes: 4,
    skip: withoutVm,
    commands: [[node, 'test/vm/run.mjs', '--turns', '2']],
    counts: closingLine,
  },
];

const wanted = process.argv.slice(2);
const chosen = stages.filter((stage) => wanted.length === 0 || wanted.some((name) => stage.name.includes(name)));
if (chosen.length === 0) {
  console.error(`no stage is called ${wanted.join(' ')}; there are: ${stages.map((stage) => stage.name).join(', ')}`);
  process.exit(2);
}
process.exitCode = (await runStages('npm test', chosen)) > 0 ? 1 : 0;
