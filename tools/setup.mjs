/**
 * Makes a fresh clone ready to run: Debian packages, npm packages, the addon, the compiled TypeScript.
 *
 *   node tools/setup.mjs                what `npm start` needs
 *   node tools/setup.mjs --test         and what `npm test` needs besides
 *   node tools/setup.mjs --pacemaker    and what `npm run long -- pacemaker` needs besides
 *   node tools/setup.mjs --addon        only the addon
 *
 * Every step says what it does, and is left out when its inputs are the same as last time (a digest of them lies
 * in .setup/). Debian packages are installed only by root; anyone else is told the exact command, and only a
 * package without which nothing can be built ends the run. Uses nothing but Node itself: nothing is installed yet
 * when it runs.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stamps = join(root, '.setup');

/** What the product itself is built with. */
const BUILD_PACKAGES = ['g++', 'make', 'python3', 'pkg-config'];
/** Used when present: without the first the log writer falls back to a thread of its own, without the others there is no cluster. */
const USEFUL_PACKAGES = ['liburing-dev', 'libcpg-dev', 'libquorum-dev'];
/** What only the tests need: developer build, linters, fuzzers, a real kernel in a virtual machine. */
const TEST_PACKAGES = [
  ...['cmake', 'ninja-build', 'ccache', 'doctest-dev', 'clang-14', 'clang-format', 'clang-tidy', 'libclang-rt-14-dev'],
  ...['qemu-system-x86', 'busybox-static', 'cpio', 'kmod', 'dmsetup', 'fio', 'e2fsprogs', 'scdoc'],
  ...['lvm2', 'dmeventd', 'libdevmapper-dev'],
  // A cluster of three nodes in network namespaces.
  ...['corosync', 'iproute2'],
  // ocf-tester, and what it checks meta-data with; shellcheck for the agent.
  ...['resource-agents', 'libxml2-utils', 'shellcheck'],
  // Shows the bench's report; 60 MB, and only this part of it.
  'chromium-headless-shell',
];
/** 2.4 MB; the services that come with it are started by nobody but systemd. */
const PACEMAKER_PACKAGES = ['pacemaker', 'pacemaker-cli-utils'];

function say(text) {
  console.log(`setup: ${text}`);
}

function fail(text) {
  console.error(`setup: ${text}`);
  process.exit(1);
}

