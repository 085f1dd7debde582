/**
 * Builds the Debian package from what `npm run setup` made.
 *
 *   node packaging/build-deb.mjs [--out FOLDER] [--version VERSION]      prints the path of the package
 *
 * Needs dpkg-deb and scdoc; takes library versions from dpkg-shlibdeps where there is one. The package holds only what
 * the programs import at run time. The same sources make the same package: times come from SOURCE_DATE_EPOCH or
 * the last commit.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { runTimeFiles } from './run-time-files.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const home = 'usr/lib/lockstep';
/** Programs, and where administrators look for them. */
const PROGRAMS = { cmirrord: 'usr/sbin', lockstepd: 'usr/sbin', lockstep: 'usr/bin' };
const UNITS = ['lockstepd.service', 'lvm2-cmirrord.service'];
/** ocf:lockstep:mirror-log, for Pacemaker; the functions that it needs come with resource-agents. */
const RESOURCE_AGENT = 'usr/lib/ocf/resource.d/lockstep/mirror-log';
const CONFFILES = {
  'packaging/lockstep.toml': 'etc/lockstep/lockstep.toml',
  'packaging/default': 'etc/default/lockstep',
};
const DOCUMENTS = ['README.md', 'docs/DESIGN.md', 'docs/dirty-log.md', 'docs/cluster.md'];
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

function fail(text) {
  console.error(`build-deb: ${text}`);
  process.exit(1);
}

function output(command, args, options = {}) {
  return execFileSync(command, args, { encoding: 'utf8', ...options }).trim();
}

function checkTools() {
  for (const tool of ['dpkg-deb', 'scdoc', 'strip']) {
    if (spawnSync(tool, ['--version']).error) fail(`needs ${tool}: apt-get install dpkg scdoc binutils`);
  }
  for (const path of ['dist/bin/lockstepd.js', 'build/Release/lockstep.node']) {
    if (!existsSync(join(root, path))) fail(`${path} is not built: npm run setup`);
  }
}

/** Everything below the umask of whoever builds: folders 0755, files 0644 unless said otherwise. */
function put(stage, path, content, mode = 0o644) {
  const target = join(stage, path);
  mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
  writeFileSync(target, content);
  chmodSync(target, mode);
}

function putPrograms(stage) {
  const present = Object.entries(PROGRAMS).filter(([name]) => existsSync(join(root, 'dist', 'bin', `${name}.js`)));
  const launcher = readFileSync(join(root, 'packaging', 'launcher.sh'), 'utf8');
  for (const [name, folder] of present) put(stage, `${folder}/${name}`, launcher.replaceAll('@PROGRAM@', name), 0o755);
  const { modules, packages } = runTimeFiles(
    root,
    present.map(([name]) => `dist/bin/${name}.js`),
  );
  for (const path of modules) put(stage, `${home}/${path}`, readFileSync(join(root, path)));
  for (const name of packages) {
    const target = join(stage, home, 'node_modules', name);
    cpSync(join(root, 'node_modules', name), target, { recursive: true, dereference: true });
  }
  const { name, license, type, engines } = manifest;
  put(stage, `${home}/package.json`, `${JSON.stringify({ name, version, license, type, engines }, null, 2)}\n`);
  put(stage, `${home}/build/Release/lockstep.node`, '');
  const addon = join(stage, home, 'build/Release/lockstep.node');
  copyFileSync(join(root, 'build/Release/lockstep.node'), addon);
  output('strip', ['--strip-unneeded', addon]);
  chmodSync(addon, 0o644);
}

function putManuals(stage) {
  for (const name of readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.scd'))) {
    const page = basename(name, '.scd');
    const text = output('scdoc', [], { input: readFileSync(join(root, 'docs', name)) });
    put(
      stage,
      `usr/share/man/man${page.slice(page.lastIndexOf('.') + 1)}/${page}.gz`,
      gzipSync(`${text}\n`, { level: 9 }),
    );
  }
}

function putRest(stage) {
  put(stage, `${home}/before-stop`, readFileSync(join(root, 'packaging', 'before-stop.sh')), 0o755);
  for (const unit of UNITS) {
    put(stage, `usr/lib/systemd/system/${unit}`, readFileSync(join(root, 'packaging', unit)));
  }
  put(stage, RESOURCE_AGENT, readFileSync(join(root, 'packaging/ocf/mirror-log')), 0o755);
  for (const [from, to] of Object.entries(CONFFILES)) put(stage, to, readFileSync(join(root, from)));
  const completions = join(root, 'packaging', 'completions');
  for (const name of existsSync(completions) ? readdirSync(completions) : []) {
    put(stage, `usr/share/bash-completion/completions/${name}`, readFileSync(join(completions, name)));
  }
  for (const path of DOCUMENTS) {
    put(stage, `usr/share/doc/lockstep/${basename(path)}`, readFileSync(join(root, path)));
  }
  put(stage, 'usr/share/doc/lockstep/copyright', readFileSync(join(root, 'LICENSE')));
}

