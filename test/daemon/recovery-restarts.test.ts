/** R11: when a mirror's device is suspended and resumed for its kernel's sake, and what a killed daemon leaves of that. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DeviceRestarts } from '../../ts/daemon/recovery-restarts.js';
import type { RestingLog } from '../../ts/mirror/recovery-restarts.js';
import { RestartOutcome, restartRecovery } from '../../ts/native/dm-restart.js';
import { readMirrorLogs } from '../../ts/native/dm-tables.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lockstep restarts '));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A log whose kernel believes that all is in sync, and it is not. */
function resting(logFailed: boolean, rest: RestingLog['rest'] = 'latched'): RestingLog {
  return { rest, logFailed };
}

type Ended = (errno: number, outcome: RestartOutcome) => void;

/** A daemon's restarts over a device-mapper that answers when it is told to. */
class Daemon {
  readonly asked: { uuid: string; resumeOnly: boolean; ended: Ended; fileThen: string }[] = [];
  readonly said: string[] = [];
  readonly passedOn: string[] = [];
  needed = true;
  rest: RestingLog['rest'] = 'latched';
  failed = false;
  refuses = false;
  readonly restarts: DeviceRestarts;

  constructor(bootId = 'boot-1') {
    this.restarts = new DeviceRestarts({
      stateDirectory: join(folder, 'logs'),
      bootId,
      restart: (uuid, resumeOnly, ended) => {
        if (this.refuses) return false;
        this.asked.push({ uuid, resumeOnly, ended, fileThen: readFileSync(path(), 'utf8') });
        return true;
      },
      log: () => (this.needed ? resting(this.failed, this.rest) : null),
      report: (level, event, uuid, text) => this.said.push(`${level} ${event} ${uuid}: ${text}`),
      passOn: (uuid) => this.passedOn.push(uuid),
      retryMs: 5,
    });
  }

