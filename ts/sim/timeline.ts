/**
 * Virtual time: a queue of things to do, each at its time, equal times in the order they were put in. Nothing here
 * waits; the run goes from one event to the next as fast as it can.
 */
interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
}

export class Timeline {
  nowMs = 0;
  /** Events done since the start. */
  steps = 0;
  /** A binary heap, the earliest entry at index 0. */
  readonly #heap: Entry[] = [];
  #order = 0;

  get length(): number {
    return this.#heap.length;
  }

  at(atMs: number, action: () => void): void {
    this.#push({ atMs: Math.max(atMs, this.nowMs), order: this.#order, action });
    this.#order += 1;
  }

  after(delayMs: number, action: () => void): void {
    this.at(this.nowMs + delayMs, action);
  }

  /** Does the next event; false when there is none. */
  step(): boolean {
    const entry = this.#pop();
    if (entry === undefined) return false;
    this.nowMs = entry.atMs;
    this.steps += 1;
    entry.action();
    return true;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Entry;
      if (!earlier(entry, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && earlier(heap[child + 1] as Entry, heap[child] as Entry)) child += 1;
      const below = heap[child] as Entry;
      if (!earlier(below, last)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function earlier(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
