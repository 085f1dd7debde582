/**
 * A suspend that no daemon has heard of. The kernel sends PRESUSPEND once, and one that no daemon is there to take is gone; its own
 * recovery is stopped by then, and the suspend waits for its writes. Where all kernels of a log suspend so, nobody recovers what these
 * wait for.
 *
 * It shows in the rounds of the kernel's worker: each asks for work first, unless recovery is stopped or goes on, then how much is in
 * sync, then about its writes. So two questions about writes with a count between them and without a question for work are those of a
 * kernel that has stopped its recovery. A count may be another thread's; a kernel that is taken for one that suspends loses nothing, as it
 * marks what it is let write, and is believed again when it asks for work.
 */
export class UnheardSuspend {
  #seen: 'work' | 'write' | 'count' | 'suspend' = 'work';

  /** The kernel has stopped its recovery, as far as can be seen. */
  get shown(): boolean {
    return this.#seen === 'suspend';
  }

  /** GET_RESYNC_WORK, or a copy goes on: then it does not ask. */
  recovers(): void {
    this.#seen = 'work';
  }

  /** GET_SYNC_COUNT. */
  counts(): void {
    if (this.#seen === 'write') this.#seen = 'count';
  }

  /** IS_REMOTE_RECOVERING. */
  writes(): void {
    if (this.#seen === 'work') this.#seen = 'write';
    else if (this.#seen === 'count') this.#seen = 'suspend';
  }
}
