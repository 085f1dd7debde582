/**
 * The sequence numbers under which the kernel asked for one and the same thing. It asks again with a new number
 * every 15 s; one completion answers all of them.
 *
 * Bounded: when full, the oldest number is forgotten. Its waiter in the kernel gave up long ago (a waiter lives
 * 15 s), so nobody misses that answer. Where different requests share a list its owner asks for a larger bound.
 */
import { resendsMax } from '../base/limits.js';

export class SeqList {
  readonly #max: number;
  #seqs = new Float64Array(resendsMax);
  #count = 0;

  constructor(max: number = resendsMax) {
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  add(seq: number): void {
    if (this.#count === this.#max) {
      this.#seqs.copyWithin(0, 1);
      this.#count -= 1;
    } else if (this.#count === this.#seqs.length) {
      const larger = new Float64Array(Math.min(this.#max, 2 * this.#count));
      larger.set(this.#seqs);
      this.#seqs = larger;
    }
    this.#seqs[this.#count] = seq;
    this.#count += 1;
  }

  /** Hands every number to `answer`, oldest first, and forgets them; they are forgotten before the first call. */
  answerAll(answer: (seq: number) => void): void {
    const count = this.#count;
    this.#count = 0;
    for (let i = 0; i < count; i++) answer(this.#seqs[i] as number);
  }

  clear(): void {
    this.#count = 0;
  }
}
