/**
 * The state records of the daemon under test, each store passing the kill switch. The bits are those of the real
 * native state; nothing is modelled here.
 *
 * A batch is many stores: a kill inside one leaves a part of it done.
 */
import type { LogImage, LogSession } from '../../mirror/log-image.js';
import type { LifeCycle, LogGeometry, LogIdentity, LogState, LogStates } from '../../mirror/log-state.js';
import type { RequestMemory } from '../../mirror/lost-requests.js';
import { NativeLogStates } from '../../native/log-state.js';
import type { MapBits, RegionMap, RegionOwners, StickyMarks } from '../../regions/region-map.js';
import { ChangeCount } from '../change-count.js';
import { logKey } from '../kernel/world.js';
import { type KillSwitch, SimulatedKill } from './kill.js';

/** One record's way to the kill switch: each of its stores passes it, and counts as a change of the record. */
class Stores {
  readonly #kill: KillSwitch;
  readonly #changes: ChangeCount;

  constructor(kill: KillSwitch, changes: ChangeCount) {
    this.#kill = kill;
    this.#changes = changes;
  }

  /** Before a store. */
  point(): void {
    this.#changes.value += 1;
    this.#kill.point();
  }

  /** Before a store of `count` parts: how many of them happen. */
  parts(count: number): number {
    this.#changes.value += 1;
    return this.#kill.parts(count);
  }

  get dead(): boolean {
    return this.#kill.dead;
  }
}

export class CountedMap implements RegionMap {
  readonly inner: RegionMap;
  readonly #kill: Stores;

  constructor(inner: RegionMap, kill: Stores) {
    this.inner = inner;
    this.#kill = kill;
  }

  get regionCount(): number {
    return this.inner.regionCount;
  }
  get cleanCount(): number {
    return this.inner.cleanCount;
  }
  get syncCount(): number {
    return this.inner.syncCount;
  }
  get heldCount(): number {
    return this.inner.heldCount;
  }
  get sparse(): boolean {
    return this.inner.sparse;
  }
  isClean(region: number): boolean {
    return this.inner.isClean(region);
  }
  isInSync(region: number): boolean {
    return this.inner.isInSync(region);
  }
  isHeld(region: number): boolean {
    return this.inner.isHeld(region);
  }
  reserve(regions: Float64Array, count: number): boolean {
    return this.inner.reserve(regions, count);
  }
  allHeld(regions: Float64Array, count: number): boolean {
    return this.inner.allHeld(regions, count);
  }
  nextOutOfSync(from: number): number {
    return this.inner.nextOutOfSync(from);
  }
  nextDirty(from: number): number {
    return this.inner.nextDirty(from);
  }
  nextHeld(from: number): number {
    return this.inner.nextHeld(from);
  }

  hold(regions: Float64Array, count: number): number {
    return this.#batch(count, (part) => this.inner.hold(regions, part));
  }
  unhold(regions: Float64Array, count: number): number {
    return this.#batch(count, (part) => this.inner.unhold(regions, part));
  }
  markDirty(regions: Float64Array, count: number): number {
    return this.#batch(count, (part) => this.inner.markDirty(regions, part));
  }
  markClean(regions: Float64Array, count: number): number {
    return this.#batch(count, (part) => this.inner.markClean(regions, part));
  }
  setInSync(region: number, inSync: boolean): boolean {
    this.#kill.point();
    return this.inner.setInSync(region, inSync);
  }
  fillClean(from: number, to: number, value: boolean): void {
    this.#batch(to - from, (part) => {
      this.inner.fillClean(from, from + part, value);
      return 0;
    });
  }
  fillInSync(from: number, to: number, value: boolean): void {
    this.#batch(to - from, (part) => {
      this.inner.fillInSync(from, from + part, value);
      return 0;
    });
  }
  copyCleanToInSync(): void {
    this.#kill.point();
    this.inner.copyCleanToInSync();
  }
  unholdAll(): void {
    this.#kill.point();
    this.inner.unholdAll();
  }
  exportBits(which: MapBits, firstByte: number, into: Uint8Array): void {
    this.inner.exportBits(which, firstByte, into);
  }
  importBits(which: MapBits, firstByte: number, bytes: Uint8Array): boolean {
    this.#kill.point();
    return this.inner.importBits(which, firstByte, bytes);
  }

  #batch(count: number, store: (part: number) => number): number {
    const part = this.#kill.parts(count);
    const changed = store(part);
    if (this.#kill.dead) throw new SimulatedKill();
    return changed;
  }
}

