/**
 * The Debian package: built, installed in a copy of this machine's root, used, installed again, removed and purged there
 * (chroot.sh). Needs root, overlayfs and Debian's tools; says which is missing.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { whyNoConnector } from '../daemon/cmirrord-process.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'lockstep deb '));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function build(out: string) {
  const built = spawnSync(process.execPath, [join(root, 'packaging/build-deb.mjs'), '--out', join(folder, out)], {
    encoding: 'utf8',
    env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000' },
  });
  if (built.status !== 0) throw new Error(built.stderr);
  return built.stdout.trim();
}

function whyNoBuild(): string | null {
  for (const tool of ['dpkg-deb', 'scdoc', 'strip']) {
    if (spawnSync(tool, ['--version']).error !== undefined) return `${tool} is not installed`;
  }
  return null;
}

function whyNoChroot(): string | null {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!/\boverlay$/m.test(readFileSync('/proc/filesystems', 'utf8'))) return 'the kernel has no overlayfs';
  for (const tool of ['unshare', 'chroot', 'man']) {
    if (spawnSync(tool, ['--version']).error !== undefined) return `${tool} is not installed`;
  }
  return spawnSync('unshare', ['-m', 'true']).status === 0 ? null : 'no mount namespace to be had here';
}

const noBuild = whyNoBuild();
const noChroot = noBuild ?? whyNoChroot();

describe.skipIf(noBuild !== null)(`the package (${noBuild ?? 'built here'})`, () => {
  it('is the same bytes when it is built again, and holds only what is needed', () => {
    const first = build('first');
    expect(readFileSync(first).equals(readFileSync(build('second')))).toBe(true);
    const listed = spawnSync('dpkg-deb', ['-c', first], { encoding: 'utf8' }).stdout;
    const wanted = ['usr/sbin/cmirrord', 'usr/sbin/lockstepd', 'usr/lib/lockstep/dist/daemon/engine-entry.js'];
    for (const path of wanted) expect(listed).toContain(` ./${path}\n`);
    expect(listed).toMatch(/^-rwxr-xr-x .* \.\/usr\/lib\/ocf\/resource\.d\/lockstep\/mirror-log$/m);
    expect(listed).not.toMatch(/dist\/(sim|demo|pool)\/|\/(piscina|vitest|typescript)\//);
    // Nobody but root writes to what root runs.
    for (const line of listed.trim().split('\n')) expect(line).toMatch(/^[-d]rw[-x]r-[-x]r-[-x] root\/root /);
  });
});

describe.skipIf(noChroot !== null)(`in a chroot (${noChroot ?? 'here'})`, () => {
  it('is installed, used, installed again, removed and purged', () => {
    const base = join(folder, 'chroot');
    mkdirSync(base);
    const connector = whyNoConnector() === null ? ['connector'] : [];
    const script = join(root, 'test/packaging/chroot.sh');
    const argv = ['-m', 'sh', script, build('chroot-package'), base, ...connector];
    const ran = spawnSync('unshare', argv, { encoding: 'utf8', timeout: 110_000 });
    expect(`${ran.stdout}${ran.stderr}`.trim().split('\n')).toEqual([
      'ok install',
      'ok lockstepd --version',
      'ok the delivered configuration is good',
      'ok cmirrord -h',
      'ok manual pages',
      'ok what is installed is what was packed',
      'ok lockstepd serves a simulated kernel and ends',
      ...connector.map(() => 'ok cmirrord starts in the background and ends'),
      'ok Node may be anywhere',
      'ok installed again, the configuration is kept',
      'ok removal is refused while mirrors use it',
      'ok removed: only conffiles are left',
      'ok purged: nothing is left',
    ]);
    expect(ran.status).toBe(0);
  });
});
