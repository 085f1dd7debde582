/**
 * The OCF resource agent: what ocf-tester finds, and what that does not look at: a daemon that refuses to end, one that was killed, one that
 * hangs, one that is in no group. With the real daemon on this machine's connector; needs root and resource-agents.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { whyNoConnector } from '../daemon/cmirrord-process.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const source = join(root, 'packaging/ocf/mirror-log');

const success = 0;
const generic = 1;
const unimplemented = 3;
const notInstalled = 5;
const notConfigured = 6;
const notRunning = 7;

function whyNoAgent(): string | null {
  if (!existsSync('/usr/lib/ocf/lib/heartbeat/ocf-shellfuncs')) return 'resource-agents is not installed';
  for (const tool of ['ocf-tester', 'xmllint']) {
    if (spawnSync(tool, ['--version']).error !== undefined) return `${tool} is not installed`;
  }
  return whyNoConnector();
}

const why = whyNoAgent();

it.skipIf(spawnSync('shellcheck', ['--version']).error !== undefined)(
  'is clean for shellcheck (skipped without it)',
  () => {
    const { stdout, status } = spawnSync('shellcheck', [source], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, '']);
  },
);

describe.skipIf(why !== null)(`the resource agent (${why ?? 'run here'})`, () => {
  // ocf-tester has no quotes around the agent, and reads its meta-data as nobody.
  const place = mkdtempSync('/tmp/lockstep-ocf-');
  const agent = join(place, 'mirror-log');
  const folder = join(place, 'with a blank');
  const config = join(folder, 'lockstep.toml');
  const pidfile = join(folder, 'cmirrord.pid');
  const parameters = {
    binary: join(folder, 'cmirrord'),
    client: join(folder, 'lockstep'),
    config,
    socket: join(folder, 'control.sock'),
    pidfile,
  };
  chmodSync(place, 0o755);
  copyFileSync(source, agent);
  mkdirSync(folder);
  for (const name of ['cmirrord', 'lockstep']) {
    const script = `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'dist/bin', `${name}.js`)}" "$@"\n`;
    writeFileSync(join(folder, name), script, { mode: 0o755 });
  }
  afterAll(() => rmSync(place, { recursive: true, force: true }));

  beforeEach(() => configure('transport = "local"\n'));
  afterEach(() => {
    act('stop');
  });

  function configure(more: string): void {
    const paths = `cmirrord_pid_file = ${JSON.stringify(pidfile)}\nstate_dir = ${JSON.stringify(join(folder, 'logs'))}\n`;
    writeFileSync(config, `${paths}${more}`);
  }

  function act(action: string, env: Record<string, string> = {}): { code: number | null; said: string } {
    const given = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [`OCF_RESKEY_${name}`, value]));
    const { status, stdout, stderr } = spawnSync(agent, [action], {
      encoding: 'utf8',
      env: {
        ...process.env,
        ...given,
        OCF_ROOT: '/usr/lib/ocf',
        OCF_RESOURCE_INSTANCE: 'log',
        __OCF_ACTION: action,
        ...env,
      },
    });
    return { code: status, said: `${stdout}${stderr}` };
  }

  const pid = () => Number(readFileSync(pidfile, 'utf8'));

  it('passes ocf-tester', () => {
    const given = Object.entries(parameters).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    const { status, stdout, stderr } = spawnSync('ocf-tester', ['-n', 'log', ...given, agent], { encoding: 'utf8' });
    expect(`${stdout}${stderr}`).toContain(`${agent} passed all tests`);
    expect(status).toBe(0);
  });

  it('a daemon that was killed is not running, and the next start takes up what it left', () => {
    expect(act('start')).toMatchObject({ code: success });
    const before = pid();
    process.kill(before, 'SIGKILL');
    while (existsSync(`/proc/${before}`)) spawnSync('sleep', ['0.05']);
    expect(act('monitor').code).toBe(notRunning);
    expect(act('start')).toMatchObject({ code: success });
    expect(pid()).not.toBe(before);
  });

  it('a daemon that hangs is alive, and its control socket tells the deeper look; a stop ends it', () => {
    expect(act('start').code).toBe(success);
    const hung = pid();
    expect(act('monitor', { OCF_CHECK_LEVEL: '10' }).code).toBe(success);
    process.kill(hung, 'SIGSTOP');
    expect(act('monitor').code).toBe(success);
    const deep = act('monitor', { OCF_CHECK_LEVEL: '10' });
    expect([deep.code, deep.said]).toEqual([generic, expect.stringContaining('does not answer on')]);
    const stopped = act('stop');
    expect([stopped.code, stopped.said]).toEqual([success, expect.stringContaining('wait for the next one')]);
    expect(existsSync(`/proc/${hung}`)).toBe(false);
    expect(act('monitor').code).toBe(notRunning);
  });

  it('a daemon without a group does not count as started, and the reason is said', () => {
    configure('transport = "corosync"\n');
    const started = act('start', { OCF_RESKEY_CRM_meta_timeout: '8000' });
    expect([started.code, started.said]).toEqual([generic, expect.stringMatching(/serves no log yet: .*corosync/)]);
    expect(act('stop').code).toBe(success);
  });

  it('what is wrong with it is said: configuration, program, action', () => {
    configure('transprot = "local"\n');
    const misspelt = act('start');
    expect([misspelt.code, misspelt.said]).toEqual([generic, expect.stringMatching(/lockstep\.toml:3: unknown key/)]);
    expect(act('start', { OCF_RESKEY_binary: '/no/such/daemon' }).code).toBe(notInstalled);
    expect(act('validate-all', { OCF_RESKEY_config: '/no/such/file' }).code).toBe(notConfigured);
    expect(act('promote').code).toBe(unimplemented);
  });
});
