/**
 * Which hosts are lost: they have logs, their daemons are not in the group, and corosync does not hear them. A host whose daemon alone
 * is gone is not lost: corosync there vouches for it, and its daemon will be started again.
 *
 * Somebody is asked about a lost host (R7) only while this side of the cluster has quorum: a fencing command may well shoot, and
 * whoever is cut off must not shoot the others. Pure; whoever sees a change calls `look`.
 */
import type { MemberTable } from '../mirror/member-table.js';

export interface LostHost {
  readonly node: number;
  readonly name: string;
  /** Short form of its boot id. */
  readonly boot: string;
  /** When this daemon noticed, on the wall clock. */
  readonly lostMs: number;
  /** The same on the clock that nobody sets (up-time.ts). */
  readonly lostUpMs: number;
}

export interface LostNodesEvents {
  lost(host: LostHost): void;
  /** It is back, known dead, or this side may not ask any more. */
  settled(node: number): void;
}

interface Known {
  readonly host: LostHost;
  told: boolean;
}

export class LostNodes {
  readonly #events: LostNodesEvents;
  readonly #known = new Map<number, Known>();

  constructor(events: LostNodesEvents) {
    this.#events = events;
  }

  get list(): readonly LostHost[] {
    return [...this.#known.values()].map(({ host }) => host).sort((a, b) => a.node - b.node);
  }

  find(node: number): LostHost | null {
    return this.#known.get(node)?.host ?? null;
  }

  /** @param heard nodes that corosync hears; @param mayAsk this side has quorum; @param now on the wall clock, and as in up-time.ts. */
  look(
    tables: Iterable<MemberTable>,
    heard: readonly number[],
    mayAsk: boolean,
    now: Pick<LostHost, 'lostMs' | 'lostUpMs'>,
  ): void {
    const absent = absentMembers(tables, heard);
    for (const [node, known] of this.#known) {
      if (absent.get(node)?.boot === known.host.boot) continue;
      this.#known.delete(node);
      if (known.told) this.#events.settled(node);
    }
    for (const [node, { name, boot }] of absent) {
      if (!this.#known.has(node)) this.#known.set(node, { host: { node, name, boot, ...now }, told: false });
    }
    for (const known of this.#known.values()) {
      if (known.told === mayAsk) continue;
      known.told = mayAsk;
      if (mayAsk) this.#events.lost(known.host);
      else this.#events.settled(known.host.node);
    }
  }
}

function absentMembers(tables: Iterable<MemberTable>, heard: readonly number[]) {
  const absent = new Map<number, { readonly name: string; readonly boot: string }>();
  for (const { members } of tables) {
    for (const { node, name, boot, present } of members) {
      if (!present && !heard.includes(node)) absent.set(node, { name, boot });
    }
  }
  return absent;
}
