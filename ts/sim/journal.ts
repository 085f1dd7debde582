/**
 * The journal of one run: the last events, to be printed when a run fails, and a hash of all of them, which must be
 * the same whenever the same seed runs.
 */

interface Entry {
  readonly atMs: number;
  readonly what: string;
  readonly detail: () => string;
}

const keptMax = 2048;

export class Journal {
  hash = 0x811c9dc5;
  readonly #kept: Entry[] = [];
  #next = 0;

  /** `numbers` go into the hash; `detail` is made only when the entry is printed. */
  add(atMs: number, what: string, numbers: readonly number[], detail: () => string): void {
    this.#mix(Math.round(atMs * 1000));
    this.#mix(what.length * 31 + what.charCodeAt(0));
    for (const number of numbers) this.#mix(number);
    this.#kept[this.#next % keptMax] = { atMs, what, detail };
    this.#next += 1;
  }

  get count(): number {
    return this.#next;
  }

  /** The last `count` events, oldest first. */
  last(count: number): string[] {
    const lines: string[] = [];
    for (let i = Math.max(0, this.#next - Math.min(count, keptMax)); i < this.#next; i++) {
      const entry = this.#kept[i % keptMax];
      if (entry !== undefined)
        lines.push(`${entry.atMs.toFixed(3).padStart(12)} ms  ${entry.what.padEnd(12)} ${entry.detail()}`);
    }
    return lines;
  }

  #mix(value: number): void {
    this.hash = Math.imul(this.hash ^ (value | 0), 0x01000193) >>> 0;
    this.hash = Math.imul(this.hash ^ ((value / 2 ** 32) | 0), 0x01000193) >>> 0;
  }
}
