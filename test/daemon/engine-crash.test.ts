/** An engine that dies in whatever way takes the process with it, code 1 and the reason on stderr. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DaemonFolder } from './daemon-process.js';

const dist = new URL('../../dist/', import.meta.url);

let folder: DaemonFolder;
beforeEach(() => {
  folder = new DaemonFolder();
});
afterEach(() => folder.remove());

/** A daemon whose engine is `body`; everything else is the real one. */
function startWithEngine(body: string) {
  const entry = join(folder.path, 'entry.mjs');
  const script = join(folder.path, 'daemon.mjs');
  writeFileSync(entry, `import { parentPort, workerData } from 'node:worker_threads';\n${body}\n`);
  writeFileSync(
    script,
    `import { runDaemon } from ${JSON.stringify(new URL('daemon/daemon.js', dist))};
     const config = { kernel: { kind: 'simulated', path: ${JSON.stringify(folder.socket)} }, pidFiles: [], fencing: null,
       statusFile: null, statusIntervalMs: 0, verbose: false, logTarget: 'stderr', personality: 'lockstepd' };
     process.exit(await runDaemon(config, { engineEntry: new URL(${JSON.stringify(pathToFileURL(entry))}) }));`,
  );
  return folder.run([], script);
}

it.each([
  ['throws', `setTimeout(() => { throw new Error('bitmap gone'); }, 50);`, /engine-died .*bitmap gone/],
  ['throws at once', `throw new Error('bitmap gone');`, /engine-died .*bitmap gone/],
  ['rejects a promise', `setTimeout(() => Promise.reject(new Error('bitmap gone')), 50);`, /engine-died .*bitmap gone/],
  ['ends by itself', `parentPort.unref();`, /engine-died .*ended by itself/],
  ['exits with 0', `setTimeout(() => process.exit(0), 50);`, /engine-died .*ended by itself/],
  [
    'outgrows its heap',
    `const kept = []; setInterval(() => { for (let i = 0; i < 8; i++) kept.push(new Array(1e6).fill(kept)); }, 1);`,
    /engine-died/,
  ],
  [
    'throws inside a native call-back',
    `import { FrameChannel } from ${JSON.stringify(new URL('native/frame-channel.js', dist))};
     const channel = FrameChannel.listen(workerData.kernel.path);
     channel.onReadable(() => { throw new Error('bitmap gone'); });
     const peer = FrameChannel.connect(workerData.kernel.path);
     peer.outLengths[0] = 200;
     peer.send(1);`,
    /engine-died .*bitmap gone/,
  ],
])('an engine that %s', async (_name, body, reason) => {
  const daemon = startWithEngine(body);
  expect(await daemon.exited).toEqual({ code: 1, signal: null });
  expect(daemon.stderr).toMatch(reason);
});
