/**
 * Who has heard of whose suspend, and of whose copy (R10): a kernel that suspends waits for the copies of others, and others give their
 * kernels none to make meanwhile. Both hold for those who hear each other; who was cut off cannot have heard.
 */
import type { Host } from '../host.js';
import type { Bonds } from './bonds.js';

/** By log: hosts, and who was told of what they did last. */
type Heard = Map<string, Map<Host, Set<Host>>>;

export class Halts {
  readonly #bonds: Bonds;
  /** PRESUSPEND was answered. */
  readonly #halts: Heard = new Map();
  /** A copy was begun. */
  readonly #copies: Heard = new Map();

  constructor(bonds: Bonds) {
    this.#bonds = bonds;
  }

  /** A host's PRESUSPEND is answered. */
  halted(uuid: string, host: Host): void {
    this.#note(this.#halts, uuid, host);
  }

  /** A host's kernel begins to copy. */
  copies(uuid: string, host: Host): void {
    this.#note(this.#copies, uuid, host);
  }

  /** Two hosts have the same copy of the log from now on, and so know which of them rests; what one was assigned by then stands. */
  bonded(uuid: string, a: Host, b: Host): void {
    this.#tell(uuid, a, b);
    this.#tell(uuid, b, a);
  }

  /** It knows nothing any more: its power went, or its daemon's state was lost. */
  forgets(host: Host): void {
    for (const logs of [this.#halts, this.#copies])
      for (const heard of logs.values()) for (const hosts of heard.values()) hosts.delete(host);
  }

  /**
   * The host that copies has to know that another one rests: when that one is with the others, and also when it was cut off after they had
   * heard of it, until it is known dead. One that was cut off before it came to rest they cannot have heard. No new mark is
   * promised to it then (R13), and regions that it holds are not handed out (R4); that what it writes without a mark never meets a copy is
   * looked at in both directions when a write or a copy begins.
   */
  heardHalt(uuid: string, halted: Host, copier: Host): boolean {
    return this.#halts.get(uuid)?.get(halted)?.has(copier) === true;
  }

  /**
   * The other way round: who suspends has to know that another one copies when both are with each other, or were when that began. Who was
   * cut off before cannot have heard of it, and what it may write then is the same as above.
   */
  heardCopy(uuid: string, halted: Host, copier: Host): boolean {
    return this.#bonds.bonded(uuid, halted, copier) || this.#copies.get(uuid)?.get(copier)?.has(halted) === true;
  }

  #note(logs: Heard, uuid: string, of: Host): void {
    const heard = logs.get(uuid) ?? new Map<Host, Set<Host>>();
    logs.set(uuid, heard.set(of, new Set(this.#bonds.of(uuid, of))));
  }

  #tell(uuid: string, halted: Host, other: Host): void {
    const assigned = other.liveState(uuid)?.recoveringRegion ?? -1;
    if (halted.liveTruth(uuid)?.halted === true && assigned < 0) this.#halts.get(uuid)?.get(halted)?.add(other);
  }
}
