/**
 * What a log does when its device says something: the owner of the store (store-owner.ts). What the bits are after a
 * load is derived in resume-bits.ts; whether the log serves then is decided in log-life.ts.
 */
import { Errno } from '../base/errno.js';
import { DM_ULOG_RESUME } from '../base/ulog-frames.js';
import type { LogDeviceInfo } from './log-device.js';
import type { LogHeader, LogSession } from './log-image.js';
import type { LogParts } from './log-parts.js';
import { LifeCycle, type LogState } from './log-state.js';
import { deriveDiskBits, judgeHead } from './resume-bits.js';
import { packDevice } from './status-text.js';
import { type HeadVerdict, type LogStoreOwner, StoreGoal } from './store-owner.js';
import { report } from './world.js';

export interface StoreHooks {
  /** Other instances of the same uuid on this host that have left. */
  predecessors(): Iterable<LogState>;
  /** Something changed: the end of this turn must look at the log. */
  changed(): void;
  /** A load has ended well. */
  ready(): void;
  /** A load has failed; `errno` is positive. */
  notReady(errno: number): void;
}

export class StoreAnswers implements LogStoreOwner {
  readonly #parts: LogParts;
  readonly #hooks: StoreHooks;

  constructor(parts: LogParts, hooks: StoreHooks) {
    this.#parts = parts;
    this.#hooks = hooks;
  }

  deviceKnown(info: LogDeviceInfo): void {
    const { state } = this.#parts;
    const packed = packDevice(info);
    if (state.deviceNumber !== packed) state.deviceNumber = packed;
  }

  judgeHead(header: LogHeader, session: LogSession | null): HeadVerdict {
    const { state, args, world } = this.#parts;
    const { nodeName } = world;
    return judgeHead(
      state,
      args,
      { nodeName, forceForeignSession: world.settings.forceForeignSession },
      header,
      session,
    );
  }

  bitsLoaded(): void {
    deriveDiskBits(this.#parts.state, this.#hooks.predecessors());
  }

  session(closed: boolean): LogSession {
    const { world, state, uuid } = this.#parts;
    const { epoch, nodeName, bootId } = world;
    return { uuid, writerEpoch: epoch, nodeName, bootId, resumeCount: state.resumeCount, closed };
  }

  loaded(): void {
    this.#hooks.ready();
  }

  loadRefused(errno: number, text: string): void {
    report(this.#parts.world, 'error', 'resume-refused', this.#parts.uuid, text);
    this.#hooks.notReady(errno);
  }

  failed(errno: number, text: string, goal: StoreGoal): void {
    const { world, state, waiters, uuid } = this.#parts;
    report(world, 'error', 'log-failed', uuid, text);
    this.#hooks.changed();
    if (goal === StoreGoal.learn) return;
    if (state.lifeCycle === LifeCycle.resuming) {
      this.#hooks.notReady(errno);
      return;
    }
    if (!state.logFailed) {
      state.logFailed = true;
      world.counters.logFailures += 1;
    }
    // A resumed log stays resumed, whatever its device does.
    waiters.takeAll((seq, type) => world.effects.reply(seq, type, type === DM_ULOG_RESUME ? 0 : -Errno.EIO));
  }

  committed(): void {
    this.#hooks.changed();
  }

  restored(): void {
    const { world, state, uuid } = this.#parts;
    if (state.logFailed) {
      state.logFailed = false;
      world.counters.repairs += 1;
      report(world, 'notice', 'log-repaired', uuid, 'every block was written again and read back');
    }
    if (state.lifeCycle === LifeCycle.resuming) this.#hooks.ready();
  }
}
