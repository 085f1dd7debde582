/**
 * Looks at the simulated device-mapper's tables for the daemon, as often as lockstepd does it (ts/connector/table-watch.ts):
 * at its start, then every minute, and within seconds while a log is missing. What was seen at one instant is told a
 * little later; a stopped daemon hears of it when it goes on, and is not asked again before.
 */
import type { DaemonProcess } from './daemon/process.js';
import type { Kernel } from './kernel/kernel.js';
import type { Timeline } from './timeline.js';

/** While all is well, and while a log is missing. */
export const calmLookMs = 60_000;
export const suspectLookMs = 6_000;
/** From what was seen to what is told. */
export const lookMs = 0.3;

export interface LookedAt {
  readonly timeline: Timeline;
  readonly kernel: Kernel | null;
}

export class TableLooks {
  readonly #world: LookedAt;

  constructor(world: LookedAt) {
    this.#world = world;
  }

  /** Looks now, and from then on as long as this daemon lives. */
  of(daemon: DaemonProcess): void {
    if (!daemon.alive) return;
    const { timeline, kernel } = this.#world;
    const askedMs = timeline.nowMs;
    const uuids = new Set<string>();
    for (const { live, loaded } of kernel?.devices ?? []) {
      for (const target of [live, loaded]) if (target !== null) uuids.add(target.log.uuid);
    }
    timeline.after(lookMs, () => {
      daemon.tables(uuids, askedMs, (soon) => {
        timeline.after(soon ? suspectLookMs : calmLookMs, () => this.of(daemon));
      });
    });
  }
}