  async nextAsk(): Promise<(typeof this.asked)[number]> {
    while (this.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    return this.asked.shift() as (typeof this.asked)[number];
  }
}

const path = () => join(folder, 'restarts');
const intents = () => JSON.parse(readFileSync(path(), 'utf8')).uuids;

it('the intent is written down before anything is suspended, and taken back at the end', async () => {
  const daemon = new Daemon();
  daemon.restarts.want('LVM-a');
  daemon.restarts.want('LVM-a');
  const { fileThen, ended, resumeOnly } = await daemon.nextAsk();
  expect(JSON.parse(fileThen)).toEqual({ bootId: 'boot-1', uuids: ['LVM-a'] });
  expect([resumeOnly, daemon.asked.length]).toEqual([false, 0]);
  ended(0, RestartOutcome.restarted);
  expect(intents()).toEqual([]);
  expect(daemon.said).toEqual([expect.stringMatching(/^notice recovery-restarted LVM-a: /)]);
});

it('without room to write the intent down nothing is suspended, and it is tried again', async () => {
  const daemon = new Daemon();
  // In the way of the file, as no room would be.
  mkdirSync(`${path()}.new`);
  daemon.restarts.want('LVM-a');
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(daemon.asked).toEqual([]);
  expect(daemon.said).toEqual([expect.stringMatching(/^warning recovery-restart-waits LVM-a: .* no room/)]);
  expect(daemon.passedOn).toContain('LVM-a');
  rmSync(`${path()}.new`, { recursive: true });
  const { fileThen, ended } = await daemon.nextAsk();
  expect(JSON.parse(fileThen).uuids).toEqual(['LVM-a']);

  // Its end is written down when there is room again.
  mkdirSync(`${path()}.new`);
  ended(0, RestartOutcome.restarted);
  expect(intents()).toEqual(['LVM-a']);
  rmSync(`${path()}.new`, { recursive: true });
  while (intents().length > 0) await new Promise((resolve) => setTimeout(resolve, 1));
});

it('what an earlier daemon has begun is resumed without room, too', async () => {
  writeFileSync(path(), JSON.stringify({ bootId: 'boot-1', uuids: ['LVM-a'] }));
  mkdirSync(`${path()}.new`);
  const daemon = new Daemon();
  daemon.restarts.takeUp();
  expect((await daemon.nextAsk()).resumeOnly).toBe(true);
});

it('a daemon that was killed in between leaves it to the next one, which only resumes', async () => {
  const killed = new Daemon();
  killed.restarts.want('LVM-a\nand more');
  const next = new Daemon();
  next.restarts.takeUp();
  const { uuid, resumeOnly, ended } = await next.nextAsk();
  expect([uuid, resumeOnly]).toEqual(['LVM-a\nand more', true]);
  ended(5, RestartOutcome.absent);
  // Not given up: the device may still be suspended.
  expect(intents()).toEqual(['LVM-a\nand more']);
  next.needed = false;
  (await next.nextAsk()).ended(0, RestartOutcome.restarted);
  expect(intents()).toEqual([]);
  const afterwards = new Daemon();
  afterwards.restarts.takeUp();
  expect(afterwards.asked).toEqual([]);
});

it('what another boot left, and what is no such file, means nothing', () => {
  new Daemon('boot-0').restarts.want('LVM-a');
  const next = new Daemon();
  next.restarts.takeUp();
  for (const text of ['', 'null', '[]', '{"bootId":"boot-1","uuids":7}', '{"bootId":"boot-1","uuids":[7]}']) {
    writeFileSync(path(), text);
    next.restarts.takeUp();
  }
  expect(next.asked).toEqual([]);
});

it('a device that somebody else has in hand is tried again while the log needs it, and that is said once, and to other hosts', async () => {
  const daemon = new Daemon();
  daemon.restarts.want('LVM-a');
  for (let i = 0; i < 3; i++) (await daemon.nextAsk()).ended(0, RestartOutcome.inactiveTable);
  expect(intents()).toEqual([]);
  expect(daemon.said).toEqual([expect.stringMatching(/^warning recovery-restart-waits LVM-a: .*a table is loaded/)]);
  (await daemon.nextAsk()).ended(0, RestartOutcome.suspended);
  expect(daemon.said).toHaveLength(2);
  daemon.needed = false;
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(daemon.asked).toEqual([]);
  // Another host may do it.
  expect(daemon.passedOn).toEqual(Array(4).fill('LVM-a'));
});

it('waits while the log device has failed: the RESUME would find nothing', async () => {
  const daemon = new Daemon();
  daemon.failed = true;
  daemon.restarts.want('LVM-a');
  expect(daemon.said).toEqual([
    expect.stringMatching(/^warning recovery-restart-waits LVM-a: .*its log device has failed/),
  ]);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(daemon.asked).toEqual([]);
  daemon.failed = false;
  (await daemon.nextAsk()).ended(0, RestartOutcome.restarted);
  expect(intents()).toEqual([]);
});

it('a kernel that was told of no work has time to ask by itself', async () => {
  const daemon = new Daemon();
  daemon.rest = 'told-none';
  daemon.restarts.want('LVM-a');
  expect(daemon.asked).toEqual([]);
  daemon.rest = null;
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(daemon.asked).toEqual([]);
  daemon.rest = 'told-none';
  daemon.restarts.want('LVM-a');
  (await daemon.nextAsk()).ended(0, RestartOutcome.restarted);
  expect(daemon.said).toEqual([expect.stringMatching(/^notice recovery-restarted LVM-a: /)]);
});

it('of several that an earlier daemon had in hand none is forgotten, whichever is done first', async () => {
  const killed = new Daemon();
  for (const uuid of ['LVM-a', 'LVM-b']) killed.restarts.want(uuid);
  const next = new Daemon();
  next.restarts.takeUp();
  const first = await next.nextAsk();
  expect(JSON.parse(first.fileThen).uuids).toEqual(['LVM-a', 'LVM-b']);
  first.ended(0, RestartOutcome.restarted);
  expect(intents()).toEqual(['LVM-b']);
});

it('is tried again when no thread was left', async () => {
  const daemon = new Daemon();
  daemon.refuses = true;
  daemon.restarts.want('LVM-a');
  expect(intents()).toEqual([]);
  daemon.refuses = false;
  (await daemon.nextAsk()).ended(0, RestartOutcome.absent);
  expect(intents()).toEqual([]);
});

const asked = await new Promise<number>((answered) => readMirrorLogs((errno) => answered(errno)));
it.skipIf(asked !== 0)(
  "this host's device-mapper has no such log (skipped without root and a device-mapper)",
  async () => {
    const said: string[] = [];
    const restarts = new DeviceRestarts({
      stateDirectory: join(folder, 'logs'),
      bootId: 'boot-1',
      restart: restartRecovery,
      log: () => resting(false),
      report: (_level, event) => said.push(event),
      passOn: (uuid) => said.push(`passed on: ${uuid}`),
    });
    restarts.want('LVM-nobody-has-this');
    expect(intents()).toEqual(['LVM-nobody-has-this']);
    while (intents().length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    while (said.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(said).toEqual(['passed on: LVM-nobody-has-this']);
    restarts.close();
  },
);
