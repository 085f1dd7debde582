/**
 * `npm run long -- sim|fuzz|mutants|vm|soak|pacemaker [ARGUMENT...]`: what takes too long for every change. The last result of each, with
 * commit and machine, is written into docs/long-runs.md; a run with arguments has a section of its own there.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { performance } from 'node:perf_hooks';
import { root, run } from './stages.mjs';

/** A test of its own on real corosync. */
const real = (name) => [
  'node_modules/vitest/vitest.mjs',
  'run',
  '--config',
  'vitest.cluster.config.ts',
  `test/cluster/${name}.real.ts`,
];

/** Command of each form, what it is given when nobody says otherwise, its environment, and which lines of its output are its result. */
const FORMS = {
  sim: { command: ['dist/bin/sim.js'], usual: ['--seed', '1', '--seeds', '100000'], result: /./ },
  fuzz: { command: ['tools/fuzz.mjs', '--runs', '10000000'], result: /^fuzz_\w+: |^\d+ passed/ },
  mutants: { command: ['tools/mutants.mjs'], result: /^(found|MISSED) |^\d+ passed/ },
  vm: {
    command: ['test/vm/run.mjs'],
    usual: ['--long'],
    result: /^ {2}(FAIL |\S+: [\d.]+ s$)|^ +\d+ of \d+ kills |^\d+ at once|^\d+ passed/,
  },
  /** Ten minutes of faults. */
  soak: {
    command: real('soak'),
    env: { LOCKSTEP_SOAK_SECONDS: '600', NO_COLOR: '1' },
    result: /^soak: (seed|daemon that)|skipped: |Tests +\d/,
  },
  pacemaker: {
    command: [...real('pacemaker'), '--reporter', 'verbose'],
    packages: '--pacemaker',
    env: { LOCKSTEP_PACEMAKER: '1', NO_COLOR: '1' },
    result: /^ *[✓×]|skipped: |Tests +\d/,
  },
};

const name = process.argv[2];
if (!(name in FORMS)) {
  console.error(`usage: npm run long -- ${Object.keys(FORMS).join('|')}`);
  process.exit(2);
}

// What is tested is what stands here now; the tree may move on meanwhile.
const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
const changed = git('status', '--porcelain', '--', 'ts', 'cpp', 'test') ? ' with changes' : '';
const commit = git('rev-parse', '--short', 'HEAD') + changed;

const started = performance.now();
const { command, usual = [], env = {}, packages } = FORMS[name];
if (packages) execFileSync(process.execPath, ['tools/setup.mjs', packages], { cwd: root, stdio: 'inherit' });
const given = process.argv.slice(3);
const { status, output } = await run(process.execPath, [...command, ...(given.length > 0 ? given : usual)], { env });
const minutes = ((performance.now() - started) / 60_000).toFixed(1);

const machine = `${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`;
const lines = output.trimEnd().split('\n');
const tail = lines
  .filter((line) => FORMS[name].result.test(line))
  .slice(-100)
  .join('\n')
  .replaceAll(root, '');
const title = process.argv.slice(2).join(' ');
const section = [
  `## ${title}`,
  '',
  `\`npm run long -- ${title}\`: ${status === 0 ? 'passed' : `FAILED (exit ${status})`} in ${minutes} min on ${new Date().toISOString().slice(0, 10)},`,
  `commit ${commit}; ${machine}.`,
  '',
  '```',
  tail,
  '```',
  '',
].join('\n');

const path = `${root}docs/long-runs.md`;
const before = existsSync(path)
  ? readFileSync(path, 'utf8')
  : '# Long runs\n\nThe last result of each run that takes too long for every change. Written by `npm run long -- NAME`.\n\n';
const [head, ...sections] = before.split(/^(?=## )/m);
const kept = sections.filter((each) => !each.startsWith(`## ${title}\n`));
const parts = [head, ...[...kept, section].sort()];
writeFileSync(path, parts.map((each) => `${each.trimEnd()}\n`).join('\n'));
process.exitCode = status;
