/**
 * The kernel that a virtual machine boots: an unmodified Debian one, downloaded by apt into a cache and unpacked
 * there, never installed.
 *
 * The cache is $LOCKSTEP_CACHE, else $XDG_CACHE_HOME/lockstep, else ~/.cache/lockstep. A linux-image-*_amd64.deb
 * that lies there already is used as it is, so a machine without network needs one file copied. Several runs may
 * start at once: each prepares in a folder of its own and renames it into place; the first one wins.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** Programs a run needs, and the Debian packages that have them. */
const PROGRAMS = [
  ['qemu-system-x86_64', 'qemu-system-x86'],
  ['dpkg-deb', 'dpkg'],
  ['depmod', 'kmod'],
];

/** The program's path; the folders of system programs count although an ordinary user's PATH lacks them. */
export function which(program) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path)) ?? '';
}

/** A busybox without an interpreter: the first root has no C library. '' when there is none. */
export function staticBusybox() {
  const interpreter = 3;
  for (const path of ['/bin/busybox', '/usr/bin/busybox']) {
    if (!existsSync(path)) continue;
    const head = Buffer.alloc(4096);
    const file = openSync(path, 'r');
    readSync(file, head, 0, head.length, 0);
    closeSync(file);
    const start = Number(head.readBigUInt64LE(32));
    const [size, count] = [head.readUInt16LE(54), head.readUInt16LE(56)];
    const kinds = Array.from({ length: count }, (_, i) => head.readUInt32LE(start + i * size));
    if (!kinds.includes(interpreter)) return path;
  }
  return '';
}

/** Why no virtual machine can run here; '' when one can. Downloads nothing. */
export function reasonAgainst(programs = []) {
  if (process.arch !== 'x64') return `no kernel for ${process.arch}: the virtual machine is x86-64`;
  const missing = PROGRAMS.filter(([program]) => !which(program)).map(([, name]) => name);
  if (!staticBusybox()) missing.push('busybox-static');
  for (const [program, name] of programs) if (!which(program)) missing.push(name);
  if (missing.length > 0) return `Debian packages are missing: ${missing.join(' ')}`;
  if (cachedDebs(cacheFolder()).length === 0 && !availableKernel()) {
    return `apt knows no linux-image-amd64 (run apt-get update), and no linux-image-*_amd64.deb lies in ${cacheFolder()}`;
  }
  return '';
}

export function cacheFolder() {
  const folder =
    process.env.LOCKSTEP_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'lockstep');
  mkdirSync(folder, { recursive: true });
  return realpathSync(folder);
}

/** Unpacked kernel, made at first use: { folder, image, modules, release }. Throws with the reason. */
export function prepareKernel(say) {
  const cache = cacheFolder();
  const deb = cachedDebs(cache).at(-1) ?? download(cache, say);
  const folder = join(cache, basename(deb, '.deb'));
  if (!existsSync(join(folder, 'ready'))) {
    say(`unpacking ${basename(deb)} (once)`);
    const made = mkdtempSync(join(cache, 'unpack-'));
    unpack(deb, made);
    try {
      renameSync(made, folder);
    } catch (error) {
      rmSync(made, { recursive: true, force: true });
      if (!existsSync(join(folder, 'ready'))) throw error;
    }
  }
  const modulesRoot = join(folder, 'lib', 'modules');
  const release = readdirSync(modulesRoot)[0];
  const direct = join(folder, 'vmlinux');
  const image = existsSync(direct) ? direct : join(folder, 'boot', `vmlinuz-${release}`);
  return { folder, image, release, modules: join(modulesRoot, release) };
}

function cachedDebs(cache) {
  return readdirSync(cache)
    .filter((name) => /^linux-image-\d.*_amd64\.deb$/.test(name))
    .map((name) => join(cache, name))
    .sort((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs);
}

/** Name of the package that linux-image-amd64 stands for today, or ''. */
function availableKernel() {
  const shown = spawnSync('apt-cache', ['depends', 'linux-image-amd64'], { encoding: 'utf8' });
  return shown.stdout?.match(/Depends: (linux-image-\d\S+)/)?.[1] ?? '';
}

function download(cache, say) {
  const name = availableKernel();
  if (!name) throw new Error(reasonAgainst());
  say(`downloading ${name} (once, about 70 MB)`);
  const folder = mkdtempSync(join(cache, 'download-'));
  try {
    must('apt-get', ['-qq', '-o', 'APT::Sandbox::User=', 'download', name], { cwd: folder });
    const deb = readdirSync(folder).find((file) => file.endsWith('.deb'));
    if (!deb) throw new Error(`apt-get download ${name} brought no file`);
    renameSync(join(folder, deb), join(cache, deb));
    return join(cache, deb);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function unpack(deb, folder) {
  must('dpkg-deb', ['-x', deb, folder]);
  // Newer packages keep modules below usr/lib; depmod and the guest look below lib.
  const merged = join(folder, 'usr', 'lib', 'modules');
  if (existsSync(merged)) {
    const lib = join(folder, 'lib');
    if (lstatSync(lib, { throwIfNoEntry: false })?.isSymbolicLink()) unlinkSync(lib);
    mkdirSync(lib, { recursive: true });
    renameSync(merged, join(lib, 'modules'));
  }
  const release = readdirSync(join(folder, 'lib', 'modules'))[0];
  must(which('depmod'), ['-b', folder, release]);
  const elf = decompressed(join(folder, 'boot', `vmlinuz-${release}`));
  if (elf) writeFileSync(join(folder, 'vmlinux'), elf);
  writeFileSync(join(folder, 'ready'), '');
}

/**
 * The ELF kernel inside a bzImage, or null when its packing is not one of the usual. QEMU boots an ELF kernel
 * directly (PVH), which saves the kernel's own unpacking: several seconds where the CPU is emulated.
 */
function decompressed(path) {
  const image = readFileSync(path);
  const setupSectors = (image[0x1f1] || 4) + 1;
  const start = setupSectors * 512 + image.readUInt32LE(0x248);
  const body = image.subarray(start, start + image.readUInt32LE(0x24c));
  const magic = body.subarray(0, 4).toString('hex');
  let elf = null;
  if (magic.startsWith('1f8b')) elf = gunzipSync(body);
  else if (magic === 'fd377a58') elf = filtered('xz', ['-dcq', '--single-stream'], body);
  else if (magic === '28b52ffd') elf = filtered('zstd', ['-dcq'], body);
  return elf?.subarray(1, 4).toString() === 'ELF' ? elf : null;
}

/** Output of an unpacker. Its exit status says nothing: the body has padding behind the packed stream. */
function filtered(program, args, input) {
  if (!which(program)) return null;
  return spawnSync(program, args, { input, maxBuffer: 512 << 20, stdio: ['pipe', 'pipe', 'ignore'] }).stdout;
}

/** A kernel module's bytes as insmod of busybox takes them. */
export function moduleBytes(path) {
  if (path.endsWith('.xz')) return must('xz', ['-dc', path]);
  if (path.endsWith('.zst')) return must('zstd', ['-dcq', path]);
  return path.endsWith('.gz') ? gunzipSync(readFileSync(path)) : readFileSync(path);
}

function must(command, args, options = {}) {
  const result = spawnSync(command, args, { ...options, maxBuffer: 256 << 20 });
  if (result.error) throw new Error(`${command}: ${result.error.message}`);
  if (result.status !== 0) throw new Error(`${[command, ...args].join(' ')}: ${String(result.stderr).trim()}`);
  return result.stdout;
}
