/**
 * State records of logs (R2): files on a tmpfs, mapped shared, that outlive a killed daemon; or, for the
 * simulator, anonymous memory that outlives the simulated kill of a daemon.
 *
 * A record's scalars are kept twice: in the mapping, by one aligned store each before the setter returns, and in
 * JavaScript, where reading one costs nothing. Nobody else writes the record: the folder is locked by the
 * process that opened it.
 */

import type { LogGeometry, LogIdentity, LogState, LogStates } from '../mirror/log-state.js';
import { LifeCycle } from '../mirror/log-state.js';
import type { RequestMemory } from '../mirror/lost-requests.js';
import { addon } from './addon.js';
import type { NativeLogImage } from './log-image.js';
import type { NativeRegionMap } from './region-map.js';
import { NativeRegionOwners } from './region-owners.js';
import { NativeStickyMarks } from './sticky-marks.js';

export interface LogStatesOptions {
  /** Folder on a tmpfs, mode 0700, made when missing; null: anonymous memory, for the simulator. */
  readonly directory: string | null;
  /** Boot id of this host, as /proc/sys/kernel/random/boot_id has it. Records of another are deleted. */
  readonly bootId: string;
  /** Most bytes that all records may map. A record takes 4 KiB and three bits a region, in whole pages. */
  readonly memoryBytesMax: number;
  /**
   * All room of every record is reserved on the tmpfs when it is made, also of one above 4 MiB, which otherwise takes it where it is used:
   * what other hosts do needs room anywhere. Default false.
   */
  readonly reserveWhole?: boolean;
  /** Most (region, node) pairs of each log's owners. Default 4 194 304. */
  readonly ownersMax?: number;
  /** Most sticky marks of each log. Default 4096. */
  readonly stickyMax?: number;
  /** Told of records that could not be read and were put aside as `*.unreadable`. */
  readonly onProblem?: (text: string) => void;
}

/** The scalars of a record that change; the numbers are arguments of `NativeLogRecord.store`. */
export const RecordWord = {
  lifeCycle: 0,
  /** Region + 1, so that fresh memory says none. */
  recoveringRegion: 1,
  searchPosition: 2,
  inSyncLatched: 3,
  marksUnknown: 4,
  everResumed: 5,
  logFailed: 6,
  resumeCount: 7,
  deviceNumber: 8,
  /** 9 to 11 are the bit maps' own. */
  draining: 12,
  /** Node + 1; 0: this node, or none. */
  recoveringNode: 13,
  position: 14,
  doubted: 15,
  recoveryDoubted: 16,
  recoveryUntold: 17,
  reconnecting: 18,
} as const;
export type RecordWord = (typeof RecordWord)[keyof typeof RecordWord];

/** The raw native record. */
export interface NativeLogRecord {
  readonly uuid: string;
  readonly luidHigh: number;
  readonly luidLow: number;
  readonly regionCount: number;
  readonly regionSizeSectors: number;
  readonly constructorText: string;
  readonly disk: boolean;
  readonly map: NativeRegionMap;
  /** Null for a core log. */
  readonly image: NativeLogImage | null;
  load(word: RecordWord): number;
  store(word: RecordWord, value: number): void;
  loadMembers(): Uint8Array;
  storeMembers(table: Uint8Array): void;
  remove(): void;
}

/** The raw native store. */
export interface NativeStateStore {
  /** The record, or `[errno, text]`. */
  create(
    uuid: string,
    luidHigh: number,
    luidLow: number,
    regionCount: number,
    regionSizeSectors: number,
    constructorText: string,
    disk: boolean,
  ): NativeLogRecord | readonly [number, string];
  /** The records found, and a line for each that was put aside. */
  restore(): readonly [readonly NativeLogRecord[], readonly string[]];
  readonly mappedBytes: number;
  /** -1: none. */
  readonly lastRequest: number;
  noteRequest(seq: number): void;
  close(): void;
  dropMemory(): void;
}

export interface NativeStateStoreConstructor {
  new (directory: string | null, bootId: string, memoryBytesMax: number, reserveWhole: boolean): NativeStateStore;
  /** Takes the memory of `previous` over; `previous` and all its records are closed by that. */
  takeOver(previous: NativeStateStore): NativeStateStore;
}

const ownersMaxDefault = 2 ** 22;
const stickyMaxDefault = 4096;

