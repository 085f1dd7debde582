/**
 * The daemon with measuring points: `counted-daemon.mjs FOLDER [AFTER]`. Its threads run the daemon's own entries, wrapped:
 * the engine counts what it allocates (counted-engine.mjs), and with AFTER the main thread computes for 20 ms of every 50, and
 * the admin thread so many milliseconds later. Orders come as lines on standard input: `start` and `stop` of the counting; each is answered by a line.
 */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BroadcastChannel } from 'node:worker_threads';
import { parseOptions } from '../dist/bin/lockstepd-options.js';
import { runDaemon } from '../dist/daemon/daemon.js';
import { hostFacts } from '../dist/daemon/host-facts.js';
import { keepBusy } from './keep-busy.mjs';

const [folder, after] = process.argv.slice(2);
const options = ['--simulated-kernel', join(folder, 'kernel'), '--transport', 'local'];
const places = ['--state-dir', join(folder, 'state'), '--pid-file', join(folder, 'pid')];
const parsed = parseOptions([...options, ...places], hostFacts());
if (parsed.kind !== 'run') throw new Error(`the daemon's options: ${JSON.stringify(parsed)}`);
const channel = new BroadcastChannel('lockstep-bench');
channel.onmessage = ({ data }) => {
  if (data.answer !== undefined) process.stdout.write(`${JSON.stringify(data.answer)}\n`);
};
createInterface({ input: process.stdin })
  .on('line', (order) => channel.postMessage({ order }))
  .on('close', () => process.exit(0));
if (after !== undefined) keepBusy();
process.exitCode = await runDaemon(parsed.config, {
  engineEntry: new URL('./counted-engine.mjs', import.meta.url),
  ...(after === undefined ? {} : { adminEntry: new URL(`./busy-admin.mjs?after=${after}`, import.meta.url) }),
});
