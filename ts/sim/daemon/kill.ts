/**
 * How the simulator kills a daemon between any two of its effects: every store, message and reply passes `point`,
 * and the one that was chosen throws instead of happening. Whatever ran before it has happened, nothing after it.
 */

export class SimulatedKill extends Error {
  constructor() {
    super('the daemon was killed here');
    this.name = 'SimulatedKill';
  }
}

export class KillSwitch {
  /** Effects since the daemon started. */
  passed = 0;
  dead = false;
  #left = Number.POSITIVE_INFINITY;

  /** Arms the switch: the `effects`-th effect from now does not happen. */
  arm(effects: number): void {
    this.#left = effects;
  }

  disarm(): void {
    this.#left = Number.POSITIVE_INFINITY;
  }

  get armed(): boolean {
    return this.#left !== Number.POSITIVE_INFINITY;
  }

  /** Called before every effect. */
  point(): void {
    if (this.dead) throw new SimulatedKill();
    this.passed += 1;
    this.#left -= 1;
    if (this.#left > 0) return;
    this.dead = true;
    throw new SimulatedKill();
  }

  /** Called before an effect of `count` parts: how many of them happen, `count` when it is not the chosen one. */
  parts(count: number): number {
    if (this.dead) throw new SimulatedKill();
    this.passed += 1;
    this.#left -= 1;
    if (this.#left > 0) return count;
    this.dead = true;
    return this.passed % (count + 1);
  }
}
