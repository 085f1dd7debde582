/**
 * Copies of a log that have had the same messages are the same: their bits, and which region whose kernel recovers. Looked at
 * once for each pair of bonded hosts and each place of the order at which both stand.
 */
import { MapBits } from '../../regions/region-map.js';
import { type Evaluations, Violation } from '../checks/violation.js';
import type { CountedState } from '../daemon/counted-state.js';
import type { Host } from '../host.js';
import type { Bonds } from './bonds.js';
import type { LogSights, Sight, Sights } from './sights.js';

/** Two copies are compared bit by bit up to here; behind it their counts say enough. */
const comparedRegions = 200;

/** What is compared of a copy, as it was when it had changed so often. */
interface Bits {
  state: CountedState | null;
  changes: number;
  cleanCount: number;
  syncCount: number;
  readonly clean: Uint8Array;
  readonly sync: Uint8Array;
}

interface Compared {
  /** By the places of both hosts of a pair in the list of hosts: the last place of the order at which they were compared. */
  readonly at: number[];
  /** By the place of a host. */
  readonly bits: Bits[];
}

export class Agreement {
  readonly #evaluations: Evaluations;
  readonly #bonds: Bonds;
  readonly #logs = new Map<string, Compared>();

  constructor(evaluations: Evaluations, bonds: Bonds) {
    this.#evaluations = evaluations;
    this.#bonds = bonds;
  }

  check(sights: Sights, { uuid, seen }: LogSights): void {
    const { changed } = sights;
    let log = this.#logs.get(uuid);
    if (log === undefined) {
      log = { at: [], bits: seen.map(noBits) };
      this.#logs.set(uuid, log);
    }
    for (let i = 0; i < seen.length; i++) {
      const at = sights.membership(i)?.taken;
      if (at === undefined) continue;
      for (let j = i + 1; j < seen.length; j++) {
        if (!changed[i] && !changed[j]) continue;
        const pair = i * seen.length + j;
        if (log.at[pair] === at || at !== sights.membership(j)?.taken) continue;
        const [a, b] = [seen[i] as Sight, seen[j] as Sight];
        if (!this.#bonds.bonded(uuid, a.host, b.host)) continue;
        log.at[pair] = at;
        this.#compare(uuid, [a, log.bits[i] as Bits], [b, log.bits[j] as Bits]);
      }
    }
  }

  #compare(uuid: string, [{ host: a, state: first }, mine]: [Sight, Bits], [right, theirs]: [Sight, Bits]): void {
    const { host: b, state: second } = right;
    if (first === null || second === null || first.marksUnknown || second.marksUnknown) return;
    takeBits(mine, first);
    takeBits(theirs, second);
    const regions = Math.min(first.map.regionCount, second.map.regionCount, comparedRegions);
    const counts = mine.cleanCount === theirs.cleanCount && mine.syncCount === theirs.syncCount;
    if (!counts || !same(mine.clean, theirs.clean, regions) || !same(mine.sync, theirs.sync, regions)) {
      for (let region = 0; region < regions; region++) {
        const [left, right] = [bits(first.map.inner, region), bits(second.map.inner, region)];
        const where = `${a.name} has ${left}, ${b.name} ${right}, at the same place`;
        if (left !== right) fail(uuid, `region ${region}: ${where}`);
      }
    }
    if (!counts) fail(uuid, `${a.name} and ${b.name} have other counts at the same place`);
    if (recoveryOf(a, first) !== recoveryOf(b, second) || first.recoveringRegion !== second.recoveringRegion) {
      const [left, right] = [assignment(a, first), assignment(b, second)];
      fail(uuid, `recovery: ${a.name} has ${left}, ${b.name} ${right}, at the same place`);
    }
    this.#evaluations.held('copies-agree');
  }
}

function noBits(): Bits {
  const bytes = comparedRegions / 8;
  return {
    state: null,
    changes: -1,
    cleanCount: 0,
    syncCount: 0,
    clean: new Uint8Array(bytes),
    sync: new Uint8Array(bytes),
  };
}

function takeBits(taken: Bits, state: CountedState): void {
  const changes = state.changes.value;
  if (taken.state === state && taken.changes === changes) return;
  taken.state = state;
  taken.changes = changes;
  const map = state.map.inner;
  taken.cleanCount = map.cleanCount;
  taken.syncCount = map.syncCount;
  const bytes = Math.ceil(Math.min(map.regionCount, comparedRegions) / 8);
  for (const [which, into] of [
    [MapBits.clean, taken.clean],
    [MapBits.sync, taken.sync],
  ] as const)
    map.exportBits(which, 0, bytes === into.length ? into : into.subarray(0, bytes));
}

/** Bits behind the last region are looked at too, and are then told apart region by region. */
function same(left: Uint8Array, right: Uint8Array, regions: number): boolean {
  const bytes = Math.ceil(regions / 8);
  for (let at = 0; at < bytes; at++) if (left[at] !== right[at]) return false;
  return true;
}

/** The node whose kernel recovers; -1: none. */
function recoveryOf(host: Host, { recoveringRegion, recoveringNode }: CountedState): number {
  if (recoveringRegion < 0) return -1;
  return recoveringNode < 0 ? host.node : recoveringNode;
}

function fail(uuid: string, text: string): never {
  throw new Violation('copies-agree', `${uuid}: ${text}`);
}

/** Which region whose kernel recovers, as this host's daemon has it. */
function assignment(host: Host, state: CountedState): string {
  const { recoveringRegion, recoveryDoubted } = state;
  if (recoveringRegion < 0) return 'none';
  return `${recoveringRegion} by node ${recoveryOf(host, state)}${recoveryDoubted ? ', whose end says nothing' : ''}`;
}

function bits(map: { isClean(region: number): boolean; isInSync(region: number): boolean }, region: number): string {
  return `${map.isClean(region) ? 'clean' : 'dirty'} ${map.isInSync(region) ? 'in sync' : 'out of sync'}`;
}
