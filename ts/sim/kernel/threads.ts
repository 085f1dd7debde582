/**
 * Kernel threads as generators. What blocks in the kernel (a request to the daemon, a sleep, the end of a copy)
 * is a `yield` of a `Wait` here, so the model reads in the order in which the kernel works and still runs inside one
 * JavaScript thread, under virtual or real time alike.
 *
 * It does not preempt: a thread runs to its next `yield`. Threads that became ready run in the order in which they
 * became so. After `halt` (a power cut) nothing ever runs again.
 */

/** A function that may block: it yields what it waits for and returns its result. */
export type Blocking<T = void> = Generator<Wait, T, void>;

/** Something that happens once. */
export class Wait {
  done = false;
  readonly #parked: Blocking<unknown>[] = [];
  readonly #threads: Threads;

  constructor(threads: Threads) {
    this.#threads = threads;
  }

  /** Lets those who wait go on. Later calls do nothing. */
  finish(): void {
    if (this.done) return;
    this.done = true;
    for (const thread of this.#parked.splice(0)) this.#threads.ready(thread);
  }

  /** True when the thread has to wait. For `Threads`. */
  park(thread: Blocking<unknown>): boolean {
    if (this.done) return false;
    this.#parked.push(thread);
    return true;
  }
}

export class Threads {
  readonly #ready: Blocking<unknown>[] = [];
  #running = false;
  #halted = false;

  get halted(): boolean {
    return this.#halted;
  }

  spawn(thread: Blocking<unknown>): void {
    this.ready(thread);
  }

  ready(thread: Blocking<unknown>): void {
    if (this.#halted) return;
    this.#ready.push(thread);
    if (!this.#running) this.#run();
  }

  halt(): void {
    this.#halted = true;
    this.#ready.length = 0;
  }

  #run(): void {
    this.#running = true;
    try {
      for (let thread = this.#ready.shift(); thread !== undefined; thread = this.#ready.shift()) this.#advance(thread);
    } finally {
      this.#running = false;
    }
  }

  #advance(thread: Blocking<unknown>): void {
    for (;;) {
      const result = thread.next();
      if (result.done === true || this.#halted || result.value.park(thread)) return;
    }
  }
}

/** Counts up to a number of takers; others wait in line. */
export class Semaphore {
  #count: number;
  readonly #waiting: Wait[] = [];
  readonly #threads: Threads;

  constructor(threads: Threads, count: number) {
    this.#threads = threads;
    this.#count = count;
  }

  tryDown(): boolean {
    if (this.#count === 0) return false;
    this.#count -= 1;
    return true;
  }

  *down(): Blocking {
    if (this.tryDown()) return;
    const wait = new Wait(this.#threads);
    this.#waiting.push(wait);
    yield wait;
  }

  up(): void {
    const wait = this.#waiting.shift();
    if (wait === undefined) this.#count += 1;
    else wait.finish();
  }
}
