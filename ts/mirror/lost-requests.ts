/**
 * Requests that died with an earlier daemon. The kernel would repeat them after its 15 s, and writes would wait for that; but
 * the answer "try again" makes it repeat a request at once, under a new number, and one for a number that nobody waits
 * under is dropped without a trace. So a daemon that starts says "try again" to every number that may be waited under.
 *
 * Which those are: the newest number that a daemon of this boot took in is kept (R2's folder). What was taken in and not
 * answered lies below it, what was still in the dead socket above. Without such a number (another program answered before) the
 * first request that comes names the place, and what was lost lies below it.
 *
 * A request that has reached our own socket meanwhile may be among them; it then comes twice, as every request may.
 * What lies farther away than the window waits for the kernel's 15 s, as ever.
 *
 * It knows numbers; who sends the answer is not its business.
 */

/** Numbers on either side. The kernel has a few requests a log in flight; both sides fit what a local socket queues. */
export interface LostWindow {
  readonly below: number;
  readonly above: number;
}

export const lostWindowDefault: LostWindow = { below: 512, above: 384 };

/** The number of the newest request, where the next daemon of this boot finds it. */
export interface RequestMemory {
  /** -1: not known. */
  readonly lastRequest: number;
  noteRequest(seq: number): void;
}

export class LostRequests {
  readonly #memory: RequestMemory;
  readonly #window: LostWindow;
  readonly #askAgain: (seq: number) => void;
  /** What the last daemon noted; -1 when it is not known, or no longer wanted. */
  #last: number;
  #open = true;

  constructor(memory: RequestMemory, window: LostWindow, askAgain: (seq: number) => void) {
    this.#memory = memory;
    this.#window = window;
    this.#askAgain = askAgain;
    this.#last = memory.lastRequest;
  }

  /** Nobody could be asked yet. */
  get waits(): boolean {
    return this.#open;
  }

  /** Somebody can be asked: does it once, before anything that waits is taken in. */
  reachable(): void {
    if (!this.#open || this.#last < 0) return;
    this.#open = false;
    this.#ask(this.#last - this.#window.below, this.#window.below + 1 + this.#window.above);
  }

  /** Requests `first` to `last` were taken in, none of them is handled yet. */
  taken(first: number, last: number): void {
    this.#memory.noteRequest(last);
    if (!this.#open) return;
    this.#open = false;
    this.#ask(first - this.#window.below, this.#window.below);
  }

  /** Downwards: what is repeated gets a number above all others, and must not be asked for once more. Numbers wrap at 32 bits. */
  #ask(from: number, count: number): void {
    for (let i = count - 1; i >= 0; i--) this.#askAgain((from + i) >>> 0);
  }
}
