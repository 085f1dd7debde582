/** A world in which every checker of the simulator is content: one host with one mirror, to be spoilt by hand. */
import { KernelTruth, type TargetTruth } from '../../ts/sim/checks/kernel-truth.js';
import { crc32c } from '../../ts/sim/checks/log-bytes.js';
import { checkReply } from '../../ts/sim/checks/reply-checks.js';
import { Evaluations } from '../../ts/sim/checks/violation.js';
import type { CheckWorld } from '../../ts/sim/checks/world.js';
import { LogDisk } from '../../ts/sim/daemon/log-disk.js';
import type { RequestRecord } from '../../ts/sim/daemon/requests.js';
import type { MappedDevice } from '../../ts/sim/kernel/mapped-device.js';
import { LegPort } from '../../ts/sim/leg-port.js';
import { SimMirror } from '../../ts/sim/mirror.js';
import { Prng } from '../../ts/sim/prng.js';
import { Timeline } from '../../ts/sim/timeline.js';
import { VersionLegs } from '../../ts/sim/version-legs.js';
import { type PlainState, plainState, plainStates } from './plain-state.js';

export const uuid = 'LVM-checked';
export const regions = 16;
export const log = { key: `${uuid}/1/4096`, uuid, luidHigh: 1, luidLow: 0x1000 };

export class World implements CheckWorld {
  readonly evaluations = new Evaluations();
  readonly truth = new KernelTruth();
  readonly mirrors = new Map<string, SimMirror>();
  readonly state: PlainState = plainState(uuid, regions);
  readonly states = plainStates([this.state]);
  readonly disk: LogDisk;
  readonly mirror: SimMirror;
  readonly node = 1;
  nowMs = 10_000;
  daemonPunctual = true;
  stickyIdleMs = 2000;
  stickyMax = 4;
  alone = true;
  follows = () => true;

  constructor() {
    this.disk = new LogDisk({ name: '/dev/sim/log', minor: 3, bytes: 1536, logicalBlockBytes: 512 });
    this.disk.put(0, logBytes(true));
    this.disk.flush();
    const legs = new VersionLegs(regions * 8, 8);
    const shape = { uuid, regionSectors: 8, integratedFlush: false, words: [], deviceWord: this.disk.name };
    const port = new LegPort(new Timeline(), new Prng(1), legs);
    this.mirror = new SimMirror({ shape, disk: this.disk, legs, locked: new Set() }, port, regions * 8);
    this.mirror.device = { live: { log } } as unknown as MappedDevice;
    this.mirrors.set(uuid, this.mirror);
  }

  get kernel(): TargetTruth {
    return this.truth.of(log);
  }

  /** The region is marked: held, dirty in memory and on the device, owned. */
  mark(region: number): void {
    this.kernel.marked.set(region, 1);
    this.state.map.inner.held.add(region);
    this.state.map.inner.clean.delete(region);
    this.state.owned.add(region);
    this.setBit(region, false);
  }

  setBit(region: number, clean: boolean): void {
    const byte = 1024 + Math.floor(region / 8);
    const bit = 1 << (region % 8);
    const old = this.disk.durable[byte] ?? 0;
    this.disk.durable[byte] = clean ? old | bit : old & ~bit;
  }

  answer(
    type: number,
    values: readonly number[],
    reply: { error?: number; first?: number; second?: number; text?: string } = {},
    cleanThen: ReadonlySet<number> | null = null,
    endsWithNul = false,
  ): void {
    const request: RequestRecord = {
      seq: 1,
      type,
      ...log,
      values,
      text: 'text',
      endsWithNul,
      markOrder: 1,
      open: 1,
      ordinal: 0,
      cleanThen,
      delivered: true,
      hostile: false,
    };
    checkReply(this, request, { error: 0, first: 0, second: 0, text: '', ...reply });
  }
}

/** A log area as it should be, every region clean, with a session record. */
export function logBytes(closed: boolean): Uint8Array {
  const bytes = new Uint8Array(1536);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x4d695272, true);
  view.setUint32(4, 2, true);
  view.setUint32(8, regions, true);
  bytes.set(Buffer.from('LSSESS01'), 512);
  bytes[512 + 24] = closed ? 1 : 0;
  view.setUint32(1020, crc32c(bytes.subarray(512, 1020)), true);
  bytes.fill(0xff, 1024, 1024 + regions / 8);
  return bytes;
}
