/** The engine's one timer: never late, and not made anew for every request. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TurnTimer } from '../../ts/daemon/turn-timer.js';

describe('the turn timer', () => {
  let nowMs: number;
  let woken: number[];
  let timer: TurnTimer;

  beforeEach(() => {
    vi.useFakeTimers();
    nowMs = 1000;
    woken = [];
    timer = new TurnTimer(
      () => woken.push(nowMs),
      () => nowMs,
    );
  });
  afterEach(() => {
    timer.cancel();
    vi.useRealTimers();
  });

  function pass(milliseconds: number): void {
    for (let i = 0; i < milliseconds; i++) {
      nowMs += 1;
      vi.advanceTimersByTime(1);
    }
  }

  it('wakes once at the deadline', () => {
    timer.arm(1010, nowMs);
    pass(50);
    expect(woken).toEqual([1010]);
  });

  it('does nothing without a deadline', () => {
    timer.arm(-1, nowMs);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('moves to an earlier deadline', () => {
    timer.arm(1500, nowMs);
    timer.arm(1020, nowMs);
    pass(30);
    expect(woken).toEqual([1020]);
  });

  it('keeps its timer when deadlines move later, and wakes to look', () => {
    timer.arm(1020, nowMs);
    for (let later = 1100; later < 1200; later++) timer.arm(later, nowMs);
    expect(vi.getTimerCount()).toBe(1);
    pass(25);
    expect(woken).toEqual([1020]);
  });

  it('goes on when it fired early', () => {
    timer.arm(1010.6, nowMs);
    vi.advanceTimersByTime(11); // the loop's clock ran ahead of ours
    expect(woken).toEqual([]);
    pass(11);
    expect(woken).toEqual([1011]);
  });

  it('fires no more after cancel', () => {
    timer.arm(1010, nowMs);
    timer.cancel();
    pass(50);
    expect(woken).toEqual([]);
  });

  it('may be armed from inside the wake-up', () => {
    const again = new TurnTimer(
      () => {
        woken.push(nowMs);
        if (woken.length < 3) again.arm(nowMs + 5, nowMs);
      },
      () => nowMs,
    );
    again.arm(1005, nowMs);
    pass(30);
    expect(woken).toEqual([1005, 1010, 1015]);
  });
});
