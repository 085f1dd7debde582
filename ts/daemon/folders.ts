/**
 * Makes a folder and what is missing above it. Node's own recursive form never returns where the kernel says "not there" of
 * a folder that could not be made, as /proc does: a mistyped path would hang the daemon, deaf to signals.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** @throws Error of the file system, that names the folder that could not be made. */
export function makeFolder(path: string, mode: number): void {
  const missing: string[] = [];
  for (let folder = resolve(path); !existsSync(folder); folder = dirname(folder)) missing.unshift(folder);
  for (const folder of missing) {
    try {
      mkdirSync(folder, { mode });
    } catch (error) {
      // Another daemon may have been faster.
      if (!existsSync(folder)) throw error;
    }
  }
}
