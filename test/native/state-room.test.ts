/**
 * A state folder that is full: a large record, which has room only where it is used, says so before a bit is stored, and goes on
 * when there is room again. Needs root, for a small tmpfs of its own; otherwise skipped, with the reason in the title.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogState } from '../../ts/mirror/log-state.js';
import { NativeLogStates } from '../../ts/native/log-state.js';
import { TestFolder } from './child-script.js';

const identity = { uuid: 'LVM-state-room', luidHigh: 0, luidLow: 7 };
const regionCount = 2 ** 26;
/** Regions whose bits share a page. */
const pageRegions = 32768;

function mountTmpfs(path: string): string {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,huge=never', 'tmpfs', path], { stdio: 'pipe' });
    return '';
  } catch (error) {
    return `no tmpfs can be mounted: ${(error as Error).message.trim().split('\n').at(-1)}`;
  }
}

/** Why this cannot run here, or ''. */
function probe(): string {
  if (process.getuid?.() !== 0) return 'not root';
  const folder = new TestFolder();
  const reason = mountTmpfs(folder.file('.'));
  if (reason === '') execFileSync('umount', [folder.file('.')]);
  folder.remove();
  return reason;
}

const reason = probe();

describe.skipIf(reason !== '')(`a large record on a full state folder${reason && ` (skipped: ${reason})`}`, () => {
  let folder: TestFolder;
  let tmpfs: string;
  let states: NativeLogStates;
  let state: LogState;

  beforeEach(() => {
    folder = new TestFolder();
    tmpfs = folder.file('tmpfs');
    mkdirSync(tmpfs);
    mountTmpfs(tmpfs);
    states = open();
    const created = states.create(identity, { regionCount, regionSizeSectors: 8 }, 'text', true);
    if (!created.ok) throw new Error(created.text);
    state = created.state;
  });
  afterEach(() => {
    states.close();
    execFileSync('umount', [tmpfs]);
    folder.remove();
  });

  function open(reserveWhole = false): NativeLogStates {
    return new NativeLogStates({ directory: `${tmpfs}/state`, bootId: 'boot', memoryBytesMax: 2 ** 30, reserveWhole });
  }

  const one = new Float64Array(1);
  function region(number: number): Float64Array {
    one[0] = number;
    return one;
  }

  /** Reserves and holds one region a page until there is no room; returns how many pages had some. */
  function fill(): number {
    let pages = 0;
    for (; pages * pageRegions < regionCount; pages++) {
      if (!state.map.reserve(region(pages * pageRegions), 1)) return pages;
      state.map.hold(one, 1);
      state.map.markClean(one, 1);
      state.map.setInSync(pages * pageRegions, true);
    }
    throw new Error('the tmpfs was never full');
  }

  it('takes room only where it is used, refuses without a trace, and goes on when there is room', () => {
    const [name] = readdirSync(`${tmpfs}/state`).filter((entry) => entry.endsWith('.state'));
    const file = `${tmpfs}/state/${name}`;
    expect(statSync(file).blocks * 512).toBeLessThan(64 * 1024);
    writeFileSync(`${tmpfs}/ballast`, Buffer.alloc(512 * 1024));
    const pages = fill();
    expect(pages).toBeGreaterThan(10);
    // Regions that have room go on.
    expect(state.map.reserve(region(5), 1)).toBe(true);
    expect(state.map.hold(one, 1)).toBe(1);
    expect(state.map.heldCount).toBe(pages + 1);
    rmSync(`${tmpfs}/ballast`);
    expect(state.map.reserve(region(pages * pageRegions), 1)).toBe(true);
    expect(state.map.hold(one, 1)).toBe(1);
  });

  it('still has its room in the next daemon', () => {
    const pages = fill();
    states.close();
    states = open();
    const [restored] = states.restore();
    if (restored === undefined) throw new Error('nothing restored');
    state = restored;
    expect(state.map.heldCount).toBe(pages);
    for (let page = 0; page < pages; page++) {
      expect(state.map.reserve(region(page * pageRegions + 1), 1)).toBe(true);
      expect(state.map.hold(one, 1)).toBe(1);
    }
    expect(state.map.reserve(region(regionCount - 1), 1)).toBe(false);
  });

  it('is refused where all of its room is to be reserved, and leaves nothing behind', () => {
    states.close();
    states = open(true);
    const other = { ...identity, luidLow: 8 };
    const refused = states.create(other, { regionCount, regionSizeSectors: 8 }, 'text', true);
    expect(refused).toMatchObject({ ok: false, errno: constants.errno.ENOSPC });
    expect(readdirSync(`${tmpfs}/state`).filter((entry) => entry.endsWith('.state'))).toHaveLength(1);
    execFileSync('mount', ['-o', 'remount,size=64m', tmpfs]);
    const created = states.create(other, { regionCount, regionSizeSectors: 8 }, 'text', true);
    if (!created.ok) throw new Error(created.text);
    execFileSync('mount', ['-o', 'remount,size=26m', tmpfs]);
    const { map } = created.state;
    expect(map.sparse).toBe(false);
    for (let page = 0; page * pageRegions < regionCount; page++) {
      map.hold(region(page * pageRegions), 1);
      map.markClean(one, 1);
      map.setInSync(page * pageRegions, true);
    }
    expect(map.heldCount).toBe(regionCount / pageRegions);
  });

  it('of a daemon that took room where it was used has all of it in the next one, if there is any', () => {
    states.close();
    const problems: string[] = [];
    const again = () =>
      new NativeLogStates({
        directory: `${tmpfs}/state`,
        bootId: 'boot',
        memoryBytesMax: 2 ** 30,
        reserveWhole: true,
        onProblem: (text) => problems.push(text),
      });
    states = again();
    expect(states.restore()[0]?.map.sparse).toBe(true);
    expect(problems).toEqual([expect.stringMatching(/not all of its room could be reserved: No space left/)]);
    states.close();
    execFileSync('mount', ['-o', 'remount,size=64m', tmpfs]);
    states = again();
    expect(states.restore()[0]?.map.sparse).toBe(false);
    expect(problems).toHaveLength(1);
  });

  it('imports clean bits only where there is room for them', () => {
    const { image } = state;
    if (image === null) throw new Error('a disk log has an image');
    state.map.fillClean(0, regionCount, false);
    expect(image.importBytes(1024, Buffer.alloc(1 << 20), regionCount)).toBe(true);
    const used = () => Number(execFileSync('df', ['--output=used', '-B1', tmpfs], { encoding: 'utf8' }).split('\n')[1]);
    const before = used();
    expect(image.importBytes(1024, Buffer.alloc(1 << 20), regionCount)).toBe(true);
    expect(used()).toBe(before);
    expect(image.importBytes(1024, Buffer.alloc(4096, 0xa5), regionCount)).toBe(true);
    expect(used()).toBe(before + 3 * 4096);
    state.map.copyCleanToInSync();
    expect(state.map.syncCount).toBe(pageRegions / 2);
    expect(used()).toBe(before + 3 * 4096);
    expect(image.importBytes(1024, Buffer.alloc(1 << 20, 0xa5), regionCount)).toBe(false);
    expect(state.map.cleanCount).toBe(pageRegions / 2);
  });
});