/** Owners die with the daemon, so a kill inside one of their calls is a kill before it. */
class CountedOwners implements RegionOwners {
  readonly inner: RegionOwners;
  readonly #kill: Stores;

  constructor(inner: RegionOwners, kill: Stores) {
    this.inner = inner;
    this.#kill = kill;
  }

  get size(): number {
    return this.inner.size;
  }
  get capacity(): number {
    return this.inner.capacity;
  }
  add(node: number, regions: Float64Array, count: number): boolean {
    this.#kill.point();
    return this.inner.add(node, regions, count);
  }
  remove(node: number, regions: Float64Array, count: number): number {
    this.#kill.point();
    return this.inner.remove(node, regions, count);
  }
  has(node: number, region: number): boolean {
    return this.inner.has(node, region);
  }
  ownerCount(region: number): number {
    return this.inner.ownerCount(region);
  }
  ownedByOther(node: number, region: number): boolean {
    return this.inner.ownedByOther(node, region);
  }
  removeNode(node: number): number {
    this.#kill.point();
    return this.inner.removeNode(node);
  }
  list(node: number, cursor: number, out: Float64Array): readonly [number, number] {
    return this.inner.list(node, cursor, out);
  }
  listRange(from: number, to: number, regions: Float64Array, nodes: Float64Array): number {
    return this.inner.listRange(from, to, regions, nodes);
  }
  clear(): void {
    this.#kill.point();
    this.inner.clear();
  }
}

/** Sticky marks, with a list of them for the checkers: the real one has no way to look at all of it. */
export class CountedSticky implements StickyMarks {
  readonly inner: StickyMarks;
  /** Region -> time of its last use. */
  readonly regions = new Map<number, number>();
  readonly #kill: Stores;

  constructor(inner: StickyMarks, kill: Stores) {
    this.inner = inner;
    this.#kill = kill;
  }

  get size(): number {
    return this.inner.size;
  }
  get capacity(): number {
    return this.inner.capacity;
  }
  add(region: number, nowMs: number): number {
    this.#kill.point();
    const dropped = this.inner.add(region, nowMs);
    this.regions.delete(dropped);
    this.regions.set(region, nowMs);
    return dropped;
  }
  remove(region: number): boolean {
    this.#kill.point();
    this.regions.delete(region);
    return this.inner.remove(region);
  }
  has(region: number): boolean {
    return this.inner.has(region);
  }
  expire(untilMs: number, out: Float64Array): number {
    this.#kill.point();
    const count = this.inner.expire(untilMs, out);
    for (let i = 0; i < count; i++) this.regions.delete(out[i] as number);
    return count;
  }
  oldestMs(): number {
    return this.inner.oldestMs();
  }
}

/** The bits that a load takes from a log device are changes too. */
class CountedImage implements LogImage {
  readonly inner: LogImage;
  readonly #changes: ChangeCount;

  constructor(inner: LogImage, changes: ChangeCount) {
    this.inner = inner;
    this.#changes = changes;
  }

