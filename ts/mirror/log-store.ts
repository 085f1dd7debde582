/**
 * The log device of one disk log: loading it at RESUME, group commits, failure and repair (R16). A state machine over
 * `LogDevice`; it decides when to write and when a write counts, its owner decides what the bits are.
 *
 * | phase       | what is under way                                | next                                           |
 * | ----------- | ------------------------------------------------ | ---------------------------------------------- |
 * | closed      | nothing; the device is not open                  | opening                                        |
 * | opening     | open; `goal` says what follows                   | readingHead (load), writing (others), closed (learn), failed |
 * | readingHead | read of header and session record                | readingBits, merging, closed (refused), failed |
 * | readingBits | read of the clean bits, piece by piece           | merging, failed                                |
 * | merging     | what the device alone knew, through the ordered stream (take-over); what the right to write follows from, to all members | settling, writing |
 * | settling    | durable write of all bits under the old header, or of the first of header and session | settling, writing, failed |
 * | writing     | durable write: a commit, or the last of a goal   | ready, checking (repair), closed (finish), failed |
 * | checking    | read back of the whole area after a repair       | ready, writing (memory has moved on), failed   |
 * | ready       | nothing; commits may start                       | writing                                        |
 * | failed      | nothing; `tick` tries again                      | opening                                        |
 *
 * Why `settling`: the first write to a device that had no log, a shorter one, one that is not believed, or one that does not know all that
 * is known here, may be torn, or be the last of a load that is given up. A header that claims more bits than were ever written would turn
 * what lies there into clean regions, and a session of this load would be believed before bits that are not its. So the bits go first,
 * under the header and the session that the device had; those of this load follow when they are durable, one after the other where the
 * count of regions changes.
 *
 * One write is in flight at a time; what changes meanwhile is the next (group commit). `generation` counts the
 * changes that made a region dirty; a write covers those that were applied before it STARTED, because its blocks
 * may be encoded any time after. A device is closed only when no write is in flight: a write that lands after its
 * file was opened again could undo a newer one.
 */
import { Errno, errnoName } from '../base/errno.js';
import { logBitsOffset } from '../base/limits.js';
import type { RegionMap } from '../regions/region-map.js';
import { doesNotFit, roundUp } from './log-area.js';
import type { LogDevice, LogDeviceEvents, LogDeviceInfo } from './log-device.js';
import type { LogImage } from './log-image.js';
import { type LogStoreOwner, noTakeOver, StoreGoal, StorePhase } from './store-owner.js';
import type { World } from './world.js';

/** Writes of one repair before it counts as failed: memory may move on while it is read back. */
const repairWritesMax = 8;

export class LogStore implements LogDeviceEvents {
  /** What the device said of itself when it was last open; null before. */
  info: LogDeviceInfo | null = null;
  /** Changes that made a region dirty, and those of them that are on stable storage. */
  generation = 1;
  durableGeneration = 0;
  /** Those that this node has written; on a cluster they count when that was delivered. */
  writtenGeneration = 0;
  readonly #world: World;
  readonly #map: RegionMap;
  readonly #image: LogImage;
  readonly #name: string;
  readonly #owner: LogStoreOwner;
  #device: LogDevice | null = null;
  #phase: StorePhase = StorePhase.closed;
  #goal: StoreGoal = StoreGoal.learn;
  /** True from the start of a goal to its end; false while commits go on. */
  #goalUnderWay = false;
  #readOffset = 0;
  #readEnd = 0;
  #keepRegions = 0;
  /** The device claims more regions than the map has. */
  #claimsMore = false;
  /** Of header and session the one that goes first has been written. */
  #headBegun = false;
  /** Number of the read of a take-over, and messages about what it has found that are on their way. */
  #takeOver = 0;
  #merging = 0;
  /** The epoch in which all have heard that the device cannot be read. */
  #unreadEpoch = 0;
  #writeGeneration = 0;
  #writeEpoch = 0;
  #repairWrites = 0;
  /** When bits that nobody waits for are written; -1: none wait. */
  #lazyDueMs = -1;
  #retryDueMs = -1;
  #finish: ((errno: number) => void) | null = null;
  #finishing = false;
  /** Given up while a write is in flight: who waits for its end. */
  #whenAbandoned: (() => void)[] | null = null;
  /** What was begun since. */
  #nextGoal: StoreGoal | null = null;
  /** The next write is of everything. */
  #again = false;
  /** Of the owner, when the goal was begun. */
  #lapses = 0;

