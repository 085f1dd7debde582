/** A log's state record in plain JavaScript, for tests of the checkers: they must fire on what a test writes into it. */
import type { LogImage } from '../../ts/mirror/log-image.js';
import { LifeCycle } from '../../ts/mirror/log-state.js';
import type { RegionMap, RegionOwners } from '../../ts/regions/region-map.js';
import type { CountedState, CountedStates } from '../../ts/sim/daemon/counted-state.js';

export class PlainMap implements RegionMap {
  readonly regionCount: number;
  readonly sparse = false;
  readonly clean = new Set<number>();
  readonly sync = new Set<number>();
  readonly held = new Set<number>();

  constructor(regionCount: number) {
    this.regionCount = regionCount;
  }

  get cleanCount(): number {
    return this.clean.size;
  }
  get syncCount(): number {
    return this.sync.size;
  }
  get heldCount(): number {
    return this.held.size;
  }
  reserve(): boolean {
    return true;
  }
  isClean(region: number): boolean {
    return this.clean.has(region);
  }
  isInSync(region: number): boolean {
    return this.sync.has(region);
  }
  isHeld(region: number): boolean {
    return this.held.has(region);
  }
  allHeld(): boolean {
    return false;
  }
  hold(): number {
    return 0;
  }
  unhold(): number {
    return 0;
  }
  markDirty(): number {
    return 0;
  }
  markClean(): number {
    return 0;
  }
  setInSync(): boolean {
    return false;
  }
  nextOutOfSync(from: number): number {
    return this.#next(from, (region) => !this.sync.has(region));
  }
  nextDirty(from: number): number {
    return this.#next(from, (region) => !this.clean.has(region));
  }
  nextHeld(from: number): number {
    return this.#next(from, (region) => this.held.has(region));
  }
  fillClean(from: number, to: number): void {
    for (let region = from; region < to; region++) this.clean.add(region);
  }
  fillInSync(from: number, to: number): void {
    for (let region = from; region < to; region++) this.sync.add(region);
  }
  copyCleanToInSync(): void {}
  unholdAll(): void {}
  exportBits(): void {}
  importBits(): boolean {
    return true;
  }

  #next(from: number, is: (region: number) => boolean): number {
    for (let region = from; region < this.regionCount; region++) if (is(region)) return region;
    return -1;
  }
}

export interface PlainState {
  identity: { uuid: string; luidHigh: number; luidLow: number };
  geometry: { regionCount: number; regionSizeSectors: number };
  constructorText: string;
  lifeCycle: LifeCycle;
  recoveringRegion: number;
  inSyncLatched: boolean;
  marksUnknown: boolean;
  logFailed: boolean;
  draining: boolean;
  deviceNumber: number;
  map: { inner: PlainMap };
  owners: Pick<RegionOwners, 'has'>;
  owned: Set<number>;
  sticky: { size: number; regions: Map<number, number> };
  image: LogImage | null;
}

/** An active log, every region in sync and clean. */
export function plainState(uuid: string, regionCount: number): PlainState {
  const map = new PlainMap(regionCount);
  map.fillClean(0, regionCount);
  map.fillInSync(0, regionCount);
  const owned = new Set<number>();
  return {
    identity: { uuid, luidHigh: 1, luidLow: 0x1000 },
    geometry: { regionCount, regionSizeSectors: 8 },
    constructorText: 'text',
    lifeCycle: LifeCycle.active,
    recoveringRegion: -1,
    inSyncLatched: false,
    marksUnknown: false,
    logFailed: false,
    draining: false,
    deviceNumber: 0,
    map: { inner: map },
    owned,
    owners: { has: (_node, region) => owned.has(region) },
    sticky: { size: 0, regions: new Map() },
    image: null,
  };
}

/** The checkers read a few members of the record only. */
export function plainStates(states: readonly PlainState[]): CountedStates {
  const keyOf = ({ uuid, luidHigh, luidLow }: PlainState['identity']) => `${uuid}/${luidHigh}/${luidLow}`;
  const find = (key: string) =>
    states.find((state) => keyOf(state.identity) === key) as unknown as CountedState | undefined;
  return { find } as unknown as CountedStates;
}
