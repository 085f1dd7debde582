/**
 * A small file beside the state records that one daemon of a boot leaves to the next: JSON, replaced whole. What another boot left counts
 * for nothing.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolder } from './folders.js';

export class BootFile {
  readonly path: string;
  readonly #bootId: string;

  constructor(stateDirectory: string, name: string, bootId: string) {
    this.path = join(dirname(stateDirectory), name);
    this.#bootId = bootId;
  }

  /** Null: there is none, or it makes no sense, or it is of another boot. */
  read(): Readonly<Record<string, unknown>> | null {
    try {
      const found = JSON.parse(readFileSync(this.path, 'utf8')) as Record<string, unknown> | null;
      const { bootId } = found ?? {};
      return bootId === this.#bootId ? found : null;
    } catch {
      return null;
    }
  }

  /** @throws Error of the file system; what stood there stands then. */
  write(kept: Readonly<Record<string, unknown>>): void {
    makeFolder(dirname(this.path), 0o700);
    writeFileSync(`${this.path}.new`, `${JSON.stringify({ bootId: this.#bootId, ...kept })}\n`);
    renameSync(`${this.path}.new`, this.path);
  }
}
