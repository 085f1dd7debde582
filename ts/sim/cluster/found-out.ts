/**
 * R10: a region that a kernel has found out of sync is copied by no other one while that kernel has its table: it may go on writing there
 * without a mark. Judged for those who were with it when its report was answered, and have met nobody since who was not.
 */
import { DM_ULOG_CTR, DM_ULOG_POSTSUSPEND, DM_ULOG_RESUME, DM_ULOG_SET_REGION_SYNC } from '../../base/ulog-frames.js';
import { type LogMessage, MessageType } from '../../mirror/messages.js';
import type { Evaluations } from '../checks/violation.js';
import type { RequestRecord } from '../daemon/requests.js';
import type { Host } from '../host.js';
import type { Bonds } from './bonds.js';

/** What one table's kernel has found. */
interface Found {
  readonly key: string;
  readonly by: Host;
  readonly region: number;
  readonly heard: Set<Host>;
  /** Its kernel has left: it says so again when it has come back. */
  away: boolean;
}

export class FoundOut {
  readonly #evaluations: Evaluations;
  readonly #bonds: Bonds;
  /** By uuid. */
  readonly #found = new Map<string, Found[]>();

  constructor(evaluations: Evaluations, bonds: Bonds) {
    this.#evaluations = evaluations;
    this.#bonds = bonds;
  }

  /** A host's kernel hears that its report is known. */
  replied(host: Host, { type, key, uuid, values, endsWithNul }: RequestRecord): void {
    const [region, flag] = values;
    // A new table may have the address of one that is gone.
    if (type === DM_ULOG_CTR && !endsWithNul) this.#drop(uuid, (found) => found.by === host && found.key === key);
    if (type === DM_ULOG_POSTSUSPEND) this.#left(host, uuid);
    if (type === DM_ULOG_RESUME) this.#away(host, uuid, false);
    if (type !== DM_ULOG_SET_REGION_SYNC || region === undefined || flag !== 0) return;
    this.#drop(uuid, (found) => found.by === host && found.region === region);
    const heard = new Set(this.#bonds.of(uuid, host));
    this.#found.set(uuid, [...(this.#found.get(uuid) ?? []), { key, by: host, region, heard, away: false }]);
  }

  /** What it knew it forgets, and hears again when it comes back where somebody who knows has stayed. */
  #left(host: Host, uuid: string): void {
    for (const { by, heard } of this.#found.get(uuid) ?? []) {
      const stays = [by, ...heard].some((other) => other !== host && this.#bonds.bonded(uuid, host, other));
      if (!stays) heard.delete(host);
    }
    this.#away(host, uuid, true);
    for (const { heard, by } of this.#found.get(uuid) ?? [])
      if (by === host)
        for (const other of [...heard])
          if (other.membership === null && !staysWith(uuid, heard, other)) heard.delete(other);
  }

  #away(host: Host, uuid: string, away: boolean): void {
    for (const found of this.#found.get(uuid) ?? []) if (found.by === host) found.away = away;
  }

  /**
   * Its daemon was killed: others say it again to the next one, if there are any, or the one whose kernel has found it. Who has given up
   * the copy that says it, for one that is lost by this, does not know it either.
   */
  daemonDied(host: Host): void {
    for (const [uuid, list] of this.#found)
      for (const { by, heard, away } of list) {
        const concerns = by === host || heard.has(host);
        if (away && concerns && !staysWith(uuid, heard, host)) heard.clear();
      }
  }

  /** What it has heard was lost with its daemon's state. */
  stateLost(host: Host): void {
    for (const list of this.#found.values()) for (const { heard } of list) heard.delete(host);
  }

  /** It has recovered the region, or another one whom nothing forbade it says so. */
  submitted({ type, flag, uuid, regions, count }: LogMessage): void {
    if (type !== MessageType.inSync || flag !== 1) return;
    const inSync = regions.subarray(0, count);
    this.#drop(uuid, ({ region }) => inSync.includes(region));
  }

  powerLost(host: Host): void {
    for (const uuid of this.#found.keys()) this.#drop(uuid, ({ by }) => by === host);
    this.stateLost(host);
  }

  /** Two hosts have the same copy from now on; whose it is, and so what both know, is not said. */
  bonded(uuid: string, a: Host, b: Host): void {
    for (const { by, heard } of this.#found.get(uuid) ?? []) {
      if (a === by || b === by || heard.has(a) === heard.has(b)) continue;
      heard.delete(a);
      heard.delete(b);
    }
  }

  /** A host's kernel begins to copy a region; `apart`: nobody can keep the other one from going on, too. */
  copied(host: Host, uuid: string, region: number, apart: (other: Host) => boolean): void {
    for (const { key, by, region: found, heard } of this.#found.get(uuid) ?? []) {
      const stands = by !== host && found === region && heard.has(host) && by.liveTruth(uuid)?.key === key;
      this.#evaluations.check(
        'R10-found-out',
        !stands || apart(by),
        () => `${uuid}: ${host.name} copies region ${region}, which the kernel of ${by.name} has found out of sync`,
      );
    }
  }

  #drop(uuid: string, over: (found: Found) => boolean): void {
    const list = this.#found.get(uuid);
    if (list !== undefined)
      this.#found.set(
        uuid,
        list.filter((found) => !over(found)),
      );
  }
}

/** What a daemon has heard ends with it, unless others who are there have it in their copies. */
function staysWith(uuid: string, heard: ReadonlySet<Host>, host: Host): boolean {
  return [...heard].some((other) => other !== host && other.membership !== null && other.follows(uuid));
}
