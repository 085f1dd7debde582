/**
 * Who confirms that a lost node is dead (R7): a command of the administrator, dlm_controld's record, or Pacemaker's. Each is
 * asked by running a program; an answer is "dead" or it is nothing. A time-out, an error and an answer that makes no sense are nothing.
 *
 * Records say when, and a record of an earlier death proves nothing of this one: they count from the loss on, with some
 * seconds for whoever noticed first. That must not depend on who sets the clock in between: dlm_controld's times are of the clock that
 * nobody sets; Pacemaker's are of the other one, and what is of the future when it is first asked is of an earlier death by a clock
 * that was ahead.
 */
import { execFile } from 'node:child_process';
import { unknownName } from '../mirror/member-table.js';
import type { LostHost } from './lost-nodes.js';
import { upMs } from './up-time.js';

export interface FenceAnswer {
  readonly dead: boolean;
  /** What was asked and what came back, for people. */
  readonly text: string;
}

export interface FenceSource {
  /** Never rejects; a question that `signal` ends is answered with nothing. */
  ask(lost: LostHost, signal: AbortSignal): Promise<FenceAnswer>;
}

export type FenceSourceKind = 'command' | 'dlm' | 'pacemaker';

/** Nobody fences faster than this after a reboot: an older record is of another death. */
const noticedBeforeMs = 5_000;
/** A program that takes longer is ended, and asked again. */
const askMsMax = 60_000;
const outputBytesMax = 1 << 20;

export function fenceSource(kind: FenceSourceKind, command: string | null): FenceSource {
  if (kind === 'dlm') {
    return recordSource(
      'dlm_tool',
      () => ['status'],
      (output, lost) => dlmSaysDead(output, lost, upMs()),
    );
  }
  if (kind === 'pacemaker') {
    const history = new PacemakerHistory();
    const words = ({ name }: LostHost) => ['--history', name, '--output-as=xml'];
    return byName(recordSource('stonith_admin', words, (output, lost) => history.saysDead(output, lost, Date.now())));
  }
  if (command === null) throw new Error('a fencing command has a path');
  return byName({
    // Both, so that a script can go by either; exit code 0 and nothing else means dead.
    async ask({ node, name }, signal) {
      const { code, text } = await run(command, [name, String(node)], signal);
      return { dead: code === 0, text: `${command} ${name} ${node}: ${text}` };
    },
  });
}

/** Nobody is asked about a host whose name is not known: only a person can tell which one it is. */
function byName(source: FenceSource): FenceSource {
  return {
    ask(lost, signal) {
      if (lost.name !== unknownName) return source.ask(lost, signal);
      return Promise.resolve({ dead: false, text: 'its name is not known: lockstep fence-confirm, once it is dead' });
    },
  };
}

function recordSource(
  program: string,
  argumentsFor: (lost: LostHost) => string[],
  saysDead: (output: string, lost: LostHost) => boolean,
): FenceSource {
  return {
    async ask(lost, signal) {
      const words = argumentsFor(lost);
      const { code, output, text } = await run(program, words, signal);
      const dead = code === 0 && saysDead(output, lost);
      const said = code === 0 ? (dead ? 'it was fenced' : 'it was not fenced yet') : text;
      return { dead, text: `${program} ${words.join(' ')}: ${said}` };
    },
  };
}

/**
 * `dlm_tool status`: the daemon's own clock in "daemon now N", and a line a node with the times at which it failed and
 * was fenced, 0 for never. `X` stands for a node that is gone. `nowUpMs` as `upMs`.
 */
export function dlmSaysDead(output: string, lost: LostHost, nowUpMs: number): boolean {
  const daemonNow = /^daemon now (\d+)\b/m.exec(output)?.[1];
  const line = new RegExp(`^node ${lost.node} X add \\d+ rem \\d+ fail (\\d+) fence (\\d+) `, 'm').exec(output);
  if (daemonNow === undefined || line === null) return false;
  const lostAt = Number(daemonNow) - (nowUpMs - lost.lostUpMs + noticedBeforeMs) / 1000;
  const failed = Number(line[1]);
  const fenced = Number(line[2]);
  return failed > 0 && fenced >= failed && fenced >= lostAt;
}

/** `stonith_admin --history NODE --output-as=xml`: one `fence_event` for each attempt, with its end as `completed`. */
export class PacemakerHistory {
  /** By node: of its last loss, the ends of events that were of the future when it was first asked about. */
  readonly #ahead = new Map<number, { readonly lost: LostHost; readonly ends: ReadonlySet<number> }>();

  saysDead(output: string, lost: LostHost, nowMs: number): boolean {
    const ends = kills(output, lost.name);
    let ahead = this.#ahead.get(lost.node);
    if (ahead?.lost.lostUpMs !== lost.lostUpMs) {
      ahead = { lost, ends: new Set(ends.filter((endMs) => endMs > nowMs + noticedBeforeMs)) };
      this.#ahead.set(lost.node, ahead);
    }
    return ends.some((endMs) => endMs >= lost.lostMs - noticedBeforeMs && !ahead.ends.has(endMs));
  }
}

/** When the node was switched off, each time. */
function kills(output: string, name: string): number[] {
  const ends: number[] = [];
  for (const [event] of output.matchAll(/<fence_event\b[^>]*>/g)) {
    const attribute = (of: string) => new RegExp(`\\b${of}="([^"]*)"`).exec(event)?.[1] ?? '';
    const off = attribute('action') === 'off' || attribute('action') === 'reboot';
    const completedMs = Date.parse(attribute('completed'));
    const done = off && attribute('target') === name && attribute('status') === 'success';
    if (done && !Number.isNaN(completedMs)) ends.push(completedMs);
  }
  return ends;
}

interface Ran {
  /** Exit code; -1 when there is none. */
  readonly code: number;
  readonly output: string;
  readonly text: string;
}

function run(program: string, words: readonly string[], signal: AbortSignal): Promise<Ran> {
  return new Promise((done) => {
    const options = { signal, timeout: askMsMax, killSignal: 'SIGKILL', maxBuffer: outputBytesMax } as const;
    execFile(program, words, options, (error, stdout, stderr) => {
      if (error === null) done({ code: 0, output: stdout, text: 'exit code 0' });
      else done({ code: typeof error.code === 'number' ? error.code : -1, output: stdout, text: why(error, stderr) });
    });
  });
}

function why(error: Error & { code?: unknown; killed?: boolean }, stderr: string): string {
  const said = stderr.trim().split('\n', 1)[0] ?? '';
  if (error.killed === true) return `ended after ${askMsMax / 1000} s`;
  const code = typeof error.code === 'number' ? `exit code ${error.code}` : String(error.code ?? error.message);
  return said === '' ? code : `${code}, ${said.slice(0, 200)}`;
}
