/**
 * Constructors on their way: a disk log's device must be opened before the kernel hears that its log exists, because
 * a name that is no device and a device that is too small are errors of CTR (R17).
 *
 * What is under way is in memory only. A daemon killed here leaves nothing, and the kernel asks again.
 *
 * A record is made with its marks known, and the next store says which it is: `marksUnknown`, or the search position
 * that means "constructed" until the first resume begins the search. A daemon killed between the two leaves a record
 * that says neither, and then the NUL of the kernel's next constructor decides (R3).
 */
import { Errno, errnoName } from '../base/errno.js';
import { DM_ULOG_CTR } from '../base/ulog-frames.js';
import type { ConstructorArgs } from './constructor-args.js';
import { DeviceProbe } from './device-probe.js';
import { doesNotFit } from './log-area.js';
import type { LogDeviceInfo } from './log-device.js';
import { LifeCycle, type LogIdentity, type LogState } from './log-state.js';
import { SearchStart } from './resume-bits.js';
import { SeqList } from './seq-list.js';
import { report, type World } from './world.js';

/** What the kernel asked for. */
export interface Wanted {
  readonly identity: LogIdentity;
  readonly text: string;
  readonly args: ConstructorArgs;
  /** R3: the constructor of a log that the kernel has already used. */
  readonly marksUnknown: boolean;
  readonly deviceNameWanted: boolean;
}

/** Stores which kind of record it is. */
export function settleMarks(world: World, state: LogState, marksUnknown: boolean): void {
  const undecided = state.lifeCycle === LifeCycle.pending && !state.everResumed && !state.marksUnknown;
  if (!undecided || state.searchPosition !== SearchStart.undecided) return;
  if (!marksUnknown) {
    state.searchPosition = SearchStart.constructed;
    return;
  }
  state.marksUnknown = true;
  const what = 'the kernel already uses this log, and what it holds is not known: nothing is cleaned or recovered';
  report(world, 'warning', 'marks-unknown', state.identity.uuid, `${what} before it is suspended and resumed`);
}

export type Made = (wanted: Wanted, state: LogState, info: LogDeviceInfo | null) => void;

interface UnderWay {
  readonly wanted: Wanted;
  readonly seqs: SeqList;
  readonly probe: DeviceProbe;
}

export class Constructions {
  readonly #world: World;
  readonly #made: Made;
  readonly #underWay = new Map<string, UnderWay>();

  /** `made` is called with every new state record, before its constructor is answered. */
  constructor(world: World, made: Made) {
    this.#world = world;
    this.#made = made;
  }

  get size(): number {
    return this.#underWay.size;
  }

  /** Answers `seq` when the log is made or cannot be. The same constructor again waits with the first. */
  begin(wanted: Wanted, seq: number): void {
    const { deviceName } = wanted.args;
    if (deviceName === null) {
      const errno = this.#make(wanted, null);
      this.#answer(wanted, seq, errno);
      return;
    }
    const key = keyOf(wanted.identity);
    const before = this.#underWay.get(key);
    if (before !== undefined && before.wanted.text === wanted.text) {
      before.seqs.add(seq);
      return;
    }
    // The luid is an address that was freed and given away again: nobody waits for the first any more.
    if (before !== undefined) this.#end(key, before, Errno.EBUSY);
    const seqs = new SeqList();
    seqs.add(seq);
    const probe = new DeviceProbe(this.#world.effects, deviceName, (errno, info) => {
      const underWay = this.#underWay.get(key);
      if (underWay !== undefined) this.#end(key, underWay, this.#probed(wanted, errno, info));
    });
    this.#underWay.set(key, { wanted, seqs, probe });
  }

  /** DTR of a log that is not made yet: true when there was one. */
  cancel(identity: LogIdentity): boolean {
    const key = keyOf(identity);
    const underWay = this.#underWay.get(key);
    if (underWay === undefined) return false;
    underWay.probe.cancel();
    this.#end(key, underWay, Errno.ENOENT);
    return true;
  }

  #end(key: string, underWay: UnderWay, errno: number): void {
    underWay.probe.cancel();
    this.#underWay.delete(key);
    underWay.seqs.answerAll((seq) => this.#answer(underWay.wanted, seq, errno));
  }

  #probed(wanted: Wanted, errno: number, info: LogDeviceInfo | null): number {
    const { uuid } = wanted.identity;
    if (errno !== 0 || info === null) {
      const text = `log device ${wanted.args.deviceName} cannot be opened (${errnoName(errno)})`;
      report(this.#world, 'error', 'constructor-refused', uuid, text);
      return errno === Errno.ENOTBLK || errno === Errno.EISDIR || errno === 0 ? Errno.EINVAL : errno;
    }
    const misfit = doesNotFit(wanted.args.regionCount, info);
    if (misfit !== null) {
      report(this.#world, 'error', 'constructor-refused', uuid, misfit);
      return Errno.EINVAL;
    }
    return this.#make(wanted, info);
  }

  /** 0, or the errno that kept the record from being made. */
  #make(wanted: Wanted, info: LogDeviceInfo | null): number {
    const { identity, args, text } = wanted;
    const { regionCount, regionSizeSectors } = args;
    const created = this.#world.states.create(identity, { regionCount, regionSizeSectors }, text, args.kind === 'disk');
    if (!created.ok) {
      report(this.#world, 'error', 'constructor-refused', identity.uuid, created.text);
      return created.errno;
    }
    const { state } = created;
    settleMarks(this.#world, state, wanted.marksUnknown);
    this.#made(wanted, state, info);
    return 0;
  }

  #answer(wanted: Wanted, seq: number, errno: number): void {
    answerConstructor(this.#world, wanted, seq, errno);
  }
}

/** CTR's answer: from version 2 on a disk log's device name, which the kernel registers with the table. */
export function answerConstructor(
  world: World,
  wanted: Pick<Wanted, 'args' | 'deviceNameWanted'>,
  seq: number,
  errno: number,
): void {
  const { deviceName } = wanted.args;
  if (errno !== 0) world.effects.reply(seq, DM_ULOG_CTR, -errno);
  else if (deviceName === null || !wanted.deviceNameWanted) world.effects.reply(seq, DM_ULOG_CTR, 0);
  else world.effects.replyText(seq, DM_ULOG_CTR, `${deviceName}\0`);
}

function keyOf({ uuid, luidHigh, luidLow }: LogIdentity): string {
  return `${luidHigh}/${luidLow}/${uuid}`;
}
