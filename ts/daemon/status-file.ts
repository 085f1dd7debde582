/**
 * A file that always holds one whole status: written beside itself and renamed over. Not flushed to its disk; it tells
 * of a running process and means nothing after a crash of the host.
 */
import { renameSync, writeFileSync } from 'node:fs';

export class StatusFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Replaces the contents; returns what went wrong, or null. */
  write(text: string): string | null {
    const next = `${this.#path}.new`;
    try {
      writeFileSync(next, text, { mode: 0o644 });
      renameSync(next, this.#path);
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}
