/** The real `cmirrord` program: run to its end, found again by its pid file, looked at from outside. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pidFileHolder } from '../../ts/native/process.js';

const program = fileURLToPath(new URL('../../dist/bin/cmirrord.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Why the real connector cannot be used here, or null. A kernel that has the module may have a daemon, too. */
export function whyNoConnector(): string | null {
  if (process.getuid?.() !== 0) return 'needs root';
  let connector: string;
  try {
    connector = readFileSync('/proc/net/connector', 'utf8');
  } catch {
    return 'the kernel has no connector';
  }
  if (/\b7:1\b/.test(connector)) return 'dm-log-userspace is loaded: its mirrors are left alone';
  const script = `import { FrameChannel } from ${JSON.stringify(new URL('../../dist/native/frame-channel.js', import.meta.url))};
    FrameChannel.connector().close();`;
  const tried = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
  return tried.status === 0 ? null : 'the connector cannot be opened here';
}

export class Cmirrord {
  readonly folder = mkdtempSync(join(tmpdir(), 'lockstep cmirrord '));
  readonly pidFile = join(this.folder, 'cmirrord.pid');
  readonly config = join(this.folder, 'lockstep.toml');

  constructor() {
    this.configure('');
  }

  configure(more: string): void {
    const paths = `cmirrord_pid_file = ${JSON.stringify(this.pidFile)}\nstate_dir = ${JSON.stringify(join(this.folder, 'run', 'logs'))}\n`;
    writeFileSync(this.config, `${paths}${more}`);
  }

  run(argv: readonly string[], options: { readonly uid?: number } = {}): Promise<Ended> {
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [program, ...argv], {
        ...options,
        env: { ...process.env, LOCKSTEP_CONFIG: this.config },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (bytes: Buffer) => {
        stdout += bytes.toString();
      });
      child.stderr.on('data', (bytes: Buffer) => {
        stderr += bytes.toString();
      });
      child.on('close', (code) => resolve({ code, stdout, stderr }));
    });
  }

  /** In the foreground, left running; `said` holds what it wrote to stdout. */
  foreground() {
    const child = spawn(process.execPath, [program, '-f'], {
      env: { ...process.env, LOCKSTEP_CONFIG: this.config },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const said = { text: '' };
    child.stdout.on('data', (bytes: Buffer) => {
      said.text += bytes.toString();
    });
    return { child, said, ended: new Promise<number | null>((resolve) => child.on('close', resolve)) };
  }

  /** The daemon that holds the lock, as LVM2 would find it, or 0. */
  holder(): number {
    try {
      return pidFileHolder(this.pidFile);
    } catch {
      return 0;
    }
  }

  remove(): void {
    const pid = this.holder();
    if (pid > 0) process.kill(pid, 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What the rest of the system sees of a process. */
export function lookAt(pid: number) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [, name] = /\((.*)\)/.exec(stat) ?? [];
  const [, parent, group, session, terminal] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    name,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    terminal: Number(terminal),
    umask: /^Umask:\s*(\d+)/m.exec(status)?.[1],
    folder: readlinkSync(`/proc/${pid}/cwd`),
    files: [0, 1, 2].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`)),
  };
}

export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