  get areaBytes(): number {
    return this.inner.areaBytes;
  }
  get changedBlocks(): number {
    return this.inner.changedBlocks;
  }
  get runCount(): number {
    return this.inner.runCount;
  }
  setLogicalBlockBytes(bytes: number): void {
    this.inner.setLogicalBlockBytes(bytes);
  }
  plan(): number {
    return this.inner.plan();
  }
  planAll(): number {
    return this.inner.planAll();
  }
  unplan(): void {
    this.inner.unplan();
  }
  runOffset(run: number): number {
    return this.inner.runOffset(run);
  }
  runBytes(run: number): number {
    return this.inner.runBytes(run);
  }
  encodeRun(run: number, into: Uint8Array): void {
    this.inner.encodeRun(run, into);
  }
  setSession(session: LogSession | null): void {
    this.inner.setSession(session);
  }
  setRecordedRegionCount(count: number): void {
    this.inner.setRecordedRegionCount(count);
  }
  decodeHead(bytes: Uint8Array): ReturnType<LogImage['decodeHead']> {
    return this.inner.decodeHead(bytes);
  }
  importBytes(offset: number, bytes: Uint8Array, regionLimit: number): boolean {
    this.#changes.value += 1;
    return this.inner.importBytes(offset, bytes, regionLimit);
  }
  firstDifference(offset: number, bytes: Uint8Array): number {
    return this.inner.firstDifference(offset, bytes);
  }
}

export class CountedState implements LogState {
  readonly key: string;
  readonly inner: LogState;
  readonly map: CountedMap;
  readonly owners: RegionOwners;
  readonly sticky: CountedSticky;
  readonly image: LogImage | null;
  /** Bits, marks, life cycle and assignment: what checkers look at after every step. */
  readonly changes = new ChangeCount();
  removed = false;
  readonly #kill: Stores;
  /** Stores of the rest. */
  readonly #others: KillSwitch;
  readonly #onRemove: (state: CountedState) => void;

  constructor(inner: LogState, kill: KillSwitch, onRemove: (state: CountedState) => void) {
    const { uuid, luidHigh, luidLow } = inner.identity;
    this.key = logKey(uuid, luidHigh, luidLow);
    this.inner = inner;
    const stores = new Stores(kill, this.changes);
    this.#kill = stores;
    this.#others = kill;
    this.#onRemove = onRemove;
    this.map = new CountedMap(inner.map, stores);
    this.owners = new CountedOwners(inner.owners, stores);
    this.sticky = new CountedSticky(inner.sticky, stores);
    this.image = inner.image === null ? null : new CountedImage(inner.image, this.changes);
  }