/** Runs a command; what it prints is shown only when it fails. */
function runOrFail(what, command, args, env = {}) {
  const options = { cwd: root, env: { ...process.env, ...env }, encoding: 'utf8', maxBuffer: 64 << 20 };
  const result = spawnSync(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  if (result.status !== 0) process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  if (result.error) fail(`${what}: ${result.error.message}`);
  if (result.status !== 0) fail(`${what} failed (exit ${result.status ?? result.signal})`);
}

function onPath(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
}

// ---- Debian packages

// The placeholders are dpkg-query's own.
// biome-ignore lint/suspicious/noTemplateCurlyInString: not a template of this language.
const DPKG_FORMAT = '${Package} ${db:Status-Status}\n';

function missingPackages(names) {
  const query = spawnSync('dpkg-query', ['-W', '-f', DPKG_FORMAT, ...names], {
    encoding: 'utf8',
  });
  if (query.error) return null;
  const installed = new Set(
    query.stdout.split('\n').flatMap((line) => (line.endsWith(' installed') ? [line.split(' ')[0]] : [])),
  );
  return names.filter((name) => !installed.has(name));
}

function debianPackages(required, useful) {
  const missing = missingPackages([...required, ...useful]);
  if (missing === null) {
    if (!onPath('g++') || !onPath('make')) fail('needs a C++20 compiler, make, python3 and pkg-config');
    say('no dpkg here: taking compilers and tools as they are on the PATH');
    return;
  }
  if (missing.length === 0) return;
  const command = ['apt-get', 'install', '-y', '--no-install-recommends', ...missing];
  if (process.getuid() !== 0) {
    say(`Debian packages are missing; as root: ${command.join(' ')}`);
    const stopping = missing.filter((name) => BUILD_PACKAGES.includes(name) && !(name === 'g++' && onPath('g++')));
    if (stopping.length > 0) fail(`cannot build without ${stopping.join(', ')}`);
    say('going on without them: what needs them is skipped and says so');
    return;
  }
  say(`installing Debian packages: ${missing.join(' ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const quiet = ['-qq', '-o', 'Dpkg::Use-Pty=0'];
  const install = () =>
    spawnSync('apt-get', [...quiet, ...command.slice(1)], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, ...env },
    }).status === 0;
  if (install()) return;
  say('refreshing the package lists first: apt-get update');
  runOrFail('apt-get update', 'apt-get', ['-qq', 'update'], env);
  if (!install()) fail(`could not install: ${missing.join(' ')}`);
}

// ---- digests

function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function digest(paths, extra = '') {
  const hash = createHash('sha256').update(extra);
  for (const path of paths) {
    hash.update(`\0${path.slice(root.length)}\0`).update(readFileSync(path));
  }
  return hash.digest('hex');
}

/** Runs `work` unless its inputs are those of the last time and its output still stands. */
function step(name, inputs, output, work) {
  const stamp = join(stamps, name);
  if (existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return false;
  rmSync(stamp, { force: true });
  work();
  mkdirSync(stamps, { recursive: true });
  writeFileSync(stamp, inputs);
  return true;
}

// ---- npm packages

function npmCli() {
  if (process.env.npm_execpath) return process.env.npm_execpath;
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'npm'))
    .find((path) => existsSync(path));
  return found ? realpathSync(found) : fail('npm is not on the PATH');
}

function npmPackages() {
  const inputs = digest([join(root, 'package.json'), join(root, 'package-lock.json')], process.version);
  step('npm', inputs, join(root, 'node_modules', '.package-lock.json'), () => {
    say('installing npm packages from package-lock.json');
    // The addon is built below, with headers that need no download: not by npm's own install step.
    runOrFail('npm ci', process.execPath, [npmCli(), 'ci', '--ignore-scripts', '--loglevel=error']);
  });
}

// ---- the addon

/** Where Node's own headers lie, so that node-gyp downloads nothing; '' leaves the search to node-gyp. */
function nodeHeaders() {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  return existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? prefix : '';
}

function nodeGyp() {
  const path = join(dirname(npmCli()), '..', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
  return existsSync(path) ? path : fail(`npm's own node-gyp is not at ${path}`);
}

function optionalLibraries() {
  const answers = [['liburing'], ['libcpg', 'libquorum', 'libcorosync_common']].map((names) => {
    const probe = spawnSync('pkg-config', ['--modversion', ...names], { encoding: 'utf8' });
    return probe.status === 0 ? `${names[0]} ${probe.stdout.trim().split('\n')[0]}` : `no ${names[0]}`;
  });
  return answers.join(', ');
}

function buildAddon() {
  const rooms = ['core', 'os', 'data', 'binding'].flatMap((name) => filesBelow(join(root, 'cpp', name)));
  const lists = [join(root, 'binding.gyp'), join(root, 'cpp', 'sources.list')];
  const libraries = optionalLibraries();
  const inputs = digest([...rooms, ...lists], `${process.version} ${process.arch} ${libraries}`);
  step('addon', inputs, join(root, 'build', 'Release', 'lockstep.node'), () => {
    say(`building the addon with node-gyp (${libraries})`);
    const headers = nodeHeaders();
    const env = onPath('ccache') ? { CC: 'ccache gcc', CXX: 'ccache g++' } : {};
    const args = ['configure', 'build', '--release', '--jobs', '2', '--loglevel', 'error'];
    runOrFail('the addon build', process.execPath, [nodeGyp(), ...args, ...(headers ? [`--nodedir=${headers}`] : [])], {
      ...env,
      npm_config_loglevel: 'error',
      MAKEFLAGS: '--no-print-directory -s',
    });
  });
}

// ---- TypeScript

function compileTypeScript() {
  const sources = filesBelow(join(root, 'ts'));
  const bundler = join(root, 'tools', 'bundle.mjs');
  const inputs = digest([...sources, bundler, join(root, 'tsconfig.json'), join(root, 'package-lock.json')]);
  const dist = join(root, 'dist');
  step('typescript', inputs, join(dist, 'bin'), () => {
    say('compiling TypeScript to dist/');
    rmSync(dist, { recursive: true, force: true });
    runOrFail('tsc', process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json']);
    runOrFail('the bundler', process.execPath, [bundler]);
  });
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 17)) fail(`needs Node 20.17 or newer, this is ${process.versions.node}`);
  if (process.platform !== 'linux') fail('runs on Linux only');
  if (!statSync(root).isDirectory()) fail(`cannot read ${root}`);
}

checkNode();
const unknown = process.argv.slice(2).filter((option) => !['--test', '--pacemaker', '--addon'].includes(option));
if (unknown.length > 0) fail(`does not know ${unknown.join(' ')}; it takes --test, --pacemaker, --addon, or nothing`);
const forPacemaker = process.argv.includes('--pacemaker');
const forTests = forPacemaker || process.argv.includes('--test');
if (process.argv.includes('--addon')) {
  buildAddon();
} else {
  const more = [...(forTests ? TEST_PACKAGES : []), ...(forPacemaker ? PACEMAKER_PACKAGES : [])];
  debianPackages(BUILD_PACKAGES, [...USEFUL_PACKAGES, ...more]);
  npmPackages();
  buildAddon();
  compileTypeScript();
}
