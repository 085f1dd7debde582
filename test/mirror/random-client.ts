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
import { type Answer, type Host, type Luid, mirrorA } from './host.js';

/** A daemon's answer about a log that it does not know: the kernel constructs and resumes it again, then asks again. */
const unknownLog = -3;

/** What the kernel does by itself, and does not repeat: it goes on whatever it hears. */
const lifeCycle: readonly number[] = [DM_ULOG_PRESUSPEND, DM_ULOG_POSTSUSPEND, DM_ULOG_RESUME];

/** A request whose answer has not come. */
interface Request {
  seq: number;
  readonly type: number;
  readonly payload: readonly number[];
  readonly answered: (answer: Answer) => void;
  /** It is the RESUME of a log that a daemon had forgotten: what was asked first; null: a read, which was not put off. */
  readonly behind?: Request | null;
}

export class RandomClient {
  readonly node: number;
  readonly #group: Group;
  readonly #regions: number;
  /** The host has power. */
  up = true;
  /** Without a table there is no log; `suspending`: no new write begins; `stalled`: its RESUME was refused. */
  stage: 'none' | 'suspended' | 'resuming' | 'active' | 'stalled' | 'suspending' = 'none';
  /** The table of its log. */
  text = '';
  /** Its log was resumed since it had power. */
  used = false;
  /** A FLUSH was refused: no write ends before another table. */
  failed = false;
  /** Regions whose FLUSH was asked for and not cleared since. */
  readonly marked = new Set<number>();
  /** Those whose FLUSH was answered: their writes may be under way. */
  readonly writing = new Set<number>();
  /** Those that it has found out of sync: it writes there without marks until it has recovered them or has another table (R10). */
  readonly unsynced = new Set<number>();
  /** The region being copied; -1: none. */
  copying = -1;
  /** A write that died with its host, or that left no mark, has made the legs differ behind the copy. */
  copySpoilt = false;
  #log: Luid | null = null;
  /** The instance that a new table takes the place of. */
  #replaced: Luid | null = null;
  /** A table that is loaded behind the one in use. */
  #next: { readonly log: Luid; readonly text: string } | null = null;
  /** The kernel does not say that an instance has ended: nobody was there to hear it. */
  losesDestroy = false;
  /** Since its resume it has asked nothing: where its daemon has lost the log, that is where it will find out. */
  quiet = false;
  #instances = 0;
  /** No region below is recovered by others, as it was told. */
  #hint = 0;
  /** It was told that there is nothing to recover. */
  #workless = false;
  #waits: Request | null = null;

  /** `text`: it has that log, resumed, as `Group.resume` leaves it. */
  constructor(group: Group, node: number, regions: number, text: string | null) {
    this.#group = group;
    this.node = node;
    this.#regions = regions;
    if (text === null) return;
    this.#log = mirrorA;
    this.text = text;
    this.stage = 'active';
    this.used = true;
  }

