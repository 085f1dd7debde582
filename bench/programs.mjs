/**
 * The programs of bench/peers: compiled into out/bench when their source is newer, started on the cores that a measurement
 * asks for, and ended with the bench. Where a thing runs decides half of what a round trip costs, so nothing is started
 * without saying where.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const root = fileURLToPath(new URL('..', import.meta.url));
const peers = join(root, 'bench', 'peers');
/** Where compiled programs and reports go. */
export const built = join(root, 'out', 'bench');
/** Far above what any measurement takes. */
const hangMs = 900_000;

const COMMON = ['-O2', '-Wall', '-Wextra', '-pthread'];
/** C++ as the addon is built (binding.gyp). */
const SCAN = ['-std=gnu++20', '-O3', '-Wall', '-Wextra', `-I${join(root, 'cpp')}`];
const core = join(root, 'cpp', 'core');
const SCAN_SOURCES = ['bitmap', 'scan', 'assert'].map((name) => join(core, `${name}.cc`));
/** What a program needs beyond the C library. */
const LIBRARIES = { cpg: ['-lcpg'] };
const headersIn = (folder) => readdirSync(folder).flatMap((file) => (file.endsWith('.h') ? [join(folder, file)] : []));

/** Path of a compiled program, compiling it when need be. */
export function program(name) {
  const output = join(built, name);
  const plusPlus = existsSync(join(peers, `${name}.cc`));
  const sources = plusPlus ? [join(peers, `${name}.cc`), ...SCAN_SOURCES] : [join(peers, `${name}.c`)];
  // This file, too: it has the compiler's options.
  const inputs = [
    ...sources,
    ...headersIn(peers),
    ...(plusPlus ? headersIn(core) : []),
    fileURLToPath(import.meta.url),
  ];
  const newest = Math.max(...inputs.map((path) => statSync(path).mtimeMs));
  if (existsSync(output) && statSync(output).mtimeMs > newest) return output;
  mkdirSync(built, { recursive: true });
  const [compiler, flags] = plusPlus ? ['g++', SCAN] : ['gcc', ['-std=gnu17', ...COMMON]];
  execFileSync(compiler, [...flags, '-o', output, ...sources, '-lm', ...(LIBRARIES[name] ?? [])], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return output;
}

const cores = cpus().length;
/** Where measurements on one core take place: the last one, away from most interrupts. */
export const oneCore = String(cores - 1);
/** Where the load runs in measurements on two cores; the subject has `oneCore`. Null on a machine with one. */
export const otherCore = cores > 1 ? String(cores - 2) : null;
/** No pinning: every core. */
export const allCores = `0-${cores - 1}`;

/** A command that runs on these cores. */
export function pinned(on, command, args) {
  return ['taskset', ['-c', on, command, ...args]];
}

const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** A process that lives until it is told to end. */
export function start(on, command, args, options = {}) {
  const [launcher, all] = pinned(on, command, args);
  const child = spawn(launcher, all, { stdio: ['pipe', 'pipe', 'pipe'], cwd: root, ...options });
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

const executed = promisify(execFile);

/** Runs a program to its end; its last line is JSON. */
export async function answerOf(on, command, args) {
  const [launcher, all] = pinned(on, command, args);
  const { stdout } = await executed(launcher, all, { cwd: root, timeout: hangMs, killSignal: 'SIGKILL' });
  return JSON.parse(stdout.trim().split('\n').at(-1));
}