  constructor(world: World, map: RegionMap, image: LogImage, name: string, owner: LogStoreOwner) {
    this.#world = world;
    this.#map = map;
    this.#image = image;
    this.#name = name;
    this.#owner = owner;
  }

  get phase(): StorePhase {
    return this.#phase;
  }

  /** True while a goal has not been reached and has not failed. */
  get busy(): boolean {
    return this.#goalUnderWay && this.#phase !== StorePhase.failed;
  }

  /** Begins a goal: when the store is closed, failed or ready, or will be closed when its last write has ended. */
  begin(goal: StoreGoal): void {
    if (this.abandoned) {
      this.#nextGoal = goal;
      return;
    }
    this.#goal = goal;
    this.#goalUnderWay = true;
    this.#repairWrites = 0;
    this.#retryDueMs = -1;
    this.#phase = StorePhase.opening;
    this.#lapses = this.#owner.lapses;
    this.#device ??= this.#world.effects.device(this, this.#world.cluster !== null);
    this.#device.open(this.#name, goal !== StoreGoal.learn);
  }

  /** A region became dirty or clean in memory. Dirty ones are what a FLUSH waits for. */
  changed(dirtied: boolean, nowMs: number): void {
    if (dirtied) this.generation += 1;
    if (this.#lazyDueMs < 0) this.#lazyDueMs = nowMs + this.#world.settings.cleanCommitMs;
  }

  /** Somebody may have written over what is there: everything is written again. */
  writeAgain(): void {
    this.#again = true;
  }

  /** True when everything that is dirty in memory is dirty on stable storage. */
  get allDurable(): boolean {
    return this.durableGeneration >= this.generation;
  }

  /** Starts a commit when one is due: somebody waits for it, or clean bits have waited long enough. */
  commitIfDue(awaited: boolean, nowMs: number): void {
    if (this.#phase === StorePhase.failed && this.#retryDueMs < 0) {
      this.#retryDueMs = nowMs + this.#world.settings.logRetryMs;
    }
    if (this.#phase !== StorePhase.ready) return;
    if (awaited || this.#again || (this.#lazyDueMs >= 0 && nowMs >= this.#lazyDueMs)) this.#commit();
  }

  /** True when a commit for a waiter need not be started: one that covers everything is on its way, or cannot be. */
  get startedGeneration(): number {
    return this.#phase === StorePhase.writing ? this.#writeGeneration : this.writtenGeneration;
  }

  /** The writer says that everything up to this generation is durable. */
  confirmed(generation: number): void {
    this.durableGeneration = Math.max(this.durableGeneration, Math.min(generation, this.generation));
    this.#owner.changed();
  }

  /** No other node has the log any more: what was written counts. */
  countWritten(): void {
    this.durableGeneration = Math.max(this.durableGeneration, this.writtenGeneration);
  }

  /**
   * Another epoch has begun (R1, R8): what its writer has not said does not count. The one before may have cleaned on the device what
   * nobody else was told to clean; what this node has written itself it knows.
   */
  epochBegun(): void {
    this.durableGeneration = 0;
    const rests = this.#phase === StorePhase.closed || this.#phase === StorePhase.failed || this.abandoned;
    if (rests) this.writtenGeneration = 0;
  }

  /** The numbers of the copy that this node has taken. */
  take(generation: number, durableGeneration: number): void {
    this.generation = generation;
    this.durableGeneration = durableGeneration;
    this.writtenGeneration = durableGeneration;
  }

  /**
   * The role was given anew to the node that has it: what it said in an earlier epoch does not count. While it still reads the device it
   * has nothing to say: by its word all know that the device holds nothing that is not known (R8).
   */
  confirmAgain(): void {
    if (!this.#goalUnderWay) this.#owner.committed();
  }

  /** What only the device knew has come back through the stream, or a part of it: of the take-over of this number, of none that it is unread. */
  merged(takeOver: number): void {
    if (takeOver === noTakeOver) {
      this.#unreadEpoch = this.#owner.epoch;
      return;
    }
    if (takeOver !== this.#takeOver) return;
    if (this.#phase !== StorePhase.readingBits && this.#phase !== StorePhase.merging) return;
    this.#merging -= 1;
    this.proceed();
  }

  tick(nowMs: number): void {
    if (this.#phase !== StorePhase.failed || this.#retryDueMs < 0 || nowMs < this.#retryDueMs) return;
    this.begin(this.#goal);
  }

  /** When `tick` or `commitIfDue` has something to do next; -1: nothing. */
  deadlineMs(): number {
    if (this.#phase === StorePhase.failed) return this.#retryDueMs;
    return this.#phase === StorePhase.ready ? this.#lazyDueMs : -1;
  }

  /** Writes what is left with a closed session record, closes, and calls `done` with 0 or a positive errno. */
  finish(done: (errno: number) => void): void {
    this.#finish = done;
    if (this.abandoned) this.#nextGoal ??= StoreGoal.rewrite;
    else if (this.#phase === StorePhase.closed) this.begin(StoreGoal.rewrite);
    else if (this.#phase === StorePhase.ready) this.#writeClosed();
    else if (this.#phase === StorePhase.failed) this.#finished(Errno.EIO);
  }

  /** A write is in flight. */
  get writing(): boolean {
    return this.#phase === StorePhase.settling || this.#phase === StorePhase.writing;
  }

  /** The device is being read: nothing is written before all that is there has come through the stream. */
  get reads(): boolean {
    const { opening, readingHead, readingBits, merging } = StorePhase;
    return [opening, readingHead, readingBits, merging].some((phase) => phase === this.#phase);
  }

  /** It has been read, and what is to be written waits for other members. */
  get merges(): boolean {
    return this.#phase === StorePhase.merging;
  }

  /** Given up; a write is still in flight. */
  get abandoned(): boolean {
    return this.#whenAbandoned !== null;
  }

  /** The last write is on its way, or about to be. */
  get finishes(): boolean {
    return this.#finish !== null;
  }

  /** Gives up what is under way, or waits to be begun, also a last commit, and closes: calls `done` when no write is in flight. */
  abandon(done: () => void): void {
    this.#nextGoal = null;
    if (this.writing) {
      this.#whenAbandoned ??= [];
      this.#whenAbandoned.push(done);
      return;
    }
    this.#finish = null;
    this.#close();
    done();
  }

  /** The write that was in flight when it was given up has ended. */
  #abandonedEnded(waiting: readonly (() => void)[]): void {
    const goal = this.#nextGoal;
    this.#whenAbandoned = null;
    this.#nextGoal = null;
    this.#close();
    if (goal !== null) this.begin(goal);
    for (const done of waiting) done();
  }

  opened(errno: number, info: LogDeviceInfo | null, reason: string): void {
    if (errno !== 0 || info === null) {
      this.#fail(errno === 0 ? Errno.EIO : errno, reason === '' ? 'cannot be opened' : reason);
      return;
    }
    if (this.info !== null && this.info.identity !== info.identity) {
      this.#fail(Errno.ENODEV, `is another device now: was ${this.info.identity}, is ${info.identity}`);
      return;
    }
    const misfit = doesNotFit(this.#map.regionCount, info);
    if (misfit !== null) {
      this.#fail(Errno.EINVAL, misfit);
      return;
    }
    this.info = info;
    this.#owner.deviceKnown(info);
    this.#image.setLogicalBlockBytes(info.logicalBlockBytes);
    if (this.#goal === StoreGoal.learn) {
      this.#goalUnderWay = false;
      this.#close();
    } else if (this.#goal === StoreGoal.load || this.#goal === StoreGoal.takeOver) {
      this.#phase = StorePhase.readingHead;
      this.#device?.read(0, roundUp(logBitsOffset, info.logicalBlockBytes));
    } else {
      this.#writeAll();
    }
  }

  read(errno: number, offset: number, bytes: Uint8Array): void {
    if (errno !== 0) {
      this.#fail(errno, `cannot be read at ${offset}`);
      return;
    }
    if (this.#phase === StorePhase.readingHead) this.#headRead(bytes);
    else if (this.#phase === StorePhase.readingBits) this.#bitsRead(offset, bytes);
    else if (this.#phase === StorePhase.checking) this.#checkRead(offset, bytes);
  }

  written(errno: number): void {
    if (this.#whenAbandoned !== null) {
      this.#abandonedEnded(this.#whenAbandoned);
      return;
    }
    if (errno !== 0) {
      this.#fail(errno, 'cannot be written');
      return;
    }
    if (this.#phase === StorePhase.settling) {
      this.#headerWrite();
      return;
    }
    if (this.#writeEpoch !== this.#owner.epoch) {
      this.#outdated();
      return;
    }
    this.#count(this.#writeGeneration);
    if (this.#finishing) {
      this.#finished(0);
      return;
    }
    const readsBack = this.#goal === StoreGoal.repair || (this.#goal !== StoreGoal.rewrite && this.#owner.suspect);
    if (this.#goalUnderWay && readsBack) {
      this.#check();
      return;
    }
    this.#reached();
  }

  // Loading.

  #headRead(bytes: Uint8Array): void {
    const { header, session } = this.#image.decodeHead(bytes);
    const found = header.kind === 'valid' ? header.regionCount : 0;
    if (this.#goal === StoreGoal.takeOver) {
      // A read that failed midway has said what it had found by then.
      this.#world.takeOvers += 1;
      this.#takeOver = this.#world.takeOvers;
      this.#merging = this.#owner.foundHead(header, session, this.#takeOver);
      this.#readBits(this.#merging > 0 ? 0 : found);
      return;
    }
    this.#takeOver = noTakeOver;
    this.#merging = 0;
    const verdict = this.#owner.judgeHead(header, session);
    if (!verdict.ok) {
      this.#goalUnderWay = false;
      this.#close();
      this.#owner.loadRefused(verdict.errno, verdict.text);
      return;
    }
    // It stands there until all bits behind it are durable.
    this.#claimsMore = found > this.#map.regionCount;
    this.#headBegun = false;
    this.#image.setRecordedRegionCount(Math.min(found, Number.MAX_SAFE_INTEGER));
    this.#image.setSession(session);
    // The whole map first: a fill of all of it costs nothing, and the device's bits then overwrite theirs.
    this.#map.fillClean(0, this.#map.regionCount, verdict.fillClean);
    this.#readBits(verdict.keepRegions);
  }

  #readBits(keepRegions: number): void {
    this.#keepRegions = Math.min(keepRegions, this.#map.regionCount);
    this.#readOffset = 0;
    this.#readEnd = roundUp(logBitsOffset + Math.ceil(this.#keepRegions / 8), this.info?.logicalBlockBytes ?? 512);
    this.#phase = StorePhase.readingBits;
    if (this.#keepRegions > 0) this.#readNext();
    else this.#merge();
  }

  #merge(): void {
    this.#phase = StorePhase.merging;
    this.proceed();
  }

  /** Writes what has been read, when it has come through the stream and may be written. */
  proceed(): void {
    if (this.#phase !== StorePhase.merging || this.#merging > 0 || !this.#owner.mayBegin) return;
    if (this.#lapses !== this.#owner.lapses) this.begin(this.#goal);
    else if (this.#goal === StoreGoal.takeOver) this.#writeAll();
    else this.#writeLoaded();
  }

  #readNext(): void {
    const bytesMax = Math.max(this.#world.settings.logReadBytes, this.info?.logicalBlockBytes ?? 512);
    this.#device?.read(this.#readOffset, Math.min(bytesMax, this.#readEnd - this.#readOffset));
  }

  #bitsRead(offset: number, bytes: Uint8Array): void {
    if (this.#goal === StoreGoal.takeOver) {
      this.#merging += this.#owner.foundOnDevice(offset, bytes, this.#keepRegions, this.#takeOver);
      this.#readOffset = offset + bytes.length;
      if (this.#readOffset < this.#readEnd) this.#readNext();
      else this.#merge();
      return;
    }
    if (!this.#image.importBytes(offset, bytes, this.#keepRegions)) {
      this.#fail(Errno.ENOSPC, 'cannot be loaded: no room left for its state record');
      return;
    }
    this.#readOffset = offset + bytes.length;
    if (this.#readOffset < this.#readEnd) this.#readNext();
    else this.#merge();
  }

  #writeLoaded(): void {
    this.#owner.bitsLoaded();
    if (this.#keepRegions === this.#map.regionCount && this.#image.changedBlocks === 0) {
      this.#writeAll();
      return;
    }
    this.#image.planAll();
    this.#write(StorePhase.settling);
  }

  /**
   * Header and session may be two sectors, and torn between them. Regions that the header does not claim count as new: so it never claims
   * too few for the regions of which the session is. Where the count stays the order is any.
   */
  #headerWrite(): void {
    if (!this.#headBegun) {
      this.#headBegun = true;
      if (this.#claimsMore) this.#image.setSession(this.#owner.session(false));
      else this.#image.setRecordedRegionCount(this.#map.regionCount);
      if (this.#image.plan() > 0) {
        this.#write(StorePhase.settling);
        return;
      }
    }
    this.#image.setRecordedRegionCount(this.#map.regionCount);
    this.#image.setSession(this.#owner.session(false));
    this.#image.plan();
    this.#write(StorePhase.writing);
  }

  // Writing.

  #writeAll(): void {
    this.#image.setRecordedRegionCount(this.#map.regionCount);
    this.#image.setSession(this.#owner.session(this.#finish !== null));
    this.#image.planAll();
    this.#again = false;
    this.#finishing = this.#finish !== null;
    this.#write(StorePhase.writing);
  }

  #writeClosed(): void {
    this.#image.setSession(this.#owner.session(true));
    this.#finishing = true;
    if (this.#plan() === 0) {
      this.#finished(0);
      return;
    }
    this.#write(StorePhase.writing);
  }

  #commit(): void {
    if (this.#plan() === 0) {
      this.#count(this.generation);
      this.#lazyDueMs = -1;
      this.#owner.committed();
      return;
    }
    this.#write(StorePhase.writing);
  }

  #plan(): number {
    if (!this.#again) return this.#image.plan();
    this.#again = false;
    return this.#image.planAll();
  }

  #write(phase: StorePhase): void {
    this.#phase = phase;
    this.#writeGeneration = this.generation;
    this.#writeEpoch = this.#owner.epoch;
    this.#lazyDueMs = -1;
    this.#device?.write(this.#image, true);
  }

  #count(generation: number): void {
    this.writtenGeneration = Math.max(this.writtenGeneration, generation);
    if (this.#owner.alone) this.countWritten();
  }

  /** R1: a write of an older epoch does not count. Its blocks are written again. */
  #outdated(): void {
    this.#finishing = false;
    this.#image.unplan();
    if (this.#finish !== null) {
      this.#writeClosed();
      return;
    }
    if (this.#goalUnderWay) {
      this.#writeAll();
      return;
    }
    this.#phase = StorePhase.ready;
    this.#owner.committed();
  }

  /** A write has ended well and nothing follows it. */
  #reached(): void {
    this.#phase = StorePhase.ready;
    const reached = this.#goalUnderWay;
    this.#goalUnderWay = false;
    if (reached) this.#owner.reached();
    this.#owner.committed();
    if (this.#finish !== null && this.#phase === StorePhase.ready) this.#writeClosed();
  }

  // Repair: everything that was written is read back.

  #check(): void {
    this.#phase = StorePhase.checking;
    this.#readOffset = 0;
    this.#readEnd = this.#image.areaBytes;
    this.#readNext();
  }

  #checkRead(offset: number, bytes: Uint8Array): void {
    const difference = this.#image.firstDifference(offset, bytes);
    if (difference >= 0) {
      // What changed in memory since the write differs rightly; only a device that lies differs without that.
      if (this.#image.changedBlocks === 0 || this.#repairWrites >= repairWritesMax) {
        this.#fail(Errno.EIO, `does not hold at ${difference} what was written there`);
        return;
      }
      this.#repairWrites += 1;
      this.#writeAll();
      return;
    }
    this.#readOffset = offset + bytes.length;
    if (this.#readOffset < this.#readEnd) this.#readNext();
    else this.#reached();
  }

  // Ends.

  #fail(errno: number, what: string): void {
    if (this.writing) this.#image.unplan();
    // Once in an epoch: what is resynced since then stays so.
    const unread = this.#goal === StoreGoal.takeOver && this.reads;
    if (unread && this.#unreadEpoch !== this.#owner.epoch) this.#owner.unread();
    // A commit that failed is repaired; a goal that failed is tried again.
    if (!this.#goalUnderWay) this.#goal = StoreGoal.repair;
    else if (this.#goal === StoreGoal.rewrite) this.#goal = StoreGoal.repair;
    const goal = this.#goal;
    this.#goalUnderWay = true;
    this.#finishing = false;
    this.#phase = StorePhase.failed;
    this.#retryDueMs = -1;
    this.#device?.close();
    this.#owner.failed(errno, `log device ${this.#name} ${what} (${errnoName(errno)})`, goal);
    if (this.#finish !== null) this.#finished(errno);
  }

  #finished(errno: number): void {
    const done = this.#finish;
    this.#finish = null;
    this.#finishing = false;
    this.#close();
    done?.(errno);
  }

  #close(): void {
    this.#phase = StorePhase.closed;
    this.writtenGeneration = this.durableGeneration;
    this.#goalUnderWay = false;
    this.#retryDueMs = -1;
    this.#lazyDueMs = -1;
    this.#device?.close();
  }
}
