/** One node's kernel as its log sees it: what it asks, one request at a time, and what the answers let it do. */
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import type { Group } from './cluster-host.js';
import { type Answer, mirrorA } from './host.js';

/** A request whose answer has not come. */
interface Request {
  seq: number;
  readonly type: number;
  readonly payload: readonly number[];
  readonly answered: (answer: Answer) => void;
}

export class RandomClient {
  readonly node: number;
  readonly #group: Group;
  /** The host has power. */
  up = true;
  /** Without a table there is no log; `suspending`: no new write begins. */
  stage: 'none' | 'suspended' | 'active' | 'suspending' = 'active';
  /** Regions whose FLUSH was asked for and not cleared since. */
  readonly marked = new Set<number>();
  /** Those whose FLUSH was answered: their writes may be under way. */
  readonly writing = new Set<number>();
  /** The region being copied; -1: none. */
  copying = -1;
  /** A write that died with its host has made the legs differ behind the copy. */
  copySpoilt = false;
  #waits: Request | null = null;

  constructor(group: Group, node: number) {
    this.#group = group;
    this.node = node;
  }

  /** What it waits for, as text; null: nothing. */
  get waitsFor(): string | null {
    return this.#waits === null ? null : `request type ${this.#waits.type} [${this.#waits.payload}]`;
  }

  get idle(): boolean {
    return this.up && this.stage === 'active' && this.#waits === null;
  }

  /** Power cut: nothing of the kernel is left. */
  die(): void {
    this.up = false;
    this.stage = 'none';
    this.marked.clear();
    this.writing.clear();
    this.copying = -1;
    this.copySpoilt = false;
    this.#waits = null;
  }

  /** Hears the answer that has come. */
  poll(): void {
    const request = this.#waits;
    if (request === null) return;
    const answer = this.#group.host(this.node).answerTo(request.seq);
    if (answer === undefined) return;
    this.#waits = null;
    request.answered(answer);
  }

  /** The daemon that had the request is gone: the new one hears it again. */
  askAgain(): void {
    if (this.#waits === null) return;
    const { type, payload, answered } = this.#waits;
    this.#ask(type, payload, answered);
  }

  construct(text: string): void {
    this.#group.host(this.node).construct(mirrorA, text);
    this.stage = 'suspended';
  }

  remove(): void {
    if (this.stage !== 'suspended' || this.#waits !== null) return;
    this.#group.host(this.node).ask(DM_ULOG_DTR, mirrorA);
    this.stage = 'none';
  }

  resume(): void {
    if (this.stage !== 'suspended' || this.#waits !== null) return;
    this.#ask(DM_ULOG_RESUME, [], ({ error }) => {
      if (error === 0) this.stage = 'active';
    });
  }

  /** Its writes end and its marks are given up between PRESUSPEND and POSTSUSPEND; a copy ends before. */
  suspend(): void {
    if (!this.idle || this.copying >= 0) return;
    this.stage = 'suspending';
    this.#ask(DM_ULOG_PRESUSPEND, [], () => {
      this.clear([...this.marked]);
      this.#ask(DM_ULOG_POSTSUSPEND, [], () => {
        this.stage = 'suspended';
      });
    });
  }

  /** A write: only to a region that is in sync and that nobody copies. `begun`: the write may be under way from here on. */
  write(region: number, begun: () => void): void {
    if (this.marked.has(region) || this.copying === region) return;
    if (this.#value(DM_ULOG_IS_REMOTE_RECOVERING, region) !== 0) return;
    if (this.#value(DM_ULOG_IN_SYNC, region) !== 1) return;
    this.marked.add(region);
    this.#ask(DM_ULOG_FLUSH, [region], ({ error }) => {
      if (error !== 0) {
        this.marked.delete(region);
        return;
      }
      this.writing.add(region);
      begun();
    });
  }

  /** The writes to these regions have ended. */
  clear(regions: readonly number[]): void {
    if (regions.length === 0) return;
    for (const region of regions) {
      this.marked.delete(region);
      this.writing.delete(region);
    }
    this.#group.host(this.node).send(DM_ULOG_CLEAR_REGION, mirrorA, regions);
  }

  /** `begun`: it has a region to copy. */
  askForWork(begun: () => void): void {
    this.#ask(DM_ULOG_GET_RESYNC_WORK, [], ({ values }) => {
      if (values[0] !== 1) return;
      this.copying = values[1] as number;
      this.copySpoilt = false;
      begun();
    });
  }

  /** Ends its copy, which went well; returns the region. */
  endCopy(): number {
    const region = this.copying;
    this.copying = -1;
    this.#ask(DM_ULOG_SET_REGION_SYNC, [region, 1], () => {});
    return region;
  }

  /** First value of the answer to a read, which is given at once. */
  #value(type: number, region: number): number | undefined {
    const host = this.#group.host(this.node);
    return host.answerTo(host.send(type, mirrorA, [region]))?.values[0];
  }

  #ask(type: number, payload: readonly number[], answered: (answer: Answer) => void): void {
    const seq = this.#group.host(this.node).send(type, mirrorA, payload);
    this.#waits = { seq, type, payload, answered };
    this.poll();
  }
}
