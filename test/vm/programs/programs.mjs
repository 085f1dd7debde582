/**
 * Small C programs that scenarios use, compiled on the host when they are newer than their binaries; guests see the
 * result at the same path. They must not need anything but the C library and what a scenario names.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const sources = fileURLToPath(new URL('.', import.meta.url));
const folder = fileURLToPath(new URL('../../../out/vm-programs', import.meta.url));

const flags = {
  'frame-shim': ['-shared', '-fPIC'],
  'mirror-status': ['-ldevmapper'],
};

/** Path of the compiled program. */
export function program(name) {
  const source = join(sources, `${name}.c`);
  const binary = join(folder, name);
  if (existsSync(binary) && statSync(binary).mtimeMs > statSync(source).mtimeMs) return binary;
  mkdirSync(folder, { recursive: true });
  const fresh = `${binary}.${process.pid}`;
  const args = ['-std=gnu17', '-O2', '-Wall', '-Wextra', '-Werror', '-o', fresh, source, ...(flags[name] ?? [])];
  const { status, stderr, error } = spawnSync('gcc', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${source} does not compile: ${error?.message ?? stderr}`);
  renameSync(fresh, binary);
  return binary;
}
