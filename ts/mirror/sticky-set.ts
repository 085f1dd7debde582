/**
 * The sticky marks of one log (R5) as `Marks` uses them: the native set, with the time of its oldest mark held here. Every
 * turn asks for that time, few requests change it, and a native call costs more than all else that a turn does.
 *
 * It decides nothing. Whoever changes the set changes it here; others may read the native one.
 */
import type { StickyMarks } from '../regions/region-map.js';

export class StickySet {
  readonly #marks: StickyMarks;
  /** -1: there is no mark; NaN: not known since the last change. */
  #oldestMs = Number.NaN;

  constructor(marks: StickyMarks) {
    this.#marks = marks;
  }

  get empty(): boolean {
    return this.oldestMs < 0;
  }

  /** -1: there is no mark. */
  get oldestMs(): number {
    if (Number.isNaN(this.#oldestMs)) this.#oldestMs = this.#marks.oldestMs();
    return this.#oldestMs;
  }

  get size(): number {
    return this.#marks.size;
  }

  get capacity(): number {
    return this.#marks.capacity;
  }

  has(region: number): boolean {
    return !this.empty && this.#marks.has(region);
  }

  /** Adds the region, or renews its time. Returns the oldest region, dropped to make room, or -1. */
  add(region: number, nowMs: number): number {
    this.#oldestMs = Number.NaN;
    return this.#marks.add(region, nowMs);
  }

  remove(region: number): boolean {
    if (this.empty) return false;
    this.#oldestMs = Number.NaN;
    return this.#marks.remove(region);
  }

  /** Moves regions last used at or before `untilMs` into `out`, oldest first; returns how many. */
  expire(untilMs: number, out: Float64Array): number {
    this.#oldestMs = Number.NaN;
    return this.#marks.expire(untilMs, out);
  }
}
