/**
 * Versions of the state record: an upgrade under load is a restart that finds the records of the version before. Each
 * released version has a fixture that is read, or is refused by its number; and today's layout cannot change under the
 * number that it has.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KernelClient } from '../connector/kernel-client.js';
import { DaemonFolder } from '../daemon/daemon-process.js';
import {
  fixtureBootId,
  fixtureFolder,
  fixtureIdentity,
  recordName,
  todaysRecord,
  versionOffset,
} from './state-fixture.js';

const today = todaysRecord();
const todaysVersion = today.readUInt32LE(versionOffset);
const todaysFixture = join(fixtureFolder, `version-${todaysVersion}.state`);
const { LOCKSTEP_WRITE_FIXTURES: write } = process.env;
if (write === '1') {
  mkdirSync(fixtureFolder, { recursive: true });
  writeFileSync(todaysFixture, today);
}

let folder: DaemonFolder;
beforeEach(() => {
  folder = new DaemonFolder();
  mkdirSync(folder.state, { mode: 0o700 });
});
afterEach(() => folder.remove());

it('this program writes the record that the fixture of its version has, byte for byte', () => {
  // When this fails the layout has changed: give it a new version, and the new version a fixture.
  expect(today.equals(readFileSync(todaysFixture))).toBe(true);
});

const readable = readdirSync(fixtureFolder).filter((name) => name.endsWith('.state'));

describe.each(readable)('the record of %s', (name) => {
  it('is taken up by the daemon, with everything in it', async () => {
    copyFileSync(join(fixtureFolder, name), join(folder.state, recordName));
    const daemon = folder.start('--boot-id', fixtureBootId);
    await daemon.said(/ ready .*restoredLogs=1/);
    expect((await daemon.status()).logs).toMatchObject([
      {
        uuid: fixtureIdentity.uuid,
        luid: 'ffff888123456780',
        type: 'core',
        lifeCycle: 'active',
        restored: true,
        regionCount: 1000,
        regionSizeSectors: 1024,
        inSyncCount: 999,
        heldCount: 3,
        recoveringRegion: 17,
        marksUnknown: false,
        logFailed: false,
        resumeCount: 5,
      },
    ]);
    const kernel = await KernelClient.connect(folder.socket);
    const log = { uuid: fixtureIdentity.uuid, luid: fixtureIdentity.luidLow, luidHigh: fixtureIdentity.luidHigh };
    const clean = [];
    for (const region of [2, 3, 17, 63, 64, 65, 998, 999]) clean.push((await kernel.isClean(log, region)).value(0));
    expect(clean).toEqual([1, 0, 0, 1, 0, 1, 1, 0]);
    kernel.close();
  });
});

it.each([todaysVersion + 1, 0, 0xffff_ffff])('a record of version %i is refused by its number', async (version) => {
  const record = Buffer.from(today);
  record.writeUInt32LE(version, versionOffset);
  writeFileSync(join(folder.state, recordName), record);
  const daemon = folder.start('--boot-id', fixtureBootId);
  await daemon.said(/ ready .*restoredLogs=0/);
  expect(daemon.stderr).toContain(`version ${version} of the state file, this program reads version ${todaysVersion}`);
  expect(readdirSync(folder.state)).toContain(`${recordName}.unreadable`);
  expect(readFileSync(join(folder.state, `${recordName}.unreadable`)).equals(record)).toBe(true);
});
