/**
 * Regions that one node alone may recover (R10): its kernel has found them out of sync, writes to them without marks, and keeps
 * doing so until it has recovered them itself or has another table.
 *
 * Bounded: when full, the node of the region that did not fit is the only one that recovers anything; where there are two such
 * nodes nobody does, before one of them has another table or is dead.
 */
import { restrictedMax } from '../base/limits.js';

export class Restrictions {
  readonly #nodes = new Map<number, number>();
  /** The nodes whose regions did not fit. */
  readonly #overflow = new Set<number>();

  add(region: number, node: number): void {
    if (this.#nodes.size < restrictedMax || this.#nodes.has(region)) this.#nodes.set(region, node);
    else this.#overflow.add(node);
  }

  /** The region is in sync. */
  remove(region: number): void {
    this.#nodes.delete(region);
  }

  /** The node is dead, or has another table. */
  removeNode(node: number): void {
    if (this.#nodes.size > 0) for (const [region, of] of this.#nodes) if (of === node) this.#nodes.delete(region);
    this.#overflow.delete(node);
  }

  /** Which regions are whose is not known any more: this node alone recovers until everything is in sync. */
  onlyNode(node: number): void {
    this.#overflow.add(node);
  }

  /** Something is known that this node alone recovers. */
  has(node: number): boolean {
    if (this.#overflow.has(node)) return true;
    for (const of of this.#nodes.values()) if (of === node) return true;
    return false;
  }

  /** The region is known as one that this node alone recovers. */
  isOf(region: number, node: number): boolean {
    return this.names(region, node) || this.#overflow.has(node);
  }

  /** It is so for the region itself, and not because others did not fit. */
  names(region: number, node: number): boolean {
    return this.#nodes.get(region) === node;
  }

  /** The node may recover nothing at all. */
  bars(node: number): boolean {
    for (const one of this.#overflow) if (one !== node) return true;
    return false;
  }

  allow(node: number, region: number): boolean {
    if (this.bars(node)) return false;
    const only = this.#nodes.get(region);
    return only === undefined || only === node;
  }

  clear(): void {
    this.#nodes.clear();
    this.#overflow.clear();
  }

  list(): { readonly pairs: readonly (readonly [number, number])[]; readonly overflow: readonly number[] } {
    return { pairs: [...this.#nodes], overflow: [...this.#overflow] };
  }

  take({ pairs, overflow }: ReturnType<Restrictions['list']>): void {
    this.clear();
    for (const [region, node] of pairs) this.#nodes.set(region, node);
    for (const node of overflow) this.#overflow.add(node);
  }
}
