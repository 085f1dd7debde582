/** The ordered stream of a daemon that is a member of the simulated group: what comes, comes outside its turns. */
import type { LogMessage } from '../../mirror/messages.js';
import type { MessageStream, StreamEnds } from '../daemon/stream.js';
import type { SimulatedGroup } from './group.js';
import type { SimulatedTransport } from './transport.js';

export class GroupStream implements MessageStream {
  readonly #group: SimulatedGroup;
  readonly #ends: StreamEnds;
  #transport: SimulatedTransport | null = null;

  constructor(group: SimulatedGroup, ends: StreamEnds) {
    this.#group = group;
    this.#ends = ends;
  }

  /** Null before `start`. */
  get transport(): SimulatedTransport | null {
    return this.#transport;
  }

  start(): void {
    const ends = this.#ends;
    this.#transport = this.#group.connect(ends.self, ends, (action) => ends.run(action));
  }

  submit(message: LogMessage): void {
    if (this.#transport === null) throw new Error('a message before the first turn');
    this.#transport.submit(message);
  }

  get pending(): boolean {
    return false;
  }

  flush(): void {
    this.#transport?.flush();
  }

  died(exitMs: number): void {
    this.#transport?.abandon(exitMs);
  }
}
