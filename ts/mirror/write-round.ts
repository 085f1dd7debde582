/**
 * What a kernel was told in the round of writes that goes on: regions of which it heard that nobody recovers them. It asks whether they
 * are in sync next, and has to hear yes whatever has happened in between: a no would let it write there without marks, for as long as it
 * has this table (R10).
 */

/** When there are more in a round all regions count as if they were among them. */
const admittedMax = 4096;

export class WriteRound {
  readonly #admitted = new Set<number>();
  /** An earlier daemon has answered in it, or more was asked than is remembered. */
  #unknown: boolean;
  /** MARK has come. */
  #marks = false;

  /** `unknown`: it may go on since an earlier daemon. */
  constructor(unknown: boolean) {
    this.#unknown = unknown;
  }

  /** MARK: the round is about to end with a flush. */
  marked(): void {
    this.#marks = true;
  }

  /**
   * The kernel flushes what it has marked, in `count` marks of the flush or before it: what it had asked about is in its hands by now, or
   * forgotten. A flush without marks is that of another thread, which brings clears home at any time, also in the middle of a round.
   */
  flushed(count: number): void {
    if (count === 0 && !this.#marks) return;
    this.#marks = false;
    this.#unknown = false;
    if (this.#admitted.size > 0) this.#admitted.clear();
  }

  /** It may have heard so of the region. */
  mayBeAdmitted(region: number): boolean {
    return this.#unknown || this.#admitted.has(region);
  }

  /** It hears whether somebody recovers the region. */
  told(region: number, recovered: boolean): void {
    if (recovered) this.#admitted.delete(region);
    else if (this.#admitted.size < admittedMax) this.#admitted.add(region);
    else this.#unknown = true;
  }
}
