/** A worker of the simulator's command: runs the seeds that it is handed, a chunk at a time. */
import { parentPort } from 'node:worker_threads';
import { type HostRange, hostsOf } from './hosts-of.js';
import { runSeed } from './run.js';

export interface Chunk {
  readonly first: number;
  readonly count: number;
  readonly hosts: HostRange | null;
  /** How many of the last events a failure brings along. */
  readonly events: number;
  readonly restarts: boolean;
}

const port = parentPort;
if (port === null) throw new Error('this file is the entry of a worker');
port.on('message', (chunk: Chunk) => {
  port.postMessage(
    Array.from({ length: chunk.count }, (_, index) => {
      const seed = chunk.first + index;
      return runSeed(seed, { ...chunk, hosts: hostsOf(seed, chunk.hosts) });
    }),
  );
});
