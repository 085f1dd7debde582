/**
 * Shows that the simulator finds what it is there to find: each patch of test/mutants breaks one rule, and a run of
 * the simulator over the patched tree must fail.
 *
 *   npm run mutants                 all of them
 *   npm run mutants -- NAME ...     those whose file name contains NAME
 *   npm run mutants -- --turns 2    two, others each day
 *   npm run mutants -- --one-host   those that one host finds; --clusters: the others
 *   npm run mutants -- --seeds N    within N seeds (2000)
 *   npm run mutants -- --jobs J     with J workers of the simulator (as many as processors, at most 2)
 *   npm run mutants -- --vm         on the real kernel: those with a line `# Real kernel: SCENARIO: CHECK`; the short
 *                                   form of that scenario (test/vm) must fail in that check
 *
 * A mutant with a line `# Hosts: A..B` runs on clusters of that size, the others on one host; one with `# Simulator: OPTION`
 * with that option of the simulator; one with `# Seed: S` is looked for there first: rare orders of events take a run of minutes to come
 * to. A seed that fails without the patch too shows nothing: the run goes on behind it.
 *
 * Works on a copy of the tracked files in a temporary folder; node_modules are those of this tree, and so is the addon
 * unless the patch touches C++.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { byTurns, root, run } from './stages.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    turns: { type: 'string' },
    seeds: { type: 'string', default: '2000' },
    jobs: { type: 'string' },
    vm: { type: 'boolean', default: false },
    'one-host': { type: 'boolean', default: false },
    clusters: { type: 'boolean', default: false },
  },
});

function chooseMutants() {
  const all = readdirSync(join(root, 'test/mutants'))
    .filter((name) => name.endsWith('.patch') && (!values.vm || realKernelCheck(name) !== null))
    .filter((name) => !values['one-host'] || header(name, 'Hosts') === null)
    .filter((name) => !values.clusters || header(name, 'Hosts') !== null)
    .sort();
  if (positionals.length > 0) return all.filter((name) => positionals.some((word) => name.includes(word)));
  return values.turns ? byTurns(all, Number(values.turns)) : all;
}

/** What a patch says in a line `# KEY: VALUE`, taken apart at its colons; null when it has none. */
function header(name, key) {
  const found = readFileSync(join(root, 'test/mutants', name), 'utf8').match(new RegExp(`^# ${key}: (.*)$`, 'm'));
  return found?.[1].split(': ') ?? null;
}

/** What the real kernel must find: { scenario, check }, or null. */
function realKernelCheck(name) {
  const found = header(name, 'Real kernel');
  return found && { scenario: found[0], check: found.slice(1).join(': ') };
}

/** Copies what git knows of (and new files it does not ignore), and links what is built. */
function copyTree(to) {
  const listed = execFileSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard', 'ts', 'cpp', 'tools', 'test/vm', ':(glob)*'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  for (const path of listed.split('\0').filter(Boolean)) {
    mkdirSync(join(to, dirname(path)), { recursive: true });
    cpSync(join(root, path), join(to, path));
  }
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'));
}

