/**
 * Which region is recovered next, and what the kernel hears about that (R4, R6, R12, R18).
 *
 * It decides at the delivery of an ordered message, from replicated state alone, so that every member decides the
 * same. It sends nothing and answers nobody.
 *
 * The search: an assignment that stands is given again; then priority wishes, newest first; then the first region
 * out of sync at or behind the search position. A region whose recovery failed stays out of sync and behind the
 * search position until the next resume: handed out at once again it would fail at once again, for ever. A region
 * that a failed write put out of sync moves the search position back, so that it is found in this search already.
 */
import { wishesMax } from '../base/limits.js';
import type { LogState } from './log-state.js';
import { Restrictions } from './restrictions.js';
import { Wishes } from './wishes.js';
import type { World } from './world.js';

/** Nothing to hand out. */
export const noRegion = -1;

export class Recovery {
  readonly wishes = new Wishes(wishesMax);
  readonly restrictions: Restrictions;
  readonly #state: LogState;
  readonly #node: number;
  /** No region below this is out of sync: saves searching from 0 for every hint. */
  #hintFloor = 0;

  constructor(state: LogState, { node, settings }: World) {
    this.#state = state;
    this.#node = node;
    this.restrictions = new Restrictions(settings.restrictedMax);
  }

  /** A resume begins the search anew. An assignment that stands is the kernel's until it reports its end (R6). */
  restart(): void {
    this.#state.searchPosition = 0;
    this.#hintFloor = 0;
    this.wishes.clear();
  }

  /** This node has left: its kernel has drained what it was recovering. */
  forget(): void {
    this.#state.recoveringRegion = noRegion;
    this.wishes.clear();
  }

  /** The true in-sync hint (R18): the first region out of sync, the region count when there is none. */
  hint(): number {
    const { map } = this.#state;
    if (this.#hintFloor >= map.regionCount || map.syncCount === map.regionCount) return map.regionCount;
    const first = map.nextOutOfSync(this.#hintFloor);
    this.#hintFloor = first < 0 ? map.regionCount : first;
    return this.#hintFloor;
  }

  /** Node that has the region under recovery; -1: there is none. */
  get recoverer(): number {
    const { recoveringRegion, recoveringNode } = this.#state;
    if (recoveringRegion === noRegion) return -1;
    return recoveringNode === -1 ? this.#node : recoveringNode;
  }

  /** The region is assigned to the node. */
  isAssignedTo(node: number, region: number): boolean {
    return this.#state.recoveringRegion === region && this.recoverer === node;
  }

  /** The region that another node recovers, or `noRegion`. */
  get recoveredElsewhere(): number {
    return this.recoverer === this.#node ? noRegion : this.#state.recoveringRegion;
  }

  /** Delivery of an `assign` message: stores the assignment and returns it, or `noRegion`. One for the whole log (R6). */
  assign(node: number): number {
    const state = this.#state;
    if (state.recoveringRegion !== noRegion) {
      if (!state.map.isInSync(state.recoveringRegion)) {
        if (this.recoverer !== node) return noRegion;
        // A kernel that asks copies nothing, and begins anew.
        this.#believe();
        return state.recoveringRegion;
      }
      // A daemon was killed half-way through the report of this recovery's end.
      state.recoveringRegion = noRegion;
    }
    if (state.searchPosition >= state.map.regionCount) return noRegion;
    const stored = node === this.#node ? -1 : node;
    if (state.recoveringNode !== stored) state.recoveringNode = stored;
    const wished = this.#takeWish(node);
    if (wished !== noRegion) state.recoveringRegion = wished;
    const region = wished === noRegion ? this.#search(node) : wished;
    this.#believe();
    return region;
  }

  #believe(): void {
    if (this.#state.recoveryDoubted) this.#state.recoveryDoubted = false;
  }

  /** What others did may be lost, or was done on another side. */
  doubt(): void {
    this.restrictions.doubt();
    this.doubtCopy();
  }

  /**
   * R6: others may have heard the end of the copy that goes on, and have written there since: it says nothing any more, also when it is
   * said again.
   */
  doubtCopy(): void {
    const { recoveringRegion, recoveryDoubted } = this.#state;
    if (recoveringRegion !== noRegion && !recoveryDoubted) this.#state.recoveryDoubted = true;
  }

  /** A good end of this copy says nothing. */
  isDoubted(node: number, region: number): boolean {
    return this.#state.recoveryDoubted && this.isAssignedTo(node, region);
  }

  /** The search has something for the node. */
  finds(node: number): boolean {
    const { map, searchPosition } = this.#state;
    if (this.restrictions.bars(node)) return false;
    for (let from = searchPosition; from < map.regionCount; ) {
      const region = map.nextOutOfSync(from);
      if (region < 0) return false;
      if (this.#mayRecover(node, region)) return true;
      from = region + 1;
    }
    return false;
  }

  /** A region is out of sync for another reason than a report of its recovery: it is found in this search already. */
  outOfSync(region: number): void {
    this.#hintFloor = Math.min(this.#hintFloor, region);
    if (region < this.#state.searchPosition) this.#state.searchPosition = region;
  }

  /** The node's kernel was told of no work and copies nothing: what it was assigned is nobody's again. */
  givenBack(node: number): void {
    if (this.recoverer !== node) return;
    const region = this.#state.recoveringRegion;
    this.#state.recoveringRegion = noRegion;
    this.outOfSync(region);
  }

  /** The copy was changed as a whole. */
  refresh(): void {
    this.#hintFloor = 0;
  }

  /**
   * Delivery of SET_REGION_SYNC of a node. Only the report of the assigned region ends the assignment (R6): a write that
   * failed in another region says nothing of the copy that goes on.
   */
  ended(node: number, region: number, inSync: boolean): void {
    const state = this.#state;
    const wasRecovering = this.recoverer === node ? state.recoveringRegion : noRegion;
    if (!inSync) {
      this.#hintFloor = Math.min(this.#hintFloor, region);
      if (wasRecovering !== region && region < state.searchPosition) state.searchPosition = region;
    }
    if (wasRecovering === region) state.recoveringRegion = noRegion;
  }

  #takeWish(node: number): number {
    for (let region = this.wishes.take(); region >= 0; region = this.wishes.take()) {
      if (this.#mayRecover(node, region)) return region;
    }
    return noRegion;
  }

  #search(node: number): number {
    const state = this.#state;
    const { map } = state;
    let skipped = noRegion;
    let region = map.nextOutOfSync(state.searchPosition);
    if (region >= 0 && this.restrictions.bars(node)) {
      state.searchPosition = region;
      return noRegion;
    }
    while (region >= 0 && !this.#mayRecover(node, region)) {
      if (skipped === noRegion) skipped = region;
      region = region + 1 < map.regionCount ? map.nextOutOfSync(region + 1) : noRegion;
    }
    // The assignment first: killed between the two stores, the region is handed out again and none is passed over.
    if (region >= 0) state.recoveringRegion = region;
    if (skipped !== noRegion) state.searchPosition = skipped;
    else state.searchPosition = region < 0 ? map.regionCount + 1 : region + 1;
    return region;
  }

  /** R4: not while another live node's kernel holds the region. R10: not when another must do it. */
  #mayRecover(node: number, region: number): boolean {
    const { map, owners } = this.#state;
    if (region >= map.regionCount || map.isInSync(region)) return false;
    return !owners.ownedByOther(node, region) && this.restrictions.allow(node, region);
  }
}