  /** Throws when it has none. */
  get log(): Luid {
    if (this.#log === null) throw new Error(`the kernel of ${this.node} has no log`);
    return this.#log;
  }

  get hasLog(): boolean {
    return this.#log !== null;
  }

  /** What it waits for, as text; null: nothing. */
  get waitsFor(): string | null {
    return this.#waits === null ? null : `request type ${this.#waits.type} [${this.#waits.payload}]`;
  }

  get idle(): boolean {
    return this.canEndCopy && !this.failed;
  }

  /** A copy goes on although a FLUSH was refused. */
  get canEndCopy(): boolean {
    return this.up && this.stage === 'active' && this.#waits === null;
  }

  /** Power cut: nothing of the kernel is left. */
  die(): void {
    this.up = false;
    this.stage = 'none';
    this.used = false;
    this.failed = false;
    this.copying = -1;
    this.copySpoilt = false;
    this.#log = null;
    this.#replaced = null;
    this.#next = null;
    this.#waits = null;
    for (const regions of [this.marked, this.writing, this.unsynced]) regions.clear();
  }

  /** Hears the answer that has come. */
  poll(): void {
    const request = this.#waits;
    if (request === null) return;
    const answer = this.#host.answerTo(request.seq);
    if (answer === undefined) return;
    this.#waits = null;
    if (answer.error === unknownLog && !lifeCycle.includes(request.type)) this.#reconnect(request);
    else request.answered(answer);
  }

  /** The daemon that had the request is gone, or the kernel is tired of waiting: it is sent once more. */
  askAgain(): void {
    const request = this.#waits;
    if (request !== null) this.#send(request);
  }

  /** Loads a table: an instance of its own, which takes the place of the one it has at the RESUME. False: it is refused. */
  load(text: string): boolean {
    if (this.#next !== null) return false;
    const log = this.#construct(text);
    if (log === null) return false;
    this.#takes(log, text);
    this.stage = 'suspended';
    return true;
  }

  /** The table that is loaded behind the one in use; null: none. */
  get nextText(): string | null {
    return this.#next?.text ?? null;
  }

  /** Loads a table behind the one in use. False: it is refused. */
  loadBehind(text: string): boolean {
    if (this.#next !== null || !['active', 'stalled'].includes(this.stage)) return false;
    const log = this.#construct(text);
    if (log !== null) this.#next = { log, text };
    return log !== null;
  }

  /** The table that is loaded behind the one in use goes; `heard`: a daemon is told. */
  clearNext(heard: boolean): void {
    const next = this.#next;
    this.#next = null;
    if (next !== null && heard) this.#host.send(DM_ULOG_DTR, next.log);
  }

  /** Of a suspended one: the next RESUME is of the table that is loaded behind. */
  takeNext(): void {
    const next = this.#next;
    if (next === null || this.stage !== 'suspended' || this.#waits !== null) return;
    this.#next = null;
    this.#takes(next.log, next.text);
  }

  /** An instance of its own; null: it is refused, and ends. */
  #construct(text: string): Luid | null {
    this.#instances += 1;
    const log = { uuid: mirrorA.uuid, luid: 0x2000 + this.#instances * 0x10 + this.node };
    if (this.#host.construct(log, text)?.error === 0) return log;
    this.#host.send(DM_ULOG_DTR, log);
    return null;
  }

  #takes(log: Luid, text: string): void {
    this.#replaced = this.#log;
    this.#log = log;
    this.text = text;
    this.failed = false;
    this.unsynced.clear();
  }

  remove(): void {
    if (this.stage !== 'suspended' || this.#waits !== null || this.#log === null || this.#next !== null) return;
    for (const log of [this.#replaced, this.#log]) if (log !== null) this.#host.ask(DM_ULOG_DTR, log);
    this.#replaced = null;
    this.#log = null;
    this.stage = 'none';
    this.unsynced.clear();
  }

  /** `destroysFirst`: the instance that it takes the place of ends before the RESUME, not behind it. */
  resume(destroysFirst: boolean): void {
    if (this.stage !== 'suspended' || this.#waits !== null) return;
    const replaced = this.#replaced;
    const destroy = () => {
      if (replaced !== null && !this.losesDestroy) this.#host.send(DM_ULOG_DTR, replaced);
    };
    this.#replaced = null;
    this.stage = 'resuming';
    if (destroysFirst) destroy();
    this.#ask(DM_ULOG_RESUME, [], ({ error }) => {
      if (error === unknownLog) this.#resumeUnknown();
      else this.#resumed(error === 0);
    });
    if (!destroysFirst) destroy();
  }

  #resumed(well: boolean): void {
    this.quiet = true;
    this.stage = well ? 'active' : 'stalled';
    this.#hint = 0;
    this.#workless = false;
    if (well) this.used = true;
  }

  /** Nobody knows the log. It does nothing before its first question, by which it reconnects. */
  #resumeUnknown(): void {
    const resumed = ({ error }: Answer) => this.#resumed(error === 0);
    this.#reconnect({ seq: 0, type: DM_ULOG_RESUME, payload: [], answered: resumed });
  }

  /** Nobody hears its RESUME: no daemon was there. Its worker asks for work before it does anything else; `begun`: it has a region to copy. */
  resumeUnheard(begun: () => void): boolean {
    if (this.stage !== 'suspended' || this.#waits !== null || this.#log === null) return false;
    this.takeNext();
    const replaced = this.#replaced;
    this.#replaced = null;
    this.stage = 'active';
    this.used = true;
    if (replaced !== null && !this.losesDestroy) this.#host.send(DM_ULOG_DTR, replaced);
    this.#hint = 0;
    this.#workless = false;
    this.askForWork(begun);
    return true;
  }

  /** Its writes end and its marks are given up between PRESUSPEND and POSTSUSPEND; a copy ends before. */
  suspend(): void {
    if (!['active', 'stalled'].includes(this.stage) || this.#waits !== null || this.copying >= 0) return;
    this.stage = 'suspending';
    this.#ask(DM_ULOG_PRESUSPEND, [], () => {
      this.clear([...this.marked]);
      this.#ask(DM_ULOG_POSTSUSPEND, [], () => {
        this.stage = 'suspended';
      });
    });
  }

  /** Nothing of its suspend is heard: no daemon was there. */
  suspendUnheard(): boolean {
    if (this.stage !== 'active' || this.#waits !== null || this.copying >= 0 || this.marked.size > 0) return false;
    this.stage = 'suspended';
    return true;
  }

  /** PRESUSPEND is heard, POSTSUSPEND is not. */
  suspendHalfHeard(): void {
    if (!['active', 'stalled'].includes(this.stage) || this.#waits !== null || this.copying >= 0) return;
    this.stage = 'suspending';
    this.#ask(DM_ULOG_PRESUSPEND, [], () => {
      this.clear([...this.marked]);
      this.stage = 'suspended';
    });
  }

  /**
   * A write: with a mark to a region that is in sync and that nobody copies (`begun`: it may be under way from here on), without one to
   * a region that is not.
   */
  write(region: number, begun: () => void, unmarked: () => void): void {
    if (this.marked.has(region) || this.copying === region) return;
    if (!this.#mayWrite(region)) return;
    if (this.unsynced.has(region)) {
      unmarked();
      return;
    }
    const inSync = this.#read(DM_ULOG_IN_SYNC, region);
    if (inSync === null) return;
    if (inSync[0] !== 1) {
      this.unsynced.add(region);
      unmarked();
      return;
    }
    this.marked.add(region);
    this.#ask(DM_ULOG_FLUSH, [region], ({ error }) => {
      if (error === 0) {
        this.writing.add(region);
        begun();
      } else {
        this.marked.delete(region);
        this.failed = true;
      }
    });
  }

  /** Nobody copies it, as far as this kernel asks. */
  #mayWrite(region: number): boolean {
    const answer = this.#read(DM_ULOG_IS_REMOTE_RECOVERING, region);
    if (answer === null) return false;
    this.#workless = false;
    const [recovering, hint = 0] = answer;
    if (recovering === 0) this.#hint = Math.max(this.#hint, hint);
    return recovering === 0 || region < this.#hint;
  }

