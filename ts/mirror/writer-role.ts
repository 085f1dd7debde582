/**
 * The writer's role of a shared disk log as this node sees it (R8): when it takes it up, when what it writes counts, and how it gives
 * it back. Who has the role is in the member table; what taking up and giving back mean for the device is the log's business
 * (replica-hooks.ts). A core log has a writer too, who writes nothing.
 */
import type { MemberTable } from './member-table.js';
import { MessageType } from './messages.js';
import type { PlaceRequests } from './place-requests.js';
import type { ReplicaHooks } from './replica-hooks.js';
import type { ReplicaRights } from './replica-rights.js';
import type { World } from './world.js';

export class WriterRole {
  readonly #world: World;
  readonly #hooks: ReplicaHooks;
  readonly #rights: ReplicaRights;
  readonly #requests: PlaceRequests;
  #servedEpoch = -1;
  /** Place of the order by which it has had that epoch. */
  #servedOrder = 0;
  /** This node was the writer and might write. */
  #wrote = false;
  /** It leaves the log. */
  #ends = false;

  constructor(world: World, hooks: ReplicaHooks, rights: ReplicaRights, requests: PlaceRequests) {
    this.#world = world;
    this.#hooks = hooks;
    this.#rights = rights;
    this.#requests = requests;
  }

  /** This node commits the log device. */
  get writes(): boolean {
    const { shared, operational, table } = this.#rights;
    if (!shared) return true;
    return operational && table?.writer === this.#world.node && this.#servedEpoch === table.epoch;
  }

  /** The log is entered. */
  enter(): void {
    this.#ends = false;
  }

  /** The first member has the role before it follows: it loads the device. */
  begin(epoch: number): void {
    if (epoch !== this.#servedEpoch) this.#serve(epoch);
  }

  #serve(epoch: number): void {
    this.#servedEpoch = epoch;
    this.#servedOrder = this.#world.order;
  }

  /**
   * What the role follows from all members have heard, and there is quorum. A node that is being cut off hears its own messages without those
   * before them that it has missed: the others may have begun to write meanwhile.
   */
  get mayBegin(): boolean {
    const { cluster, node, acknowledgedOrder } = this.#world;
    const { table } = this.#rights;
    if (cluster === null) return true;
    const serves = table?.writer === node && table.epoch === this.#servedEpoch;
    return cluster.operational && serves && this.#servedOrder <= acknowledgedOrder;
  }

  /** It is on its way back: who took it up again meanwhile might still write when another has it (R8). */
  get givesBack(): boolean {
    return this.#requests.has(MessageType.retired);
  }

  /** The table has changed, or who may do what, and the copy follows. */
  tableChanged(table: MemberTable): void {
    if (table.writer !== this.#world.node) {
      this.#servedEpoch = -1;
      this.#hooks.retire(() => {});
    } else if (this.#servedEpoch !== table.epoch && this.#mayServe) {
      this.#serve(table.epoch);
      this.#hooks.serve();
    } else if (this.writes && !this.#wrote) {
      this.#hooks.counts();
    }
    this.#wrote = this.writes;
  }

  get #mayServe(): boolean {
    return this.#rights.operational && !this.#ends && !this.givesBack;
  }

  /** What was written is to be said anew. */
  sayAgain(): void {
    this.#wrote = false;
  }

  /**
   * Who does not follow does not write. It keeps the role until what it has begun is over: nobody else may write before that (R8). Where
   * others could not know of it, as when its corosync said that this daemon was gone, who has the role by then hears when it was over.
   */
  giveBack(): void {
    const had = this.#servedEpoch !== -1;
    this.#servedEpoch = -1;
    this.#hooks.retire(() => {
      if (had && this.#servedEpoch === -1) this.#requests.ask(MessageType.retired, 0);
    });
  }

  /**
   * Writes nothing any more, whatever is heard of the role: `done` when nothing of this node is on its way to the log device. It leaves
   * then, and the next writer begins at once (R8).
   */
  end(done: () => void): void {
    this.#ends = true;
    this.#servedEpoch = -1;
    this.#requests.drop(MessageType.retired);
    this.#hooks.retire(done);
  }
}
