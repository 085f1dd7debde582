/**
 * Copies of a log that have had the same messages are the same: their bits, and which region whose kernel recovers. Looked at
 * once for each pair of bonded hosts and each place of the order at which both stand.
 */
import { MapBits, type RegionMap } from '../../regions/region-map.js';
import { type Evaluations, Violation } from '../checks/violation.js';
import type { CountedState } from '../daemon/counted-state.js';
import type { Host } from '../host.js';
import type { Bonds } from './bonds.js';
import type { Sight } from './sights.js';

/** Two copies are compared bit by bit up to here; behind it their counts say enough. */
const comparedRegions = 200;

export class Agreement {
  readonly #evaluations: Evaluations;
  readonly #bonds: Bonds;
  /** By log: the last place of the order at which a pair was compared, by the places of both in the list of hosts. */
  readonly #compared = new Map<string, number[]>();
  readonly #left = new Uint8Array(comparedRegions / 8);
  readonly #right = new Uint8Array(comparedRegions / 8);

  constructor(evaluations: Evaluations, bonds: Bonds) {
    this.#evaluations = evaluations;
    this.#bonds = bonds;
  }

  /** `changed`: hosts of which something is otherwise than at the last look. */
  check(uuid: string, seen: readonly Sight[], changed: readonly boolean[]): void {
    let compared = this.#compared.get(uuid);
    if (compared === undefined) {
      compared = [];
      this.#compared.set(uuid, compared);
    }
    for (let i = 0; i < seen.length; i++) {
      const a = (seen[i] as Sight).host;
      const at = a.membership?.taken;
      if (at === undefined) continue;
      for (let j = i + 1; j < seen.length; j++) {
        if (!changed[i] && !changed[j]) continue;
        const b = (seen[j] as Sight).host;
        const pair = i * seen.length + j;
        if (at !== b.membership?.taken || compared[pair] === at || !this.#bonds.bonded(uuid, a, b)) continue;
        compared[pair] = at;
        this.#compare(uuid, a, b);
      }
    }
  }

  #compare(uuid: string, a: Host, b: Host): void {
    const first = a.liveState(uuid);
    const second = b.liveState(uuid);
    if (first === null || second === null || first.marksUnknown || second.marksUnknown) return;
    const [mine, theirs] = [first.map.inner, second.map.inner];
    const regions = Math.min(mine.regionCount, theirs.regionCount, comparedRegions);
    const counts = mine.cleanCount === theirs.cleanCount && mine.syncCount === theirs.syncCount;
    if (!counts || !this.#sameBits(mine, theirs, regions)) {
      for (let region = 0; region < regions; region++) {
        const [left, right] = [bits(mine, region), bits(theirs, region)];
        const where = `${a.name} has ${left}, ${b.name} ${right}, at the same place`;
        if (left !== right) fail(uuid, `region ${region}: ${where}`);
      }
    }
    if (!counts) fail(uuid, `${a.name} and ${b.name} have other counts at the same place`);
    const [left, right] = [assignment(a, first), assignment(b, second)];
    if (left !== right) fail(uuid, `recovery: ${a.name} has ${left}, ${b.name} ${right}, at the same place`);
    this.#evaluations.held('copies-agree');
  }

  /** Bits behind the last region are looked at too, and are then told apart region by region. */
  #sameBits(mine: RegionMap, theirs: RegionMap, regions: number): boolean {
    const bytes = Math.ceil(regions / 8);
    const [left, right] = [this.#left.subarray(0, bytes), this.#right.subarray(0, bytes)];
    return [MapBits.clean, MapBits.sync].every((which) => {
      mine.exportBits(which, 0, left);
      theirs.exportBits(which, 0, right);
      return left.every((byte, at) => byte === right[at]);
    });
  }
}

function fail(uuid: string, text: string): never {
  throw new Violation('copies-agree', `${uuid}: ${text}`);
}

/** Which region whose kernel recovers, as this host's daemon has it. */
function assignment(host: Host, { recoveringRegion, recoveringNode }: CountedState): string {
  if (recoveringRegion < 0) return 'none';
  return `${recoveringRegion} by node ${recoveringNode < 0 ? host.node : recoveringNode}`;
}

function bits(map: { isClean(region: number): boolean; isInSync(region: number): boolean }, region: number): string {
  return `${map.isClean(region) ? 'clean' : 'dirty'} ${map.isInSync(region) ? 'in sync' : 'out of sync'}`;
}
