/**
 * A daemon that puts itself into the background, as far as Node lets it: `fork` without `exec` is not to be had in a
 * process with threads, so the child is a program of its own, and parent and child talk over a pipe between them.
 *
 * What can be seen from outside is what `cmirrord` does. The parent ends with 0 when the child serves, and not before;
 * when the child ends first the parent says why on stdout and ends with 1. The child has a session and a process group of
 * its own, no terminal, `/` as its folder, umask 0 and /dev/null as its standard files; its parent is then init, or
 * whatever stands in for it.
 */
import { spawn } from 'node:child_process';
import { ExitCode } from './config.js';

type FromChild = { readonly kind: 'ready' } | { readonly kind: 'failed'; readonly text: string };

/** The parent: starts `entry` and waits for its word; the result is the exit code. */
export function startInBackground(entry: string, say: (text: string) => void): Promise<ExitCode> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [entry], {
      detached: true,
      cwd: '/',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    let reason: string | null = null;
    child.on('message', (message: FromChild) => {
      if (message.kind === 'failed') reason = message.text;
      else resolve(ExitCode.ok);
    });
    child.on('error', (error) => {
      say(`cannot start the daemon: ${error.message}\n`);
      resolve(ExitCode.failed);
    });
    child.on('close', (code, signal) => {
      const how = signal === null ? `exit code ${code}` : `${signal}`;
      say(`${reason ?? 'the daemon ended before it served'} (${how})\n`);
      resolve(ExitCode.failed);
    });
  });
}

/** The child's side. Nothing is said where nobody listens any more: the parent may have been killed. */
export const backgroundChild = {
  prepare(): void {
    process.umask(0);
    // The pipe must not keep the daemon running, and a parent that is gone is no fault.
    process.channel?.unref();
    process.on('error', () => {});
  },

  ready(): void {
    tell({ kind: 'ready' }, () => process.disconnect?.());
  },

  /** Resolves when the parent has it. */
  failed(text: string): Promise<void> {
    return new Promise((resolve) => tell({ kind: 'failed', text }, resolve));
  },
};

function tell(message: FromChild, done: () => void): void {
  if (process.send === undefined || !process.connected) done();
  else process.send(message, undefined, undefined, () => done());
}
