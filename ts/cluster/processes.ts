/**
 * The processes of the CPG group as one member knows them, and the round of introductions that makes a view of them.
 *
 * Whenever somebody comes into the group, everybody introduces himself anew. The round is complete when every process of the group
 * has, or has shown that it cannot; that point of the order is the same for all, for those who were there as for those who
 * come. It says who is admitted, and sends nothing.
 */
import type { GroupMember } from '../base/group-view.js';
import type { CpgConfiguration, CpgProcess } from '../native/cpg-group.js';
import { groupDigest, type Hello } from './wire.js';

/** A long message that is coming in parts. */
export interface PartialMessage {
  buffer: Buffer;
  filled: number;
}

/** One process of the group. */
export interface Peer {
  readonly node: number;
  readonly pid: number;
  /** In the view of this member. */
  inView: boolean;
  /** It has said that it is in a view itself, in the hello that counts for the round. */
  saysInView: boolean;
  /** Its hello that counts for the round; null: not yet. */
  hello: GroupMember | null;
  /** What it says cannot be understood: it is waited for no more, and not admitted in this round. */
  refused: boolean;
  /** As whom it is in the view. */
  identity: GroupMember | null;
  session: number;
  /** Number of its last multicast; 0: none counted yet. */
  seq: number;
  /** This member's order up to which it has everything. */
  acknowledged: number;
  partial: PartialMessage | null;
}

function newPeer({ node, pid }: CpgProcess): Peer {
  return {
    node,
    pid,
    inView: false,
    saysInView: false,
    hello: null,
    refused: false,
    identity: null,
    session: 0,
    seq: 0,
    acknowledged: 0,
    partial: null,
  };
}

/** What a change of the group did. */
export interface GroupChange {
  /** Members of the view that are gone, with corosync's reason. */
  readonly departed: readonly { readonly peer: Peer; readonly reason: number }[];
  /** A round has begun: this member has to introduce itself. */
  readonly roundBegun: boolean;
}

export class Processes {
  /** In no order. Few: one a node. */
  readonly all: Peer[] = [];
  #digest = 0;
  #round = false;

  /** Names the processes with which the round began: to whom a hello is addressed. */
  get digest(): number {
    return this.#digest;
  }

  get roundRuns(): boolean {
    return this.#round;
  }

  find(node: number, pid: number): Peer | null {
    for (const peer of this.all) if (peer.node === node && peer.pid === pid) return peer;
    return null;
  }

  clear(): void {
    this.all.length = 0;
    this.#round = false;
  }

  /** `ownInView`: whether this member has a view. Who has none waits for a round. */
  change(configuration: CpgConfiguration, ownInView: boolean): GroupChange {
    const departed: { peer: Peer; reason: number }[] = [];
    let gone = false;
    const remove = (peer: Peer, reason: number) => {
      gone = true;
      this.all.splice(this.all.indexOf(peer), 1);
      if (peer.inView) departed.push({ peer, reason });
    };
    for (const { node, pid, reason } of configuration.left) {
      const peer = this.find(node, pid);
      if (peer !== null) remove(peer, reason);
    }
    const there = new Set(configuration.members.map(({ node, pid }) => `${node}/${pid}`));
    // Also who went and came at once, as after a merge of rings: nothing that it said before holds.
    for (const { node, pid, reason } of configuration.joined) {
      const peer = this.find(node, pid);
      if (peer !== null) remove(peer, reason);
    }
    for (const peer of [...this.all]) if (!there.has(`${peer.node}/${peer.pid}`)) remove(peer, 0);
    let came = false;
    for (const process of configuration.members) {
      if (this.find(process.node, process.pid) !== null) continue;
      came = true;
      this.all.push(newPeer(process));
    }
    // Somebody who had to stand back for the one that is gone gets another chance.
    const waiting = !ownInView || this.all.some((peer) => !peer.inView && !peer.refused);
    // Also in the middle of a round: corosync may tell one that slept of a successor first and of the one that is gone then,
    // and the others the other way round. All have to mean the same processes in the end.
    const roundBegun = came || (gone && (this.#round || waiting));
    if (roundBegun) {
      this.#round = true;
      this.#digest = groupDigest(this.all);
      for (const peer of this.all) {
        peer.hello = null;
        // It has to show anew that it speaks another language: who comes does not know, and all must decide alike.
        peer.refused = false;
      }
    }
    return { departed, roundBegun };
  }

  /** True when the hello counts for the round. One that was meant for another group of processes does not. */
  introduce(peer: Peer, hello: Hello, saysInView: boolean): boolean {
    if (!this.#round || hello.digest !== this.#digest) return false;
    peer.hello = { node: peer.node, name: hello.name, bootId: hello.bootId, incarnation: hello.incarnation };
    peer.saysInView = saysInView;
    return true;
  }

  /** Whom the round still waits for. */
  missing(): Peer[] {
    return this.#round ? this.all.filter((peer) => peer.hello === null && !peer.refused) : [];
  }

  /**
   * Ends the round when it is complete, and says who is admitted: one process a node. One that is in a view goes before one
   * that is not. While somebody is there who speaks another language nobody new comes into a view: it would be alone in it.
   */
  complete(): Peer[] | null {
    if (!this.#round || this.missing().length > 0) return null;
    this.#round = false;
    const strangers = this.all.some((peer) => peer.refused);
    const admitted = new Map<number, Peer>();
    for (const peer of this.all) {
      if (peer.refused || peer.hello === null || (strangers && !peer.saysInView)) continue;
      const other = admitted.get(peer.node);
      if (other === undefined || goesBefore(peer, other)) admitted.set(peer.node, peer);
    }
    return [...admitted.values()].sort((a, b) => a.node - b.node);
  }
}

function goesBefore(peer: Peer, other: Peer): boolean {
  if (peer.saysInView !== other.saysInView) return peer.saysInView;
  return peer.pid < other.pid;
}
