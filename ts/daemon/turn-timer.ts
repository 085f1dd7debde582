/**
 * Wakes the engine at its next deadline without making a timer per request.
 *
 * A timer that is due too early is left alone and looks again when it fires; only a deadline before it makes a new one.
 * Deadlines move later with nearly every request, so at rest this costs a comparison a turn.
 */
export class TurnTimer {
  readonly #wake: () => void;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | null = null;
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(wake: () => void, now: () => number) {
    this.#wake = wake;
    this.#now = now;
  }

  /** Wakes at `deadlineMs` of the clock or a little later; -1: there is nothing to wake for now. */
  arm(deadlineMs: number, nowMs: number): void {
    if (deadlineMs < 0 || deadlineMs >= this.#dueMs) return;
    this.cancel();
    this.#dueMs = deadlineMs;
    // setTimeout may fire a fraction of a millisecond early by this clock: round up.
    this.#timer = setTimeout(this.#fire, Math.max(1, Math.ceil(deadlineMs - nowMs)));
  }

  cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  readonly #fire = (): void => {
    this.#timer = null;
    const early = this.#now() < this.#dueMs;
    const dueMs = this.#dueMs;
    this.#dueMs = Number.POSITIVE_INFINITY;
    if (early) this.arm(dueMs, this.#now());
    else this.#wake();
  };
}
