/**
 * Asks for each lost node, again and again, whether it is known dead (R7), until somebody confirms it or the node is back. It
 * decides nothing by time: a node that nobody confirms stays lost, and what it marked stays marked.
 */
import type { FenceSource } from './fence-sources.js';
import type { LostHost } from './lost-nodes.js';

export interface FenceWatchEvents {
  /** Confirmed. Told once for each loss. */
  dead(lost: LostHost, text: string): void;
  /** Not confirmed; told when the reason changes. */
  unclear(lost: LostHost, text: string): void;
}

interface Asked {
  readonly lost: LostHost;
  readonly abort: AbortController;
  text: string;
  timer: NodeJS.Timeout | null;
}

export class FenceWatch {
  readonly #source: FenceSource;
  readonly #events: FenceWatchEvents;
  readonly #intervalMs: number;
  readonly #asked = new Map<number, Asked>();

  constructor(source: FenceSource, events: FenceWatchEvents, intervalMs: number) {
    this.#source = source;
    this.#events = events;
    this.#intervalMs = intervalMs;
  }

  /** A node was lost. One that is lost already is asked about as before. */
  lost(lost: LostHost): void {
    if (this.#asked.has(lost.node)) return;
    const asked: Asked = { lost, abort: new AbortController(), text: '', timer: null };
    this.#asked.set(lost.node, asked);
    void this.#ask(asked);
  }

  /** The node is in the group again, or was confirmed by somebody else. */
  settled(node: number): void {
    const asked = this.#asked.get(node);
    if (asked === undefined) return;
    this.#asked.delete(node);
    asked.abort.abort();
    if (asked.timer !== null) clearTimeout(asked.timer);
  }

  close(): void {
    for (const node of [...this.#asked.keys()]) this.settled(node);
  }

  async #ask(asked: Asked): Promise<void> {
    const { lost, abort } = asked;
    const { dead, text } = await this.#source.ask(lost, abort.signal);
    // Back, or lost anew, in the meantime: this answer is of another loss.
    if (this.#asked.get(lost.node) !== asked) return;
    if (dead) {
      this.#asked.delete(lost.node);
      this.#events.dead(lost, text);
      return;
    }
    if (text !== asked.text) this.#events.unclear(lost, text);
    asked.text = text;
    asked.timer = setTimeout(() => void this.#ask(asked), this.#intervalMs);
    asked.timer.unref();
  }
}
