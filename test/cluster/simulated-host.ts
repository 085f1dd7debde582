/**
 * The kernel of a host as a process: `simulated-kernel` on a leg pair and a log that all hosts share. It says what it does as lines of
 * JSON; whatever must never happen to a kernel is collected as a problem.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until } from './corosync-cluster.mjs';

const program = fileURLToPath(new URL('../../dist/bin/simulated-kernel.js', import.meta.url));

export interface SharedMirror {
  readonly uuid: string;
  readonly legs: readonly string[];
  readonly bytes: number;
  readonly regionSectors: number;
  /** Null: a core log. */
  readonly logFile: string | null;
  /** Writes a second, on each host. */
  readonly rate: number;
  readonly hosts: number;
}

interface Said {
  readonly event: string;
  readonly writes?: number;
  readonly inSync?: number;
  readonly regions?: number;
  readonly errors?: number;
  readonly error?: number;
  readonly step?: string;
  readonly slowestMs?: number;
}

export class SimulatedHost {
  readonly child: ChildProcess;
  readonly problems: string[] = [];
  last: Said | null = null;
  active = false;
  #restarts = 0;
  #suspending = false;
  #quiet = false;
  readonly #host: number;
  #stderr = '';

  /** `anew`: its last run ended with a power cut, and nobody claims that the legs are equal. */
  constructor(socket: string, host: number, mirror: SharedMirror, anew: boolean) {
    this.#host = host;
    const { uuid, legs, bytes, regionSectors, logFile, rate, hosts } = mirror;
    const argv = [
      ...['--socket', socket, '--uuid', uuid, '--size', String(bytes), '--region-size', String(regionSectors)],
      ...legs.flatMap((leg) => ['--leg', leg]),
      ...(logFile === null ? [] : ['--log-device', logFile]),
      ...['--rate', String(rate), '--depth', '8', '--hot', '8', '--wide', '0.05', '--seed', String(host)],
      ...['--share', `${host}/${hosts}`, '--integrated-flush', anew ? '--resume' : '--nosync'],
    ];
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, program, ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stderr?.on('data', (bytes: Buffer) => {
      this.#stderr += bytes.toString();
    });
    if (this.child.stdout === null) throw new Error('a kernel has an output');
    createInterface({ input: this.child.stdout }).on('line', (line) => this.#hear(JSON.parse(line) as Said, line));
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  get writes(): number {
    return this.last?.writes ?? 0;
  }

  #hear(said: Said, line: string): void {
    if (said.event === 'active') this.active = true;
    if (said.event === 'quiet') this.#quiet = true;
    if (said.event === 'restarted') this.#restarts += 1;
    if (said.writes !== undefined) this.last = said;
    const wrong =
      ['question-failed', 'stale', 'failed'].includes(said.event) ||
      // A flush behind a clear may still be under way when the log leaves; its kernel does not look at what it gives.
      (said.event === 'flush-failed' && !this.#suspending) ||
      (['life-cycle', 'restarted'].includes(said.event) && said.error !== 0) ||
      (said.errors ?? 0) > 0;
    if (wrong) this.problems.push(`${new Date().toISOString()} host ${this.#host}: ${line}`);
  }

  /** Its users stop, and what they wrote is there. */
  async quiet(): Promise<void> {
    this.child.kill('SIGHUP');
    await until('the users of a mirror stop', () => this.#quiet || this.ended);
  }

  /** Suspends and resumes the mirror. */
  async restart(): Promise<void> {
    const before = this.#restarts;
    this.#suspending = true;
    this.child.kill('SIGUSR2');
    await until('the mirror is resumed again', () => this.#restarts > before || this.ended);
    this.#suspending = false;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await until('the end of a kernel', () => this.ended);
  }

  /** Ends in order; what it says at its end is heard. */
  async stop(): Promise<void> {
    let closed = false;
    this.child.on('close', () => {
      closed = true;
    });
    this.#suspending = true;
    this.child.kill('SIGTERM');
    await until('a kernel ends in order', () => closed);
    if (this.child.exitCode !== 0) this.problems.push(`it ended with ${this.child.exitCode}: ${this.#stderr}`);
  }
}