async function hunt(name) {
  const tree = mkdtempSync(join(tmpdir(), 'lockstep-mutant-'));
  try {
    copyTree(tree);
    const applied = await run('git', ['apply', '--recount', join(root, 'test/mutants', name)], {
      cwd: tree,
      quiet: true,
    });
    if (applied.status !== 0) return { found: false, text: `does not apply: ${applied.output.trim()}` };
    const built = await compile(tree);
    if (built.status !== 0) return { found: false, text: `does not compile: ${built.output.trim()}` };
    const native = readFileSync(join(root, 'test/mutants', name), 'utf8').includes('+++ b/cpp/');
    if (native) {
      const addon = await run(process.execPath, ['tools/setup.mjs', '--addon'], { cwd: tree, quiet: true });
      if (addon.status !== 0) return { found: false, text: `the addon does not build: ${addon.output.trim()}` };
    }
    if (values.vm) return await huntOnRealKernel(tree, name, native);
    return await huntWithSimulator(tree, name, native);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

async function huntWithSimulator(tree, name, native) {
  const known = header(name, 'Seed');
  const from = (first, end) => huntFrom(tree, name, native, first, end);
  const there = known && (await from(Number(known[0]), Number(known[0])));
  return there?.found ? there : from(1, Number(values.seeds));
}

/** Looks at seeds `first` to `end`. */
async function huntFrom(tree, name, native, first, end) {
  const which = ['--hosts', header(name, 'Hosts')?.[0] ?? '1', ...(header(name, 'Simulator') ?? [])];
  if (values.jobs) which.push('--jobs', values.jobs);
  for (let seed = first; seed <= end; ) {
    const args = ['--seed', `${seed}`, '--seeds', `${end - seed + 1}`, ...which, '--until-failure'];
    const { status, output, hung } = await simulate(tree, args, native ? tree : root);
    if (hung) return { found: false, text: 'the simulator hung' };
    if (status === 0 || status === 3) return { found: false, text: 'NOT FOUND' };
    const failed = [...output.matchAll(/^seed (\d+) failed after/gm)].map((match) => Number(match[1]));
    if (failed.length === 0)
      return { found: false, text: `the simulator ended with ${status}: ${output.slice(-1000)}` };
    const lowest = Math.min(...failed);
    const whole = await simulate(await wholeTree(), ['--seed', `${lowest}`, ...which], root);
    const violation = new RegExp(`^seed ${lowest} failed after[^\\n]*\\nviolation: (.*)$`, 'm').exec(output)?.[1];
    if (whole.status === 0) return { found: true, text: `seed ${lowest}: ${violation}` };
    seed = lowest + 1;
  }
  return { found: false, text: 'NOT FOUND' };
}

function simulate(tree, args, addonTree) {
  const env = { LOCKSTEP_ADDON: join(addonTree, 'build/Release/lockstep.node') };
  return run(process.execPath, ['dist/bin/sim.js', ...args], { cwd: tree, env, quiet: true, limitMs: 1_800_000 });
}

let whole = '';

/** A tree without a mutant, compiled when it is first asked for. */
async function wholeTree() {
  if (whole !== '') return whole;
  whole = mkdtempSync(join(tmpdir(), 'lockstep-mutant-'));
  copyTree(whole);
  const built = await compile(whole);
  if (built.status !== 0) throw new Error(`the tree without a mutant does not compile: ${built.output.trim()}`);
  return whole;
}

function compile(tree) {
  return run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'], { cwd: tree, quiet: true });
}

async function huntOnRealKernel(tree, name, native) {
  // The guest sees this machine's files, but not this environment: the addon lies where the daemon looks for it.
  if (!native) symlinkSync(join(root, 'build'), join(tree, 'build'));
  const { scenario, check } = realKernelCheck(name);
  const args = ['test/vm/run.mjs', '--until-failure', scenario];
  const { status, output, hung } = await run(process.execPath, args, { cwd: tree, quiet: true, limitMs: 3_600_000 });
  if (hung) return { found: false, text: 'the scenario hung' };
  const failures = output.split('\n').filter((line) => /^ {2}FAIL /.test(line));
  const right = failures.find((line) => line.startsWith(`  FAIL  ${check}`));
  if (right) return { found: true, text: right.trim() };
  return { found: false, text: status === 0 ? 'NOT FOUND' : `failed elsewhere:\n${output.slice(-1900)}` };
}

process.once('exit', () => whole !== '' && rmSync(whole, { recursive: true, force: true }));

let failed = 0;
const mutants = chooseMutants();
for (const name of mutants) {
  const title = readFileSync(join(root, 'test/mutants', name), 'utf8')
    .split('\n')[0]
    .replace(/^#\s*/, '');
  const { found, text } = await hunt(name);
  if (!found) failed += 1;
  console.log(`${found ? 'found' : 'MISSED'}  ${name.padEnd(36)} ${title}\n        ${text.slice(0, 2000)}`);
}
console.log(`${mutants.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 || mutants.length === 0 ? 1 : 0;
