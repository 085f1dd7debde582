/**
 * The engine worker's entry: starts the engine with the configuration it was handed and answers the main thread.
 *
 * Faults of the world at start (a socket that is taken, a state folder of somebody else) are told with an exit code.
 * Everything later that throws is a fault of the program and is left to end the worker, and by that the process.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { withNodeNumber } from './cluster-record.js';
import { type DaemonConfig, ExitCode } from './config.js';
import { Engine, type EngineEvents, KernelSocketError } from './engine.js';
import type { FromEngine, ToEngine } from './engine-messages.js';

const port = parentPort;
if (port === null) throw new Error('the engine entry runs in a worker');
const tell = (message: FromEngine): void => port.postMessage(message);

const events: EngineEvents = {
  log: (entry) => tell({ kind: 'log', entry }),
  lost: (host) => tell({ kind: 'lost', host }),
  settled: (node) => tell({ kind: 'settled', node }),
  ready: (restoredLogs) => tell({ kind: 'ready', restoredLogs }),
};

function start(config: DaemonConfig): Engine | null {
  try {
    return new Engine(config, events);
  } catch (error) {
    // Only errors of system calls carry a code; anything else is ours and must not look like one.
    if (!(error instanceof KernelSocketError) && !(error instanceof Error && 'code' in error)) throw error;
    const exitCode = error instanceof KernelSocketError ? ExitCode.kernelSocket : ExitCode.failed;
    tell({ kind: 'failed', exitCode, text: error.message });
    return null;
  }
}

function serve(engine: Engine): void {
  port?.on('message', (message: ToEngine) => {
    switch (message.kind) {
      case 'status':
        tell({ kind: 'status', id: message.id, status: engine.status() });
        break;
      case 'region':
        tell({ kind: 'region', id: message.id, region: engine.region(message.uuid, message.luid, message.region) });
        break;
      case 'dead': {
        const refusal = engine.confirmDead(message.node, message.boot, message.by);
        if (message.id !== null) tell({ kind: 'confirmed', id: message.id, refusal });
        break;
      }
      case 'stop':
        if (engine.stop()) {
          tell({ kind: 'stopped' });
          port?.close();
        } else {
          tell({ kind: 'refused', logs: engine.logCount });
        }
        break;
    }
  });
}

const engine = start(await withNodeNumber(workerData as DaemonConfig));
if (engine !== null) serve(engine);