  get identity(): LogIdentity {
    return this.inner.identity;
  }
  get geometry(): LogGeometry {
    return this.inner.geometry;
  }
  get constructorText(): string {
    return this.inner.constructorText;
  }
  get restored(): boolean {
    return this.inner.restored;
  }
  get lifeCycle(): LifeCycle {
    return this.inner.lifeCycle;
  }
  set lifeCycle(value: LifeCycle) {
    this.#kill.point();
    this.inner.lifeCycle = value;
  }
  get recoveringRegion(): number {
    return this.inner.recoveringRegion;
  }
  set recoveringRegion(value: number) {
    this.#kill.point();
    this.inner.recoveringRegion = value;
  }
  get recoveringNode(): number {
    return this.inner.recoveringNode;
  }
  set recoveringNode(value: number) {
    this.#kill.point();
    this.inner.recoveringNode = value;
  }
  get recoveryDoubted(): boolean {
    return this.inner.recoveryDoubted;
  }
  set recoveryDoubted(value: boolean) {
    this.#kill.point();
    this.inner.recoveryDoubted = value;
  }
  get recoveryUntold(): boolean {
    return this.inner.recoveryUntold;
  }
  set recoveryUntold(value: boolean) {
    this.#kill.point();
    this.inner.recoveryUntold = value;
  }
  get reconnecting(): boolean {
    return this.inner.reconnecting;
  }
  set reconnecting(value: boolean) {
    this.#kill.point();
    this.inner.reconnecting = value;
  }
  get position(): number {
    return this.inner.position;
  }
  set position(value: number) {
    this.#others.point();
    this.inner.position = value;
  }
  get members(): Uint8Array {
    return this.inner.members;
  }
  set members(value: Uint8Array) {
    this.#others.point();
    this.inner.members = value;
  }
  get searchPosition(): number {
    return this.inner.searchPosition;
  }
  set searchPosition(value: number) {
    this.#others.point();
    this.inner.searchPosition = value;
  }
  get inSyncLatched(): boolean {
    return this.inner.inSyncLatched;
  }
  set inSyncLatched(value: boolean) {
    this.#others.point();
    this.inner.inSyncLatched = value;
  }
  get marksUnknown(): boolean {
    return this.inner.marksUnknown;
  }
  set marksUnknown(value: boolean) {
    this.#kill.point();
    this.inner.marksUnknown = value;
  }
  get everResumed(): boolean {
    return this.inner.everResumed;
  }
  set everResumed(value: boolean) {
    this.#others.point();
    this.inner.everResumed = value;
  }
  get draining(): boolean {
    return this.inner.draining;
  }
  set draining(value: boolean) {
    this.#others.point();
    this.inner.draining = value;
  }
  get logFailed(): boolean {
    return this.inner.logFailed;
  }
  set logFailed(value: boolean) {
    this.#others.point();
    this.inner.logFailed = value;
  }
  get doubted(): boolean {
    return this.inner.doubted;
  }
  set doubted(value: boolean) {
    this.#others.point();
    this.inner.doubted = value;
  }
  get resumeCount(): number {
    return this.inner.resumeCount;
  }
  set resumeCount(value: number) {
    this.#others.point();
    this.inner.resumeCount = value;
  }
  get deviceNumber(): number {
    return this.inner.deviceNumber;
  }
  set deviceNumber(value: number) {
    this.#others.point();
    this.inner.deviceNumber = value;
  }

  remove(): void {
    this.#kill.point();
    this.inner.remove();
    this.removed = true;
    this.#onRemove(this);
  }
}

/** The state store of one daemon process; the memory behind it outlives the process. */
export class CountedStates implements LogStates, RequestMemory {
  readonly live = new Map<string, CountedState>();
  readonly #states: NativeLogStates;
  readonly #kill: KillSwitch;
  readonly #restored: readonly CountedState[];

  /** `states` is fresh, or made from the memory of the last daemon's: what it holds is restored here, once. */
  constructor(states: NativeLogStates, kill: KillSwitch) {
    this.#states = states;
    this.#kill = kill;
    this.#restored = states.restore().map((state) => this.#wrap(state));
  }

  /** What the next daemon process finds after this one was killed. */
  outlive(kill: KillSwitch): CountedStates {
    return new CountedStates(NativeLogStates.fromMemoryOf(this.#states), kill);
  }

  get lastRequest(): number {
    return this.#states.lastRequest;
  }

  noteRequest(seq: number): void {
    this.#kill.point();
    this.#states.noteRequest(seq);
  }

  /** By `logKey`. */
  find(key: string): CountedState | undefined {
    return this.live.get(key);
  }

  create(
    identity: LogIdentity,
    geometry: LogGeometry,
    constructorText: string,
    disk: boolean,
  ): ReturnType<LogStates['create']> {
    this.#kill.point();
    const made = this.#states.create(identity, geometry, constructorText, disk);
    return made.ok ? { ok: true, state: this.#wrap(made.state) } : made;
  }

  restore(): readonly LogState[] {
    return this.#restored;
  }

  /** The memory is gone: a power cut, or the folder was deleted. */
  drop(): void {
    this.live.clear();
    this.#states.dropMemory();
    this.#states.close();
  }

  #wrap(state: LogState): CountedState {
    const counted = new CountedState(state, this.#kill, (gone) => {
      if (this.live.get(gone.key) === gone) this.live.delete(gone.key);
    });
    this.live.set(counted.key, counted);
    return counted;
  }
}
