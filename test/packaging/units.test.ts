/** The systemd units: what the daemon's promises need of them, and systemd's own opinion where it is installed. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'lockstep-units-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (name: string) => readFileSync(new URL(`../../packaging/${name}`, import.meta.url), 'utf8');
const noVerify = spawnSync('systemd-analyze', ['--version']).error !== undefined;

describe.each([
  [
    'lockstepd.service',
    'lvm2-cmirrord.service',
    [
      ...['Type=notify', 'ExecStart=/usr/sbin/lockstepd --journal'],
      // Up before the file systems that may lie on mirrors, down after them.
      'Before=local-fs-pre.target remote-fs-pre.target blk-availability.service shutdown.target',
      'Wants=local-fs-pre.target',
    ],
  ],
  [
    'lvm2-cmirrord.service',
    'lockstepd.service',
    // It comes after corosync, and so after local file systems; where it takes over from the other, after the end of that.
    [
      'After=corosync.service lockstepd.service',
      'Type=forking',
      'PIDFile=/run/cmirrord.pid',
      'Before=remote-fs-pre.target blk-availability.service shutdown.target',
    ],
  ],
])('%s', (name, other, own) => {
  const lines = read(name).split('\n');

  it.each([
    ...own,
    // Mirrors wait for the daemon: it is never swapped, never chosen by the OOM killer, its mappings may be locked.
    'MemorySwapMax=0',
    'OOMScoreAdjust=-1000',
    'LimitMEMLOCK=infinity',
    'DefaultDependencies=no',
    // Five deaths in ten seconds are no reason to leave mirrors hanging.
    'StartLimitIntervalSec=0',
    // Nor is a mistake in the configuration a reason to start ten times a second.
    `ExecStopPost=-/bin/sh -c 'case "$$EXIT_STATUS" in ""|2|3) sleep 5 ;; esac'`,
    // The capabilities of the daemon load no modules.
    'ExecStartPre=-+/sbin/modprobe dm-log-userspace',
    'ExecStop=-/usr/lib/lockstep/before-stop',
    // A restart under load is an upgrade: the old process refuses SIGTERM, and SIGKILL is safe.
    'RestartKillSignal=SIGKILL',
    'SuccessExitStatus=SIGKILL',
    'KillMode=process',
    'Restart=always',
    'RuntimeDirectoryPreserve=yes',
    // Two daemons never answer one kernel.
    `Conflicts=shutdown.target ${other}`,
  ])('says %s', (line) => {
    expect(lines).toContain(line);
  });

  it('has no mount namespace of its own, in which file systems on its own mirrors would stay mounted', () => {
    const takers =
      /^(Protect(System|Home|KernelTunables|KernelModules|KernelLogs|ControlGroups|Clock)|Private|ReadWrite|ReadOnly|Inaccessible|Exec(Search)?Path|Bind|TemporaryFileSystem|Mount|Root|DynamicUser)/;
    expect(lines.filter((line) => takers.test(line))).toEqual([]);
  });

  it('may use every capability that the daemon needs', () => {
    const bound = lines.find((line) => line.startsWith('CapabilityBoundingSet=')) ?? '';
    for (const capability of ['SYS_ADMIN', 'NET_ADMIN', 'SYS_RESOURCE', 'IPC_LOCK']) {
      expect(bound).toContain(`CAP_${capability}`);
    }
  });

  it.skipIf(noVerify)('is what systemd-analyze verifies (skipped without it)', () => {
    // The programs and the manual pages are installed elsewhere, if at all: they are not what is looked at here.
    const text = read(name)
      .replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true')
      .replace(/^ExecStop=\S+/m, 'ExecStop=/bin/true')
      .replace(/^Documentation=.*\n/m, '');
    const path = join(folder, name);
    writeFileSync(path, text);
    // Enabled, so that what it orders itself before and after is looked at with a whole boot around it.
    const target = /^WantedBy=(.*)$/m.exec(text)?.[1];
    mkdirSync(join(folder, `${target}.wants`), { recursive: true });
    symlinkSync(path, join(folder, `${target}.wants`, name));
    const verify = (...words: string[]) => {
      const env = { ...process.env, SYSTEMD_UNIT_PATH: `${folder}:` };
      const { stdout, stderr, status } = spawnSync('systemd-analyze', ['verify', '--man=no', ...words], {
        encoding: 'utf8',
        env,
      });
      return { said: `${stdout}${stderr}`, status };
    };
    const alone = verify(path);
    expect(alone.said).not.toMatch(new RegExp(`${name.replace('.', '\\.')}|${folder}`));
    expect(alone.status).toBe(0);
    expect(verify('default.target').said).not.toContain('ordering cycle');
  });
});