/** One log's record. See `LogState` for what the members mean; `remove` ends it, and every later store throws. */
export class NativeLogState implements LogState {
  readonly identity: LogIdentity;
  readonly geometry: LogGeometry;
  readonly constructorText: string;
  readonly restored: boolean;
  readonly map: NativeRegionMap;
  readonly owners: NativeRegionOwners;
  readonly sticky: NativeStickyMarks;
  readonly image: NativeLogImage | null;
  readonly #record: NativeLogRecord;
  #lifeCycle: LifeCycle;
  #recoveringRegion: number;
  #searchPosition: number;
  #inSyncLatched: boolean;
  #marksUnknown: boolean;
  #everResumed: boolean;
  #logFailed: boolean;
  #resumeCount: number;
  #deviceNumber: number;
  #draining: boolean;
  #recoveringNode: number;
  #position: number;
  #doubted: boolean;
  #recoveryDoubted: boolean;
  #recoveryUntold: boolean;
  #reconnecting: boolean;

  constructor(record: NativeLogRecord, restored: boolean, options: LogStatesOptions) {
    this.#record = record;
    this.identity = { uuid: record.uuid, luidHigh: record.luidHigh, luidLow: record.luidLow };
    this.geometry = { regionCount: record.regionCount, regionSizeSectors: record.regionSizeSectors };
    this.constructorText = record.constructorText;
    this.restored = restored;
    this.map = record.map;
    this.image = record.image;
    this.owners = NativeRegionOwners.create(options.ownersMax ?? ownersMaxDefault, record.regionCount);
    this.sticky = NativeStickyMarks.create(options.stickyMax ?? stickyMaxDefault, record.regionCount);
    // The native side has checked the number against the life cycles that exist.
    this.#lifeCycle = record.load(RecordWord.lifeCycle) as LifeCycle;
    this.#recoveringRegion = record.load(RecordWord.recoveringRegion) - 1;
    this.#searchPosition = record.load(RecordWord.searchPosition);
    this.#inSyncLatched = record.load(RecordWord.inSyncLatched) !== 0;
    this.#marksUnknown = record.load(RecordWord.marksUnknown) !== 0;
    this.#everResumed = record.load(RecordWord.everResumed) !== 0;
    this.#logFailed = record.load(RecordWord.logFailed) !== 0;
    this.#resumeCount = record.load(RecordWord.resumeCount);
    this.#deviceNumber = record.load(RecordWord.deviceNumber);
    this.#draining = record.load(RecordWord.draining) !== 0;
    this.#recoveringNode = record.load(RecordWord.recoveringNode) - 1;
    this.#position = record.load(RecordWord.position);
    this.#doubted = record.load(RecordWord.doubted) !== 0;
    this.#recoveryDoubted = record.load(RecordWord.recoveryDoubted) !== 0;
    this.#recoveryUntold = record.load(RecordWord.recoveryUntold) !== 0;
    this.#reconnecting = record.load(RecordWord.reconnecting) !== 0;
  }

  get lifeCycle(): LifeCycle {
    return this.#lifeCycle;
  }
  set lifeCycle(value: LifeCycle) {
    if (value < LifeCycle.pending || value > LifeCycle.leaving) throw new RangeError(`no such life cycle: ${value}`);
    this.#record.store(RecordWord.lifeCycle, value);
    this.#lifeCycle = value;
  }

  get recoveringRegion(): number {
    return this.#recoveringRegion;
  }
  set recoveringRegion(region: number) {
    if (region < -1 || region >= this.geometry.regionCount) throw new RangeError(`region ${region} outside the map`);
    this.#record.store(RecordWord.recoveringRegion, region + 1);
    this.#recoveringRegion = region;
  }

  get searchPosition(): number {
    return this.#searchPosition;
  }
  set searchPosition(region: number) {
    this.#record.store(RecordWord.searchPosition, region);
    this.#searchPosition = region;
  }

  get inSyncLatched(): boolean {
    return this.#inSyncLatched;
  }
  set inSyncLatched(value: boolean) {
    this.#record.store(RecordWord.inSyncLatched, value ? 1 : 0);
    this.#inSyncLatched = value;
  }

  get marksUnknown(): boolean {
    return this.#marksUnknown;
  }
  set marksUnknown(value: boolean) {
    this.#record.store(RecordWord.marksUnknown, value ? 1 : 0);
    this.#marksUnknown = value;
  }

  get everResumed(): boolean {
    return this.#everResumed;
  }
  set everResumed(value: boolean) {
    this.#record.store(RecordWord.everResumed, value ? 1 : 0);
    this.#everResumed = value;
  }

  get logFailed(): boolean {
    return this.#logFailed;
  }
  set logFailed(value: boolean) {
    this.#record.store(RecordWord.logFailed, value ? 1 : 0);
    this.#logFailed = value;
  }

  get draining(): boolean {
    return this.#draining;
  }
  set draining(value: boolean) {
    this.#record.store(RecordWord.draining, value ? 1 : 0);
    this.#draining = value;
  }

