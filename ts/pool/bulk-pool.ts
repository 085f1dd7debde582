/**
 * The pool for bulk work: whatever takes longer than about 200 us and must not hold up a request. A hand-over costs
 * about 50 to 150 us, so a task carries a range of many MiB, never a block, and no mark or write ever comes here.
 *
 * Workers do pure compute and blocking reads, own no native thread and watch no descriptor. That is why idle ones
 * may sleep inside `Atomics.wait` (piscina's `sync`), where an event loop would not be served.
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { ChecksumTask, CompareResult, CompareTask } from './bulk-tasks.js';
import { listedSectorsMax } from './bulk-tasks.js';

/** Bytes a task takes at most: large enough that a hand-over does not show, small enough to spread over workers. */
const taskBytesMax = 32 << 20;

export interface BulkPoolOptions {
  readonly threadsMin?: number;
  readonly threadsMax?: number;
  /** Worker entry, built JavaScript. Needed only by callers that run from TypeScript sources, as tests do. */
  readonly entry?: URL;
}

export class BulkPool {
  readonly #pool: Piscina;

  constructor(options: BulkPoolOptions = {}) {
    const threadsMin = options.threadsMin ?? 1;
    this.#pool = new Piscina({
      filename: fileURLToPath(options.entry ?? new URL('../pool/bulk-entry.js', import.meta.url)),
      minThreads: threadsMin,
      maxThreads: Math.max(threadsMin, options.threadsMax ?? 2),
      atomics: 'sync',
    });
  }

  /** Compares two files or devices over a range, in pieces spread over the workers. */
  async compare(task: CompareTask): Promise<CompareResult> {
    const listMax = task.listedSectorsMax ?? listedSectorsMax;
    const pieces = split(task.offset, task.length).map((piece) => ({ ...task, ...piece, listedSectorsMax: listMax }));
    const results = await this.#runAll<CompareResult>('compareRange', pieces);
    return merge(results, listMax);
  }

  /** CRC-32 of each piece of a range, in order. Equal ranges of equal data give equal lists. */
  checksums(task: ChecksumTask): Promise<number[]> {
    const pieces = split(task.offset, task.length).map((piece) => ({ ...task, ...piece }));
    return this.#runAll<number>('checksumRange', pieces);
  }

  /** Ends the workers. Tasks under way are rejected. */
  close(): Promise<void> {
    return this.#pool.destroy();
  }

  #runAll<Result>(name: string, tasks: readonly object[]): Promise<Result[]> {
    return Promise.all(tasks.map((task) => this.#pool.run(task, { name }) as Promise<Result>));
  }
}

function split(offset: number, length: number): { offset: number; length: number }[] {
  // A range that the task itself would refuse goes to it whole, so that its message names what the caller asked.
  if (!(length > taskBytesMax)) return [{ offset, length }];
  const pieces: { offset: number; length: number }[] = [];
  for (let done = 0; done < length; done += taskBytesMax) {
    pieces.push({ offset: offset + done, length: Math.min(taskBytesMax, length - done) });
  }
  return pieces;
}

/** Puts the results of adjacent pieces together; a region that two pieces share is counted in both. */
function merge(results: readonly CompareResult[], listMax: number): CompareResult {
  const firstRegion = results[0]?.firstRegion ?? 0;
  const regionCounts: number[] = [];
  const sectors: number[] = [];
  let sectorsCompared = 0;
  let sectorsDiffering = 0;
  for (const result of results) {
    sectorsCompared += result.sectorsCompared;
    sectorsDiffering += result.sectorsDiffering;
    for (const sector of result.sectors) if (sectors.length < listMax) sectors.push(sector);
    for (let i = 0; i < result.regionCounts.length; i++) {
      const region = result.firstRegion - firstRegion + i;
      regionCounts[region] = (regionCounts[region] ?? 0) + (result.regionCounts[i] ?? 0);
    }
  }
  return { sectorsCompared, sectorsDiffering, sectors, firstRegion, regionCounts };
}
