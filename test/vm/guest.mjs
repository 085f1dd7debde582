/**
 * A machine that runs, and takes orders: words for its script's `serve_orders` (guest/lib.sh), which runs them one after
 * another in its own shell. An order that fails ends the script as any command there does, and with it the machine.
 *
 * Hand one to `runInMachine`, wait for `ready`, then give orders. It also kills the machine when asked.
 */

/** How long an order may take before it counts as hung; usual are some seconds. */
const orderLimitMs = 300_000;

export class Guest {
  #name;
  #send = null;
  #kill = null;
  #results = '';
  #number = 0;
  /** The order under way, the lines that it has printed, and who waits for its end. */
  #order = null;
  #ready = withResolvers();
  #end = '';

  constructor(name) {
    this.#name = name;
    // Whoever does not wait for it learns of the end by an order.
    this.#ready.promise.catch(() => {});
  }

  /** Resolves when its script takes orders. */
  get ready() {
    return this.#ready.promise;
  }

  /** The folder that the guest knows as $RESULTS. */
  get results() {
    return this.#results;
  }

  /** Runs bash words; resolves with what was printed meanwhile. */
  order(words, limitMs = orderLimitMs) {
    if (this.#order !== null) throw new Error(`${this.#name} is at "${this.#order.words}" still`);
    if (this.#end) return Promise.reject(new Error(`${this.#name} has ended: ${this.#end}`));
    this.#number += 1;
    const order = { words, lines: [], ...withResolvers() };
    this.#order = order;
    const timer = setTimeout(() => {
      this.#order = null;
      order.reject(new Error(`hung: ${this.#name}: "${words}" took more than ${limitMs / 1000} s`));
    }, limitMs);
    this.#send(`${this.#number} ${words}\n`);
    return order.promise.finally(() => clearTimeout(timer));
  }

  /** Kills the machine, without warning. Its `runInMachine` resolves. */
  kill() {
    this.#kill?.();
  }

  /** For the runner: the machine has started. */
  started(results, send, kill) {
    this.#results = results;
    this.#send = send;
    this.#kill = kill;
  }

  /** For the runner: a line of the machine. True: it begins with @ and is no step, so it is for whoever gives the orders alone. */
  heard(line) {
    const [, word, number] = line.match(/^@(ready|done) ?(\d*)$/) ?? [];
    if (word === 'ready') this.#ready.resolve();
    else if (word === 'done') this.#done(Number(number));
    else this.#order?.lines.push(line);
    return /^@(?!(begin|passed|failed) )/.test(line);
  }

  /** For the runner: the machine is gone. */
  ended(reason) {
    this.#end = reason;
    const error = new Error(`${this.#name} has ended: ${reason}`);
    this.#ready.reject(error);
    this.#order?.reject(error);
    this.#order = null;
  }

  #done(number) {
    if (number !== this.#number) return;
    this.#order?.resolve(this.#order.lines);
    this.#order = null;
  }
}

function withResolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => {
    made.resolve = resolve;
    made.reject = reject;
  });
  return made;
}
