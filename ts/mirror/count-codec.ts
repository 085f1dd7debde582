/**
 * Counts as bytes: seven bits a byte, lowest first, the highest bit says that more follow. For what hosts send each other of a log, where
 * most numbers are small.
 */

export function pushCount(out: number[], count: number): void {
  let rest = count;
  while (rest >= 0x80) {
    out.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  out.push(rest);
}

/** Reads them one after the other. It believes nothing: -1 is the end, and what is no exact number. */
export class CountReader {
  /** Where the next one begins. */
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  next(): number {
    let count = 0;
    for (let scale = 1; this.at < this.#bytes.length; scale *= 0x80) {
      const byte = this.#bytes[this.at++] as number;
      count += (byte % 0x80) * scale;
      if (!Number.isSafeInteger(count)) return -1;
      if (byte < 0x80) return count;
    }
    return -1;
  }
}
