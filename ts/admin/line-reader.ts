/**
 * Cuts a byte stream into lines, with a bound on each: whatever comes in, no more than one line's worth is kept.
 *
 * A line that grows past the bound is reported once, and the stream is over for the reader: behind it nobody can know
 * where the next line begins.
 */
export class LineReader {
  readonly #bytesMax: number;
  #kept: Buffer = Buffer.alloc(0);
  #overlong = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** True when a line was longer than allowed. Nothing comes out any more. */
  get overlong(): boolean {
    return this.#overlong;
  }

  /** Takes bytes in and returns the lines that they complete, without line ends, empty ones left out. */
  push(bytes: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    while (!this.#overlong) {
      const end = bytes.indexOf(0x0a, from);
      const part = bytes.subarray(from, end < 0 ? bytes.length : end);
      if (this.#kept.length + part.length > this.#bytesMax) {
        this.#overlong = true;
        this.#kept = Buffer.alloc(0);
        break;
      }
      const line = this.#kept.length === 0 ? part : Buffer.concat([this.#kept, part]);
      if (end < 0) {
        // A copy: the stream's buffer is larger than what is kept of it.
        this.#kept = Buffer.from(line);
        break;
      }
      this.#kept = Buffer.alloc(0);
      from = end + 1;
      const text = line.toString('utf8').trim();
      if (text !== '') lines.push(text);
    }
    return lines;
  }
}
