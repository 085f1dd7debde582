/**
 * State records of released versions, and the recipe of today's. A fixture is what the program of its version left in the
 * state folder; `LOCKSTEP_WRITE_FIXTURES=1 npx vitest run test/native/state-versions.test.ts` writes the one of today's
 * version, which is right only together with a new version number.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LifeCycle, type LogState } from '../../ts/mirror/log-state.js';
import { NativeLogStates } from '../../ts/native/log-state.js';

export const fixtureFolder = fileURLToPath(new URL('../fixtures/state/', import.meta.url));
export const fixtureBootId = '11111111-2222-4333-8444-555555555555';
export const fixtureIdentity = { uuid: 'LVM-fixture', luidHigh: 0xffff_8881, luidLow: 0x2345_6780 };
export const fixtureText = '1024000 clustered-core 1024 nosync';
const geometry = { regionCount: 1000, regionSizeSectors: 1024 };
export const recordName = 'fixture.state';
/** Where a record keeps its version. */
export const versionOffset = 8;

/** A core log in use: marks held by its kernel, a region under recovery, everything else in order. */
function use(state: LogState): void {
  state.map.fillClean(0, 1000, true);
  state.map.fillInSync(0, 1000, true);
  state.map.hold(new Float64Array([3, 64, 999]), 3);
  state.map.markDirty(new Float64Array([3, 64, 999]), 3);
  state.map.setInSync(17, false);
  state.map.markDirty(new Float64Array([17]), 1);
  state.everResumed = true;
  state.resumeCount = 5;
  state.searchPosition = 18;
  state.recoveringRegion = 17;
  state.position = 7;
  state.members = Uint8Array.from({ length: 880 }, (_, at) => at);
  state.lifeCycle = LifeCycle.active;
}

/** The bytes of the record as the program of this tree writes them. */
export function todaysRecord(): Buffer {
  const directory = join(mkdtempSync(join(tmpdir(), 'lockstep-fixture-')), 'logs');
  try {
    const states = new NativeLogStates({ directory, bootId: fixtureBootId, memoryBytesMax: 2 ** 24 });
    const made = states.create(fixtureIdentity, geometry, fixtureText, false);
    if (!made.ok) throw new Error(made.text);
    use(made.state);
    states.close();
    const name = readdirSync(directory).find((file) => file.endsWith('.state'));
    if (name === undefined) throw new Error('no record was made');
    return readFileSync(join(directory, name));
  } finally {
    rmSync(join(directory, '..'), { recursive: true, force: true });
  }
}
