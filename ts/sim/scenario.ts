/** What one seed stands for: mirrors, their logs, settings and how many faults come. */
import type { Prng } from './prng.js';

export interface MirrorPlan {
  readonly uuid: string;
  readonly disk: boolean;
  readonly regionSectors: number;
  readonly sectors: number;
  /** Sectors that the legs have: a reload may make the table longer. */
  readonly sectorsMax: number;
  readonly words: readonly string[];
  readonly integratedFlush: boolean;
  readonly logicalBlockBytes: number;
  /** Bytes of the log device beyond what the longest table needs. */
  readonly spareBytes: number;
  readonly nameByNumbers: boolean;
  /** Regions that most writes go to. */
  readonly hotRegions: number;
  readonly burstMax: number;
  readonly pauseMsMax: number;
}

export interface Scenario {
  readonly mirrors: readonly MirrorPlan[];
  readonly stickyIdleMs: number;
  readonly stickyMax: number;
  readonly cleanCommitMs: number;
  readonly acknowledgeMsMax: number;
  readonly wakeMsMax: number;
  readonly faults: number;
  readonly requestsMin: number;
}

/** Regions whose clean bits need two blocks of the log, or three: writes must hit the right one. */
const largeRegions = [
  { min: 32_700, max: 40_000 },
  { min: 57_400, max: 65_000 },
] as const;

/** `shared`: several hosts have the mirrors. */
export function planScenario(prng: Prng, shared = false): Scenario {
  const count = prng.pick([1, 1, 1, 1, 2, 2, 3]);
  const large = prng.chance(0.03) && !shared ? 0 : -1;
  return {
    mirrors: Array.from({ length: count }, (_, index) => planMirror(prng, index, index === large)),
    stickyIdleMs: prng.pick([0, 50, 500, 2000, 2000]),
    stickyMax: prng.pick([1, 3, 64, 4096]),
    cleanCommitMs: prng.pick([1, 200, 1000, 1000]),
    acknowledgeMsMax: prng.pick([0, 0, 2, 20]),
    wakeMsMax: prng.pick([0, 0.05, 2]),
    faults: prng.between(3, 8),
    requestsMin: prng.between(300, 450),
  };
}

function planMirror(prng: Prng, index: number, large: boolean): MirrorPlan {
  const disk = large || prng.chance(0.6);
  const regionSectors = large ? 2 : prng.pick([2, 4, 8, 16]);
  const regions = large ? planLargeRegions(prng) : planRegions(prng);
  const short = prng.chance(0.5) ? 0 : prng.below(regionSectors);
  const sectors = Math.max(regionSectors, regions * regionSectors - short);
  const growth = large ? 0 : prng.between(0, 20) * regionSectors;
  // Large logs start in sync: a resync of them all would be the whole run.
  const sync = large ? 'nosync' : prng.pick(['', '', 'nosync', 'nosync', 'sync']);
  const words = [sync, prng.chance(0.3) ? 'block_on_error' : ''].filter((word) => word !== '');
  return {
    uuid: `LVM-${prng.next().toString(16)}-${index}`,
    disk,
    regionSectors,
    sectors,
    sectorsMax: sectors + growth,
    words,
    integratedFlush: prng.chance(0.4),
    logicalBlockBytes: prng.pick([512, 512, 4096]),
    spareBytes: prng.pick([0, 0, 512, 65_536]),
    nameByNumbers: prng.chance(0.5),
    hotRegions: Math.max(1, Math.min(regions, prng.pick([1, 3, 10, 60]))),
    burstMax: prng.pick([1, 3, 12, 90]),
    pauseMsMax: prng.pick([5, 60, 700, 4000]),
  };
}

function planLargeRegions(prng: Prng): number {
  const { min, max } = prng.pick(largeRegions);
  return prng.between(min, max);
}

function planRegions(prng: Prng): number {
  const size = prng.below(10);
  if (size < 3) return prng.between(1, 8);
  if (size < 8) return prng.between(9, 40);
  return prng.between(41, 90);
}
