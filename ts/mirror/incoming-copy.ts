/**
 * Taking a copy of a log, chunk after chunk, while the stream goes on.
 *
 * Regions below `covered` follow the stream already. While a question (`want`) is under way its answer is what its provider had at the
 * delivery of the question; so messages behind that are kept and applied after the answer. One question at a time bounds both
 * sides. Whom to ask and when to begin is the replica's decision (replica.ts); a chunk's bytes are transfer.ts's.
 */
import type { LogState } from './log-state.js';
import { type LogMessage, MessageType } from './messages.js';
import { type Chunk, decodeChunk, type Recovering, type ReplicaHead } from './transfer.js';
import { report, type World } from './world.js';

/** Chunks that cannot be taken before the copy is given up for now. */
const copiesFailedMax = 3;

/** What follows from a chunk; `kept` are the changes that came behind the question, oldest first. */
export interface IncomingCopyHooks {
  /** The first chunk is about to be taken. */
  begins(): void;
  /** There is more to ask for. */
  next(kept: readonly (() => void)[]): void;
  /** The copy is complete. `inParts`: a part of it has followed the stream without the head. */
  complete(head: ReplicaHead, kept: readonly (() => void)[], inParts: boolean): void;
  /** A chunk could not be taken: once more from the beginning, or not now. */
  failed(again: boolean): void;
}

export class IncomingCopy {
  /** Regions below this follow the stream. */
  covered = 0;
  /** Who was asked last; -1: nobody. */
  provider = -1;
  readonly #world: World;
  readonly #state: LogState;
  readonly #hooks: IncomingCopyHooks;
  /** The number of the question that is under way; 0: none is. */
  #asked = 0;
  /** Chunks in a row that could not be taken. */
  #failures = 0;
  #kept: (() => void)[] | null = null;
  /** Its end says nothing (recovery.ts); of what recovery is there only the head tells. */
  #doubted: Recovering | null = null;

  constructor(world: World, state: LogState, hooks: IncomingCopyHooks) {
    this.#world = world;
    this.#state = state;
    this.#hooks = hooks;
  }

  ask(provider: number, from: number): void {
    this.covered = from;
    this.provider = provider;
    this.#kept = null;
    // No number twice: the answer to another instance of the log may still be on its way, and be older than the question.
    this.#world.questions += 1;
    this.#asked = this.#world.questions;
    this.#world.sender.numbers(MessageType.want, this.#state.identity.uuid, this.#asked, 0, [from]);
  }

  /** Nothing is asked any more. */
  forget(): void {
    this.covered = 0;
    this.#kept = null;
    this.#forgetQuestion();
  }

  /** The copy follows as it is. */
  whole(): void {
    this.covered = this.#state.map.regionCount;
    this.#forgetQuestion();
  }

  /** A question was delivered and its answer was not: changes have to be kept. */
  get asks(): boolean {
    return this.#kept !== null;
  }

  /** Keeps a change until the answer has come. */
  keep(apply: () => void): void {
    this.#kept?.push(apply);
  }

  /** A question of this node was delivered; `provider` is who answers it, whoever that was when it was asked. */
  questionDelivered(seq: number, provider: number): void {
    if (this.#asked !== seq) return;
    this.#kept = [];
    this.provider = provider;
  }

  /** Whoever was to answer is gone. What was said behind the question, oldest first: of what is covered it counts. */
  takeKept(): readonly (() => void)[] {
    const kept = this.#kept ?? [];
    this.#kept = null;
    return kept;
  }

  chunkDelivered({ flag, seq, bytes, byteCount }: LogMessage): void {
    const kept = this.#kept;
    if (flag !== this.#world.node || this.#asked !== seq || kept === null) return;
    const chunk = decodeChunk(bytes.subarray(0, byteCount), this.#state.map.regionCount);
    if (chunk === null || chunk.from !== this.covered || !this.#import(chunk)) {
      report(this.#world, 'error', 'copy-failed', this.#state.identity.uuid, 'a copy of the log cannot be taken');
      this.#failures += 1;
      // What fails again and again will not be mended by asking: the next change of the members tries once more, and the kernel's next request.
      this.#hooks.failed(this.#failures < copiesFailedMax);
      return;
    }
    this.#kept = null;
    this.#failures = 0;
    this.covered = chunk.to;
    this.#doubted = chunk.doubted;
    if (chunk.head === null) this.#hooks.next(kept);
    else this.#hooks.complete(chunk.head, kept, chunk.from > 0);
  }

  /** The message says that a recovery has ended well, and says nothing by that. */
  endsDoubted({ type, node, flag, regions }: LogMessage): boolean {
    if (this.#doubted?.node !== node) return false;
    const ends = type === MessageType.inSync && flag === 1 && regions[0] === this.#doubted.region;
    // A kernel that asks, or gives back what it was given, copies nothing.
    if (ends || type === MessageType.assign) this.#doubted = null;
    return ends;
  }

  #forgetQuestion(): void {
    this.#asked = 0;
    this.provider = -1;
  }

  /** False: no room. */
  #import({ from, owners, clean, sync }: Chunk): boolean {
    const { map } = this.#state;
    if (from === 0) {
      this.#hooks.begins();
      this.#state.owners.clear();
    }
    // Never clean and out of sync: what is not in sync is not clean either, so the sync bits first.
    if (!map.importBits(1, from / 8, sync) || !map.importBits(0, from / 8, clean)) return false;
    const one = new Float64Array(1);
    for (let i = 0; i < owners.length; i += 2) {
      one[0] = owners[i] as number;
      if (!this.#state.owners.add(owners[i + 1] as number, one, 1)) return false;
    }
    return true;
  }
}
