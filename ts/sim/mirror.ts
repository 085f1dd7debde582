/** The mirrors of a run: what all hosts share of one, and what each host has of it. */
import type { LogDisk } from './daemon/log-disk.js';
import type { MappedDevice } from './kernel/mapped-device.js';
import type { LogTable } from './kernel/userspace-log.js';
import type { LegPort } from './leg-port.js';
import type { VersionLegs } from './version-legs.js';

export interface MirrorShape {
  readonly uuid: string;
  readonly regionSectors: number;
  readonly integratedFlush: boolean;
  /** Words after the region size: `sync`, `nosync`, `block_on_error`. */
  readonly words: readonly string[];
  /** How the table names the log device: by path or by numbers. */
  readonly deviceWord: string;
}

/** What outlives every kernel and daemon, and is there once however many hosts use it. */
export interface SharedMirror {
  readonly shape: MirrorShape;
  readonly disk: LogDisk | null;
  readonly legs: VersionLegs;
  /** Sectors with a write under way from any host: users who share a mirror keep out of each other's way. */
  readonly locked: Set<number>;
}

/** A mirror as one host has it, and what an administrator there knows of it. */
export class SimMirror {
  readonly shape: MirrorShape;
  readonly disk: LogDisk | null;
  readonly legs: VersionLegs;
  readonly port: LegPort;
  /** See `SharedMirror`. */
  readonly locked: Set<number>;
  /** Length of the table; may change with a reload. */
  sectors: number;
  /** The device in the kernel of now. */
  device: MappedDevice | null = null;
  /** This host never has it in use. */
  unused = false;
  /** An administrator's command is at work on it. */
  busy = false;
  /** Its table must be replaced before it writes again. */
  needsReload = false;
  /** Since when its daemon says that the kernel's marks are unknown; -1: it does not. */
  unknownSinceMs = -1;
  /** Since when its kernel has it in use and its daemon knows nothing of it; -1: that is not so. */
  unheardSinceMs = -1;
  /** Since when its daemon says that nobody asks for resync work, and how many regions were in sync then; -1: it does not. */
  stalledSinceMs = -1;
  stalledCount = 0;
  /** Since when its daemon should try a failed log device that is well; -1: nothing is to be tried. */
  repairDueSinceMs = -1;
  /** Its users rest: it is about to be removed. */
  quiet = false;
  /** Sectors with a write of this host under way. */
  readonly writing = new Set<number>();
  /** Regions that may be recovered although they were clean: set out of sync by a leg's failure, or all of them. */
  readonly mayRecover = new Set<number>();
  mayRecoverAll = true;
  /** RESUME requests that read the log device, and what was not clean there: it must be out of sync in the end. */
  readonly reads = new Map<number, readonly number[]>();

  constructor(shared: SharedMirror, port: LegPort, sectors: number) {
    this.shape = shared.shape;
    this.disk = shared.disk;
    this.legs = shared.legs;
    this.locked = shared.locked;
    this.port = port;
    this.sectors = sectors;
  }

  get regionCount(): number {
    return Math.ceil(this.sectors / this.shape.regionSectors);
  }

  /** The table; `words` replaces those that a reload or a boot must not repeat. */
  table(words: readonly string[] = this.shape.words): LogTable {
    const { uuid, integratedFlush, regionSectors, deviceWord } = this.shape;
    const type = this.disk === null ? 'clustered-core' : `clustered-disk ${deviceWord}`;
    const text = [type, regionSectors, ...words].join(' ');
    return { uuid, arguments: text, integratedFlush, sectors: this.sectors };
  }

  /** The host lost its power: nothing of what its kernel had is left. */
  darken(): void {
    this.port.cut();
    this.device = null;
    this.busy = false;
    this.quiet = false;
    this.needsReload = false;
    this.unlockAll();
  }

  unlockAll(): void {
    for (const sector of this.writing) this.locked.delete(sector);
    this.writing.clear();
  }
}
