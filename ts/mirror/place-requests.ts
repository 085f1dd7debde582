/**
 * This node's messages about its own place among the members of a log: join, ready, halt, leave, retired. Each is sent again until it
 * is delivered and counts: an exchange (cluster.ts) swallows them, and so does a group that is lost.
 *
 * One of a type waits at a time, the last that was asked for; by its number its delivery is told from that of one before, which may be
 * of another resume. What follows from their delivery is not known here.
 */
import type { LogState } from './log-state.js';
import { MessageType } from './messages.js';
import type { ReplicaHooks } from './replica-hooks.js';
import type { ReplicaRights } from './replica-rights.js';
import type { World } from './world.js';

interface PlaceRequest {
  readonly flag: number;
  readonly number: number;
}

export class PlaceRequests {
  readonly #world: World;
  readonly #state: LogState;
  readonly #rights: ReplicaRights;
  readonly #hooks: ReplicaHooks;
  /** Not delivered yet. */
  readonly #waiting = new Map<MessageType, PlaceRequest>();

  /** What a leave says of the log device: see `LeaveFacts`. */
  closedEpoch = 0;

  constructor(world: World, state: LogState, rights: ReplicaRights, hooks: ReplicaHooks) {
    this.#world = world;
    this.#state = state;
    this.#rights = rights;
    this.#hooks = hooks;
  }

  /** Sends the message, now or when the group takes it; again until it is delivered. */
  ask(type: MessageType, flag: number): void {
    this.#world.placeRequests += 1;
    const request = { flag, number: this.#world.placeRequests };
    this.#waiting.set(type, request);
    if (this.#world.cluster?.exchanging === false) this.#send(type, request);
  }

  /** The group takes messages again. */
  askAgain(): void {
    for (const [type, request] of this.#waiting) this.#send(type, request);
  }

  has(type: MessageType): boolean {
    return this.#waiting.has(type);
  }

  /** Undefined: none of the type waits. */
  flagOf(type: MessageType): number | undefined {
    return this.#waiting.get(type)?.flag;
  }

  /** The one of this number was delivered and counts. False: it is not the one that was asked for last. */
  delivered(type: MessageType, number: number): boolean {
    if (this.#waiting.get(type)?.number !== number) return false;
    this.drop(type);
    return true;
  }

  /** Nobody wants it any more. */
  drop(type: MessageType): void {
    this.#waiting.delete(type);
  }

  clear(): void {
    this.#waiting.clear();
  }

  /** Somebody has to copy regions when this node has left. */
  get #leavesBehind(): boolean {
    const { map, marksUnknown } = this.#state;
    return marksUnknown || map.heldCount > 0 || map.syncCount < map.regionCount;
  }

  #send(type: MessageType, { flag, number }: PlaceRequest): void {
    const { sender } = this.#world;
    const { uuid } = this.#state.identity;
    if (type === MessageType.ready) {
      sender.numbers(type, uuid, number, flag, [this.#rights.table?.lineage ?? 0]);
    } else if (type === MessageType.join) {
      const { regionCount, regionSizeSectors } = this.#state.geometry;
      const disk = this.#state.image === null ? 0 : 1;
      sender.numbers(type, uuid, number, flag, [regionCount, regionSizeSectors, disk]);
    } else if (type === MessageType.retired) {
      // Of the role as it is given now: that of the members who were there when it was asked may have begun anew.
      sender.numbers(type, uuid, number, this.#rights.table?.epoch ?? 0, []);
    } else if (type === MessageType.leave) {
      // So is what the copy says: of a later table it may be wrong.
      const { generation = 0 } = this.#rights.table ?? {};
      const outOfSync = this.#world.cluster?.directory.outOfSyncOf(uuid) ?? 0;
      const says = flag | (this.#leavesBehind ? 2 : 0) | (this.#hooks.deviceHasAll() ? 8 : 0);
      sender.numbers(type, uuid, number, says, [generation, this.closedEpoch, outOfSync]);
    } else {
      sender.numbers(type, uuid, number, flag, []);
    }
  }
}