/** As dpkg-shlibdeps finds them; without it the bare names, which is less than could be said. */
function libraries(stage) {
  const addon = join(stage, home, 'build/Release/lockstep.node');
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-shlibs-'));
  mkdirSync(join(folder, 'debian'));
  writeFileSync(join(folder, 'debian', 'control'), 'Source: lockstep\n\nPackage: lockstep\nArchitecture: any\n');
  const found = spawnSync('dpkg-shlibdeps', ['-O', addon], { cwd: folder, encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  if (found.status === 0) return found.stdout.trim().replace(/^shlibs:Depends=/, '');
  const uring = readFileSync(addon).includes('liburing.so.2') ? ', liburing2' : '';
  const corosync = readFileSync(addon).includes('libcpg.so.4') ? ', libcpg4, libquorum5' : '';
  return `libc6, libgcc-s1, libstdc++6${uring}${corosync}`;
}

function putControl(stage) {
  const files = filesBelow(stage);
  const bytes = files.reduce((sum, path) => sum + statSync(path).size, 0);
  const control = [
    'Package: lockstep',
    `Version: ${version}`,
    `Architecture: ${output('dpkg', ['--print-architecture'])}`,
    'Section: admin',
    'Priority: optional',
    'Maintainer: Lockstep <lockstep@localhost>',
    `Installed-Size: ${Math.ceil(bytes / 1024)}`,
    `Depends: ${libraries(stage)}`,
    'Recommends: nodejs (>= 20.17), kmod, dmsetup',
    'Suggests: corosync, pacemaker, resource-agents',
    'Provides: cmirrord',
    'Conflicts: cmirrord, cmirror',
    'Replaces: cmirrord, cmirror',
    'Description: mirror log daemon for device-mapper mirrors, in place of cmirrord',
    ' Answers the kernel module dm-log-userspace: which regions of a mirror may differ',
    ' between its legs, so that after a crash only those are copied again. Takes the',
    " place of LVM2's cmirrord: same command, pid file, kernel protocol and disk log.",
    ' .',
    ' Runs on Node 20.17 or newer, from Debian or from anywhere else: NODE in',
    ' /etc/default/lockstep says where it is.',
  ];
  put(stage, 'DEBIAN/control', `${control.join('\n')}\n`);
  put(
    stage,
    'DEBIAN/conffiles',
    Object.values(CONFFILES)
      .map((path) => `/${path}\n`)
      .join(''),
  );
  const sums = files
    .filter((path) => !relative(stage, path).startsWith('etc/'))
    .map((path) => `${md5(path)}  ${relative(stage, path)}\n`);
  put(stage, 'DEBIAN/md5sums', sums.join(''));
  for (const script of ['postinst', 'prerm', 'postrm']) {
    put(stage, `DEBIAN/${script}`, readFileSync(join(root, 'packaging', 'debian', script)), 0o755);
  }
}

const md5 = (path) => createHash('md5').update(readFileSync(path)).digest('hex');

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** Whatever the umask and the modes of node_modules were. */
function normalizeModes(stage) {
  for (const entry of readdirSync(stage, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    else if ((statSync(path).mode & 0o111) === 0 || path.includes('/node_modules/')) chmodSync(path, 0o644);
  }
  chmodSync(stage, 0o755);
}

function sourceTime() {
  if (process.env.SOURCE_DATE_EPOCH) return process.env.SOURCE_DATE_EPOCH;
  const commit = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' });
  return commit.status === 0 ? commit.stdout.trim() : String(Math.floor(Date.now() / 1000));
}

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'out') },
    version: { type: 'string', default: manifest.version },
  },
});
const { version } = values;
if (!/^\d[\w.+~-]*$/.test(version)) fail(`--version ${version}: a digit, then letters, digits and .+~-`);
checkTools();
const stage = mkdtempSync(join(tmpdir(), 'lockstep-deb-'));
try {
  putPrograms(stage);
  putManuals(stage);
  putRest(stage);
  putControl(stage);
  normalizeModes(stage);
  const folder = resolve(values.out);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `lockstep_${version}_${output('dpkg', ['--print-architecture'])}.deb`);
  const env = { ...process.env, SOURCE_DATE_EPOCH: sourceTime() };
  output('dpkg-deb', ['--root-owner-group', '--build', stage, path], { env });
  console.log(path);
} finally {
  rmSync(stage, { recursive: true, force: true });
}
