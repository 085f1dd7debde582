/**
 * Regions that a write waits for, to be recovered before others: last in, first out, each once.
 *
 * Bounded. When full, the oldest wish is forgotten; the ordinary search comes to its region anyway.
 */
export class Wishes {
  readonly capacity: number;
  readonly #list: number[] = [];
  readonly #all = new Set<number>();

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get size(): number {
    return this.#list.length;
  }

  has(region: number): boolean {
    return this.#all.has(region);
  }

  add(region: number): void {
    if (this.#all.has(region)) return;
    if (this.#list.length === this.capacity) this.#all.delete(this.#list.shift() as number);
    this.#list.push(region);
    this.#all.add(region);
  }

  /** The newest wish, taken off the list; -1 when there is none. */
  take(): number {
    const region = this.#list.pop();
    if (region === undefined) return -1;
    this.#all.delete(region);
    return region;
  }

  /** Oldest first. */
  list(): readonly number[] {
    return [...this.#list];
  }

  clear(): void {
    this.#list.length = 0;
    this.#all.clear();
  }
}
