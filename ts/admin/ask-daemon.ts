/** How a command asks the daemon: it connects, asks what it has to, and hangs up whatever came of it. */
import { ControlClient, NoDaemonError } from './control-client.js';
import type { DaemonStatus } from './daemon-status.js';

/** @throws NoDaemonError */
export async function askDaemon<T>(socket: string, ask: (client: ControlClient) => Promise<T>): Promise<T> {
  const client = await ControlClient.connect(socket);
  try {
    return await ask(client);
  } finally {
    client.close();
  }
}

/** The daemon's threads are two: one that answers has said what the other, which serves the kernel, did not answer to. */
export function silentEngine(socket: string): NoDaemonError {
  return new NoDaemonError(`the daemon at ${socket} runs, but its engine does not answer`);
}

/** How the daemon stands, which a command cannot do without. */
export async function statusOf(client: ControlClient, socket: string): Promise<DaemonStatus> {
  const { status } = await client.status();
  if (status === null) throw silentEngine(socket);
  return status;
}
