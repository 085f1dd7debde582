/**
 * Regions that one node alone may recover (R10): its kernel has found them out of sync, writes to them without marks, and keeps
 * doing so until it has recovered them itself or has another table.
 *
 * Bounded: when full, the node of the region that did not fit is the only one that recovers anything.
 */
import { restrictedMax } from '../base/limits.js';

export class Restrictions {
  readonly #nodes = new Map<number, number>();
  /** The node whose regions did not fit; -1: all fit. */
  #overflow = -1;

  add(region: number, node: number): void {
    if (this.#nodes.size < restrictedMax || this.#nodes.has(region)) this.#nodes.set(region, node);
    else this.#overflow = node;
  }

  /** The region is in sync. */
  remove(region: number): void {
    this.#nodes.delete(region);
  }

  /** The node is dead, or has another table. */
  removeNode(node: number): void {
    if (this.#nodes.size > 0) for (const [region, of] of this.#nodes) if (of === node) this.#nodes.delete(region);
    if (this.#overflow === node) this.#overflow = -1;
  }

  /** Which regions are whose is not known any more: this node alone recovers until everything is in sync. */
  onlyNode(node: number): void {
    this.#overflow = node;
  }

  allow(node: number, region: number): boolean {
    if (this.#overflow !== -1 && this.#overflow !== node) return false;
    const only = this.#nodes.get(region);
    return only === undefined || only === node;
  }

  clear(): void {
    this.#nodes.clear();
    this.#overflow = -1;
  }

  list(): { readonly pairs: readonly (readonly [number, number])[]; readonly overflow: number } {
    return { pairs: [...this.#nodes], overflow: this.#overflow };
  }

  take({ pairs, overflow }: ReturnType<Restrictions['list']>): void {
    this.clear();
    for (const [region, node] of pairs) this.#nodes.set(region, node);
    this.#overflow = overflow;
  }
}