  get recoveringNode(): number {
    return this.#recoveringNode;
  }
  set recoveringNode(node: number) {
    this.#record.store(RecordWord.recoveringNode, node + 1);
    this.#recoveringNode = node;
  }

  get position(): number {
    return this.#position;
  }
  set position(value: number) {
    this.#record.store(RecordWord.position, value);
    this.#position = value;
  }

  get doubted(): boolean {
    return this.#doubted;
  }
  set doubted(value: boolean) {
    this.#record.store(RecordWord.doubted, value ? 1 : 0);
    this.#doubted = value;
  }

  get recoveryDoubted(): boolean {
    return this.#recoveryDoubted;
  }
  set recoveryDoubted(value: boolean) {
    this.#record.store(RecordWord.recoveryDoubted, value ? 1 : 0);
    this.#recoveryDoubted = value;
  }

  get recoveryUntold(): boolean {
    return this.#recoveryUntold;
  }
  set recoveryUntold(value: boolean) {
    this.#record.store(RecordWord.recoveryUntold, value ? 1 : 0);
    this.#recoveryUntold = value;
  }

  get reconnecting(): boolean {
    return this.#reconnecting;
  }
  set reconnecting(value: boolean) {
    this.#record.store(RecordWord.reconnecting, value ? 1 : 0);
    this.#reconnecting = value;
  }

  get members(): Uint8Array {
    return this.#record.loadMembers();
  }
  set members(table: Uint8Array) {
    this.#record.storeMembers(table);
  }

  get resumeCount(): number {
    return this.#resumeCount;
  }
  set resumeCount(value: number) {
    this.#record.store(RecordWord.resumeCount, value);
    this.#resumeCount = value;
  }

  get deviceNumber(): number {
    return this.#deviceNumber;
  }
  set deviceNumber(value: number) {
    this.#record.store(RecordWord.deviceNumber, value);
    this.#deviceNumber = value;
  }

  remove(): void {
    this.#record.remove();
    this.owners.close();
    this.sticky.close();
  }
}

/**
 * Makes and finds state records.
 *
 * ```ts
 * const states = new NativeLogStates({ directory: '/run/lockstep/state', bootId, memoryBytesMax: 256 * 2 ** 20 });
 * for (const state of states.restore()) ...
 * ```
 */
export class NativeLogStates implements LogStates, RequestMemory {
  readonly #store: NativeStateStore;
  readonly #options: LogStatesOptions;

  /**
   * @param options where and how much.
   * @param store only `fromMemoryOf` hands this in.
   * @throws Error with code EBUSY when another daemon has the folder, EACCES when it belongs to somebody else or
   * is open to others, or the code of the failed call.
   */
  constructor(options: LogStatesOptions, store?: NativeStateStore) {
    this.#options = options;
    const { directory, bootId, memoryBytesMax, reserveWhole = false } = options;
    this.#store = store ?? new addon.StateStore(directory, bootId, memoryBytesMax, reserveWhole);
  }

  /**
   * What a daemon finds that starts after a SIGKILL of the one that used `previous`: the same memory (or the same
   * folder), validated again by `restore()`. `previous` is dead after this: using its states throws.
   */
  static fromMemoryOf(previous: NativeLogStates): NativeLogStates {
    return new NativeLogStates(previous.#options, addon.StateStore.takeOver(previous.#store));
  }

  create(
    identity: LogIdentity,
    geometry: LogGeometry,
    constructorText: string,
    disk: boolean,
  ):
    | { readonly ok: true; readonly state: LogState }
    | { readonly ok: false; readonly errno: number; readonly text: string } {
    const record = this.#store.create(
      identity.uuid,
      identity.luidHigh,
      identity.luidLow,
      geometry.regionCount,
      geometry.regionSizeSectors,
      constructorText,
      disk,
    );
    if ('length' in record) return { ok: false, errno: record[0], text: record[1] };
    return { ok: true, state: new NativeLogState(record, false, this.#options) };
  }

  restore(): readonly LogState[] {
    const [records, problems] = this.#store.restore();
    for (const problem of problems) this.#options.onProblem?.(problem);
    return records.map((record) => new NativeLogState(record, true, this.#options));
  }

  get lastRequest(): number {
    return this.#store.lastRequest;
  }

  noteRequest(seq: number): void {
    this.#store.noteRequest(seq);
  }

  /** Bytes that all records map now. Memory that was never written is not resident. */
  get mappedBytes(): number {
    return this.#store.mappedBytes;
  }

  /** A power cut: every record is gone, in memory and on the tmpfs. The object can be used again. */
  dropMemory(): void {
    this.#store.dropMemory();
  }

  /** Ends this process's use and leaves the records for the next. Twice is fine; other calls throw afterwards. */
  close(): void {
    this.#store.close();
  }
}
