/**
 * The journal of one run: the last events, to be printed when a run fails, and a hash of all of them, which must be
 * the same whenever the same seed runs.
 */

interface Entry {
  readonly atMs: number;
  readonly what: string;
  /** 0: no host's, or that of the only one. */
  readonly node: number;
  readonly detail: () => string;
}

const keptMax = 2048;

export class Journal {
  hash = 0x811c9dc5;
  readonly #kept: Entry[] = [];
  #next = 0;

  /** `numbers` go into the hash; `detail` is made only when the entry is printed. */
  add(atMs: number, what: string, numbers: readonly number[], detail: () => string, node = 0): void {
    this.#mix(Math.round(atMs * 1000));
    this.#mix(what.length * 31 + what.charCodeAt(0));
    for (const number of numbers) this.#mix(number);
    this.#kept[this.#next % keptMax] = { atMs, what, node, detail };
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
      if (entry === undefined) continue;
      const { atMs, what, node, detail } = entry;
      const whose = node === 0 ? '' : `${node}: `;
      lines.push(`${atMs.toFixed(3).padStart(12)} ms  ${what.padEnd(12)} ${whose}${detail()}`);
    }
    return lines;
  }

  #mix(value: number): void {
    this.hash = Math.imul(this.hash ^ (value | 0), 0x01000193) >>> 0;
    this.hash = Math.imul(this.hash ^ ((value / 2 ** 32) | 0), 0x01000193) >>> 0;
  }
}
