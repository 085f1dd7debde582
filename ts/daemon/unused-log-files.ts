/**
 * Files beside the state records, one for each log that this host does not use, with what the core keeps of it for the next daemon of
 * this boot (ts/mirror/unused-logs.ts).
 */
import { createHash } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BootFile } from './boot-file.js';

const folderName = 'unused-logs';

export class UnusedLogFiles {
  readonly #stateDirectory: string;
  readonly #bootId: string;
  readonly #problem: (text: string) => void;
  #failed = false;

  /** `problem` hears of a file that cannot be written, once until one can. */
  constructor(stateDirectory: string, bootId: string, problem: (text: string) => void) {
    this.#stateDirectory = stateDirectory;
    this.#bootId = bootId;
    this.#problem = problem;
  }

  /** What the daemon before this one kept. */
  read(): string[] {
    let names: string[];
    try {
      names = readdirSync(join(dirname(this.#stateDirectory), folderName));
    } catch {
      return [];
    }
    return names.flatMap((name) => {
      // Begun, and not in place.
      if (name.endsWith('.new')) return [];
      const { table } = this.#file(name).read() ?? {};
      return typeof table === 'string' ? [table] : [];
    });
  }

  /** In place of what it kept before; '': nothing. Others mostly know it too, so without room for it this daemon goes on. */
  keep(uuid: string, table: string): void {
    // A uuid may have 128 bytes, and slashes.
    const file = this.#file(createHash('sha256').update(uuid).digest('hex'));
    try {
      if (table === '') rmSync(file.path, { force: true });
      else file.write({ table });
      this.#failed = false;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (!this.#failed) this.#problem(`who has which log cannot be kept for the next daemon: ${why}`);
      this.#failed = true;
    }
  }

  #file(name: string): BootFile {
    return new BootFile(this.#stateDirectory, join(folderName, name), this.#bootId);
  }
}
