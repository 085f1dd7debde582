/**
 * What requests of this host's kernel wait for, log by log: a group, quorum, a copy, the writer, another host's recovery, an
 * acknowledgement, a log write. For people who ask why; it decides nothing.
 *
 * Something always waits for a moment where somebody writes. What lasts is told as an event, once, and as one when it is over: whoever owns
 * this calls `look` every few seconds, and a wait that is the same in two looks lasts.
 */
import type { LogWait, WaitCode } from '../admin/daemon-status.js';
import { LifeCycle } from '../mirror/log-state.js';
import { memberOf, providerOf } from '../mirror/member-table.js';
import type { MirrorLog } from '../mirror/mirror-log.js';

/** How the group stands for all logs. */
export interface GroupFacts {
  readonly node: number;
  readonly inGroup: boolean;
  readonly quorate: boolean;
  readonly exchanging: boolean;
  /** Who has not introduced itself, and who has not acknowledged all that was delivered. */
  readonly awaited: readonly number[];
  readonly behind: readonly { readonly node: number; readonly acknowledged: number }[];
  readonly messagesDelivered: number;
}

/** A wait, and a number that is another one when what is waited for has moved. */
export interface WaitNow extends LogWait {
  readonly progress: number;
}

/** Empty: nothing waits. */
export function waitsOf(log: MirrorLog, group: GroupFacts): WaitNow[] {
  const resuming = log.state.lifeCycle === LifeCycle.resuming;
  if (!log.waiting && !resuming) return [];
  const waits = [...groupWaits(group), ...memberWaits(log, group)];
  if (waits.length > 0) return waits;
  return [onItsWay(log, group)];
}

/** What every request waits for that is answered at all. */
function onItsWay(log: MirrorLog, { node, behind, messagesDelivered }: GroupFacts): WaitNow {
  const { store } = log.life;
  const writer = log.replica.rights.table?.writer ?? node;
  if (log.replica.phase === 'loading' && store?.merges !== true) return wait('load', [node]);
  if (behind.length > 0) {
    const last = Math.min(...behind.map(({ acknowledged }) => acknowledged));
    return wait(
      'acknowledgement',
      behind.map((one) => one.node),
      last,
    );
  }
  if (log.state.logFailed) return wait('log-failed', nodes(writer));
  if (store !== null && !store.allDurable) return wait('log-write', nodes(writer), store.durableGeneration);
  return wait('order', [], messagesDelivered);
}

function groupWaits({ inGroup, exchanging, quorate, awaited }: GroupFacts): WaitNow[] {
  if (!inGroup) return [wait('group', [])];
  if (exchanging) return [wait('exchange', awaited)];
  return quorate ? [] : [wait('quorum', [])];
}

function memberWaits(log: MirrorLog, { node, inGroup, quorate, exchanging }: GroupFacts): WaitNow[] {
  const { state, replica } = log;
  const { table } = replica.rights;
  // Who is away is the others' trouble and not this side's, which is cut off itself.
  if (table === undefined || exchanging || !inGroup || !quorate) return [];
  const waits: WaitNow[] = [];
  const needed = table.members.filter((member) => member.needed && !member.present);
  if (needed.length > 0) {
    const away = needed.map((member) => member.node);
    waits.push(wait('needed', away));
  } else if (replica.phase === 'copying' || replica.phase === 'waiting') {
    const provider = providerOf(table, node);
    waits.push(wait('copy', provider < 0 ? [] : [provider]));
  }
  const writer = memberOf(table, table.writer);
  if (table.disk && replica.following && writer?.present !== true) waits.push(wait('writer', nodes(table.writer)));
  const { recoveringRegion: region, recoveringNode: elsewhere } = state;
  if (region >= 0 && elsewhere >= 0 && elsewhere !== node) {
    if (log.life.halt.waits) waits.push(wait('suspend', [elsewhere]));
    else if (state.map.isHeld(region) || state.marksUnknown) waits.push(wait('recovery', [elsewhere], region));
  }
  return waits;
}

function wait(code: WaitCode, of: readonly number[], progress = 0): WaitNow {
  return { code, nodes: [...of], progress };
}

function nodes(node: number): number[] {
  return node < 0 ? [] : [node];
}

interface Seen {
  readonly key: string;
  readonly sinceMs: number;
  /** What was told; empty: nothing. */
  told: string;
}

/** Remembers what was seen waiting at the last look. */
export class LastingWaits {
  readonly #seen = new Map<string, Seen>();
  readonly #tell: (uuid: string, waits: readonly WaitNow[]) => void;

  /** `tell` hears of waits that last, and, with none, that they are over. */
  constructor(tell: (uuid: string, waits: readonly WaitNow[]) => void) {
    this.#tell = tell;
  }

  look(logs: Iterable<{ readonly uuid: string; readonly waits: readonly WaitNow[] }>, nowMs: number): void {
    const waiting = new Map<string, readonly WaitNow[]>();
    // During a table reload two instances have one uuid.
    for (const { uuid, waits } of logs) if (waits.length > 0) waiting.set(uuid, waits);
    for (const [uuid, { told }] of this.#seen) {
      if (waiting.has(uuid)) continue;
      this.#seen.delete(uuid);
      if (told !== '') this.#tell(uuid, []);
    }
    for (const [uuid, waits] of waiting) this.#seenWaiting(uuid, waits, nowMs);
  }

  #seenWaiting(uuid: string, waits: readonly WaitNow[], nowMs: number): void {
    const key = JSON.stringify(waits);
    const what = waits.map(({ code, nodes: of }) => `${code} ${of.join()}`).join();
    const before = this.#seen.get(uuid);
    if (before?.key !== key) {
      this.#seen.set(uuid, { key, sinceMs: nowMs, told: before?.told ?? '' });
      return;
    }
    if (before.told === what) return;
    before.told = what;
    this.#tell(uuid, waits);
  }

  /** When the log was first seen to wait just so; -1: it was not at the last look. */
  sinceMs(uuid: string, waits: readonly WaitNow[]): number {
    const seen = this.#seen.get(uuid);
    return seen?.key === JSON.stringify(waits) ? seen.sinceMs : -1;
  }
}
