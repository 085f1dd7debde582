/**
 * Regions that one node alone may recover (R10): its kernel has found them out of sync, writes to them without marks, and keeps
 * doing so until it has recovered them itself or has another table. Where two kernels have found one, neither recovers it before the
 * other has another table or is dead: the copy of one ends nothing of what the other does.
 *
 * Bounded, for all of it goes with the head of a copy: when full, the node of the region that did not fit is the only one that recovers
 * anything; where there are two such nodes nobody does, before one of them has another table or is dead.
 */
export class Restrictions {
  readonly #nodes = new Map<number, readonly number[]>();
  /** Of a region and a node. */
  #pairs = 0;
  /** The nodes whose regions did not fit. */
  readonly #overflow = new Set<number>();
  readonly #pairsMax: number;
  /** The nodes that have said all of theirs, and nothing of that was lost since with the memory of daemons that have ended. */
  readonly #known = new Set<number>();

  constructor(pairsMax: number) {
    this.#pairsMax = pairsMax;
  }

  /** Every region of the node is here, also where it has lost its own record of them, or that has no room for all. */
  knows(node: number): boolean {
    return this.#known.has(node);
  }

  /** The node has said all of its regions. */
  known(node: number): void {
    this.#known.add(node);
  }

  /** Others may know of more, or have known. */
  doubt(): void {
    this.#known.clear();
  }

  /** The node may come back with its table, and what was known of it goes. */
  forget(node: number): void {
    if (this.has(node)) this.#known.delete(node);
    this.removeNode(node);
  }

  add(region: number, node: number): void {
    const nodes = this.#nodes.get(region);
    if (nodes?.includes(node) === true) return;
    if (this.#pairs < this.#pairsMax) this.#put(region, [...(nodes ?? []), node]);
    else this.#overflow.add(node);
  }

  #put(region: number, nodes: readonly number[]): void {
    this.#pairs += nodes.length - (this.#nodes.get(region)?.length ?? 0);
    if (nodes.length > 0) this.#nodes.set(region, nodes);
    else this.#nodes.delete(region);
  }

  /** The region is in sync. */
  remove(region: number): void {
    this.#put(region, []);
  }

  /** The node is dead, or has another table. */
  removeNode(node: number): void {
    for (const [region, nodes] of this.#nodes) {
      if (nodes.includes(node))
        this.#put(
          region,
          nodes.filter((other) => other !== node),
        );
    }
    this.#overflow.delete(node);
  }

  /** Which regions are whose is not known any more: this node alone recovers until everything is in sync. */
  onlyNode(node: number): void {
    this.#overflow.add(node);
  }

  /** This node is known to be the only one that recovers anything, whatever else is known of it. */
  isAlone(node: number): boolean {
    return this.#overflow.has(node);
  }

  /** Something is known that this node alone recovers. */
  has(node: number): boolean {
    if (this.#overflow.has(node)) return true;
    for (const nodes of this.#nodes.values()) if (nodes.includes(node)) return true;
    return false;
  }

  /** Those that are named. */
  regionsOf(node: number): number[] {
    return [...this.#nodes].flatMap(([region, nodes]) => (nodes.includes(node) ? [region] : []));
  }

  /** The region is known as one that this node has found. */
  isOf(region: number, node: number): boolean {
    return this.names(region, node) || this.#overflow.has(node);
  }

  /** It is so for the region itself, and not because others did not fit. */
  names(region: number, node: number): boolean {
    return this.#nodes.get(region)?.includes(node) === true;
  }

  /** The node may recover nothing at all. */
  bars(node: number): boolean {
    for (const one of this.#overflow) if (one !== node) return true;
    return false;
  }

  allow(node: number, region: number): boolean {
    if (this.bars(node)) return false;
    return this.#nodes.get(region)?.every((one) => one === node) !== false;
  }

  /** Everything is in sync. Who alone recovered has nothing left that could not be named. */
  clear(): void {
    for (const node of this.#overflow) this.#known.add(node);
    this.#empty();
  }

  #empty(): void {
    this.#nodes.clear();
    this.#pairs = 0;
    this.#overflow.clear();
  }

  list(): {
    readonly pairs: readonly (readonly [number, number])[];
    readonly overflow: readonly number[];
    readonly known: readonly number[];
  } {
    const pairs = [...this.#nodes].flatMap(([region, nodes]) => nodes.map((node) => [region, node] as const));
    return { pairs, overflow: [...this.#overflow], known: [...this.#known] };
  }

  take({ pairs, overflow, known }: ReturnType<Restrictions['list']>): void {
    this.#empty();
    this.#known.clear();
    for (const node of known) this.#known.add(node);
    for (const [region, node] of pairs) this.add(region, node);
    for (const node of overflow) this.#overflow.add(node);
  }
}
