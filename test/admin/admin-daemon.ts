/** A real daemon with its control socket, and raw clients of that socket. */
import { existsSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Response } from '../../ts/admin/protocol.js';
import type { DaemonFolder, DaemonProcess } from '../daemon/daemon-process.js';

const dist = new URL('../../dist/', import.meta.url);
const waitMsMax = 60_000;

export function controlSocket(folder: DaemonFolder): string {
  return join(folder.path, 'control.sock');
}

/** A daemon whose admin worker is `body`, in which `real` is the address of the real one. All else is as it is. */
export function startWithAdmin(folder: DaemonFolder, body: string): DaemonProcess {
  const entry = join(folder.path, 'admin-entry.mjs');
  const script = join(folder.path, 'daemon.mjs');
  const real = JSON.stringify(new URL('admin/admin-entry.js', dist));
  writeFileSync(entry, `import { workerData } from 'node:worker_threads';\nconst real = ${real};\n${body}\n`);
  writeFileSync(
    script,
    `import { pathToFileURL } from 'node:url';
     import { runDaemon } from ${JSON.stringify(new URL('daemon/daemon.js', dist))};
     import { hostFacts } from ${JSON.stringify(new URL('daemon/host-facts.js', dist))};
     import { parseOptions } from ${JSON.stringify(new URL('bin/lockstepd-options.js', dist))};
     const parsed = parseOptions(process.argv.slice(2), hostFacts());
     if (parsed.kind !== 'run') throw new Error(JSON.stringify(parsed));
     process.exit(await runDaemon(parsed.config, { adminEntry: pathToFileURL(${JSON.stringify(entry)}) }));`,
  );
  const argv = ['--transport', 'local', '--simulated-kernel', folder.socket, '--state-dir', folder.state];
  return folder.run(argv, script);
}

/** Sends bytes as they are and reads lines. */
export class RawClient {
  readonly socket: Socket;
  readonly responses: Response[] = [];
  ended = false;
  #text = '';
  #changed: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      this.#text += text;
      for (let end = this.#text.indexOf('\n'); end >= 0; end = this.#text.indexOf('\n')) {
        this.responses.push(JSON.parse(this.#text.slice(0, end)) as Response);
        this.#text = this.#text.slice(end + 1);
      }
      this.#changed();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.ended = true;
      this.#changed();
    });
  }

  static async connect(path: string): Promise<RawClient> {
    await until(() => existsSync(path), `the control socket ${path}`);
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawClient(socket)));
    });
  }

  send(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** Waits for `count` answers in all, or the end of the connection. */
  async answers(count: number): Promise<Response[]> {
    await this.#wait(() => this.responses.length >= count || this.ended, `${count} answers`);
    return this.responses;
  }

  async end(): Promise<void> {
    await this.#wait(() => this.ended, 'the end of the connection');
  }

  #wait(done: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), waitMsMax);
      this.#changed = () => {
        if (!done()) return;
        clearTimeout(timer);
        resolve();
      };
      this.#changed();
    });
  }
}

export async function until(done: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + waitMsMax;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