  /** The writes to these regions have ended. */
  clear(regions: readonly number[]): void {
    if (regions.length === 0) return;
    for (const region of regions) {
      this.marked.delete(region);
      this.writing.delete(region);
    }
    this.#host.send(DM_ULOG_CLEAR_REGION, this.log, regions);
  }

  /** One leg fails in a write: the region is out of sync, and what it writes there from now on has no mark. */
  legFails(region: number): void {
    this.unsynced.add(region);
    this.#ask(DM_ULOG_SET_REGION_SYNC, [region, 0], () => {});
  }

  /** False: nothing is left that it knows of. */
  get asksForWork(): boolean {
    return !this.#workless && this.#hint < this.#regions;
  }

  /** `begun`: it has a region to copy. */
  askForWork(begun: () => void): void {
    if (!this.asksForWork) return;
    this.#ask(DM_ULOG_GET_RESYNC_WORK, [], ({ error, values }) => {
      this.#workless = error !== 0 || values[0] !== 1;
      if (this.#workless) return;
      this.copying = values[1] as number;
      this.copySpoilt = false;
      begun();
    });
  }

  /** Ends its copy, which went well; returns the region. */
  endCopy(): number {
    const region = this.copying;
    this.copying = -1;
    this.unsynced.delete(region);
    this.#ask(DM_ULOG_SET_REGION_SYNC, [region, 1], () => {});
    return region;
  }

  get #host(): Host {
    return this.#group.host(this.node);
  }

  /** The answer to a read, which is given at once; null: an error. */
  #read(type: number, region: number): readonly number[] | null {
    this.quiet = false;
    const answer = this.#host.answerTo(this.#host.send(type, this.log, [region]));
    if (answer?.error === unknownLog) this.#reconnect(null);
    return answer?.error === 0 ? answer.values : null;
  }

  #reconnect(request: Request | null): void {
    const behind = request?.behind === undefined ? request : request.behind;
    const made = this.#host.construct(this.log, this.text, { nul: true });
    if (made !== undefined && made.error !== 0) {
      // It tries once more when it is tired of waiting.
      if (behind !== null) this.#waits = { ...behind, seq: 0 };
      return;
    }
    this.#waits = {
      seq: 0,
      type: DM_ULOG_RESUME,
      payload: [],
      behind,
      answered: (answer) => {
        if (behind === null) return;
        // The request for which it reconnects fails with it.
        if (answer.error === 0) this.#send(behind);
        else behind.answered({ ...answer, error: unknownLog, values: [] });
      },
    };
    this.#send(this.#waits);
  }

  #ask(type: number, payload: readonly number[], answered: (answer: Answer) => void): void {
    if (!lifeCycle.includes(type)) this.quiet = false;
    this.#send({ seq: 0, type, payload, answered });
  }

  #send(request: Request): void {
    request.seq = this.#host.send(request.type, this.log, request.payload);
    this.#waits = request;
    this.poll();
  }
}

/** The log device that a table names. */
export function deviceOf(text: string): string | null {
  return text.match(/\/dev\/\w+/)?.[0] ?? null;
}
