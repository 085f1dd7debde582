/**
 * The addon's life in a process: it ends when it should, not before, and no order of closing, ending and collecting
 * brings it down. Each case is a process of its own, because a failure is an abort.
 */
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChildScript, runScript, TestFolder } from './child-script.js';

let folder: TestFolder;
beforeEach(() => {
  folder = new TestFolder();
  writeFileSync(folder.file('log'), Buffer.alloc(2 ** 20));
});
afterEach(() => folder.remove());

/** What the scripts share. */
const helpers = `
  const socket = args[0] + '/kernel', log = args[0] + '/log';
  const map = NativeRegionMap.anonymous(2 ** 20), image = NativeLogImage.of(map);
  const events = (on = {}) => ({ opened() {}, read() {}, written() {}, ...on });
  const frame = Buffer.alloc(196);
  frame.writeUInt32LE(196, 0); frame.writeUInt16LE(3, 4); frame.writeUInt32LE(7, 16); frame.writeUInt32LE(1, 20);
  frame.writeUInt16LE(160, 32); frame.writeUInt32LE(3, 36 + 140);
  const put = (channel) => { channel.outSlots.set(frame, 4); channel.outLengths[0] = 196; channel.send(1); };
`;

/** Runs to the end by itself, with this on standard output. */
async function expectEnd(body: string, stdout = ''): Promise<void> {
  const ended = await runScript(helpers + body, [folder.path]);
  expect({ code: ended.code, signal: ended.signal, stderr: ended.stderr }).toEqual({
    code: 0,
    signal: null,
    stderr: '',
  });
  expect(ended.stdout).toBe(stdout);
}

/** Serves until it is killed. */
async function expectNoEnd(body: string): Promise<void> {
  const child = new ChildScript(
    `${helpers}${body}; setTimeout(() => console.log('alive'), 300).unref(); console.log('started');`,
    [folder.path],
  );
  await child.printed('alive');
  child.process.kill('SIGTERM');
  expect(await child.ended).toEqual({ code: null, signal: 'SIGTERM' });
}

describe('a process ends by itself', () => {
  it('with handles that nothing waits on', () =>
    expectEnd(`
      FrameChannel.listen(socket); FrameChannel.connect(socket);
      new NativeLogDevice(events(), { writer: 'thread' });
      new NativeLogStates({ directory: args[0] + '/state', bootId: 'b', memoryBytesMax: 1e6 });`));

  it.each(['uring', 'thread'])('with an open device that is idle (%s)', (writer) =>
    expectEnd(
      `const device = new NativeLogDevice(events({ opened(errno) { console.log(errno); } }), { writer: '${writer}' });
       device.open(log);`,
      '0\n',
    ),
  );

  it.each(['uring', 'thread'])('only after every operation has been reported (%s)', (writer) =>
    expectEnd(
      `let device = new NativeLogDevice(events({
         opened() { image.planAll(); device.write(image, true); device.read(0, 512); device = null; gc(); },
         written(errno) { console.log('written', errno); }, read(errno) { console.log('read', errno); },
       }), { writer: '${writer}' });
       device.open(log);`,
      'written 0\nread 0\n',
    ),
  );

  it('once its channels are closed', () =>
    expectEnd(
      `const server = FrameChannel.listen(socket), client = FrameChannel.connect(socket);
       server.onReadable(() => { console.log(server.drain()); server.close(); });
       client.onReadable(() => client.drain());
       client.onClosed(() => console.log('closed'));
       put(client);`,
      '1\nclosed\n',
    ));

  it('at process.exit with everything open and under way', () =>
    expectEnd(`
      const server = FrameChannel.listen(socket), client = FrameChannel.connect(socket);
      server.onReadable(() => {}); client.onReadable(() => {});
      put(client);
      for (const writer of ['uring', 'thread']) {
        const device = new NativeLogDevice(events({ opened() {
          image.unplan(); image.planAll(); device.write(image, true); if (writer === 'thread') process.exit(0);
        } }), { writer });
        if (writer === 'thread') device.open(log);
        else device.open(log + 'x');
      }`));
});

describe('a process does not end', () => {
  it('while a channel listens', () => expectNoEnd(`FrameChannel.listen(socket).onReadable(() => {}); gc()`));
  it('while a channel is connected', () =>
    expectNoEnd(
      `globalThis.kept = FrameChannel.listen(socket); FrameChannel.connect(socket).onReadable(() => {}); gc()`,
    ));
});

it('an exception of a callback is an uncaught exception', async () => {
  const ended = await runScript(
    `${helpers}
     const device = new NativeLogDevice(events({ opened() { throw new Error('from opened'); } }), { writer: 'thread' });
     process.on('uncaughtException', (error) => { console.log(error.message); process.exitCode = 3; });
     device.open(log);`,
    [folder.path],
  );
  expect([ended.code, ended.stdout]).toEqual([3, 'from opened\n']);
});

/** A worker that runs `body`, and what the main thread does with it. */
function withWorker(body: string, then: string): string {
  return `
    import { Worker } from 'node:worker_threads';
    const code = \`
      const { workerData, parentPort } = require('node:worker_threads');
      (async () => {
        const { native, args } = workerData;
        const { FrameChannel } = await import(native + 'frame-channel.js');
        const { NativeLogDevice } = await import(native + 'log-device.js');
        const { NativeLogImage } = await import(native + 'log-image.js');
        const { NativeLogStates } = await import(native + 'log-state.js');
        const { NativeRegionMap } = await import(native + 'region-map.js');
        ${helpers.replaceAll('`', '')}
        ${body}
      })();\`;
    const start = () => new Worker(code, { eval: true, execArgv: [], workerData: { native, args } });
    const first = (worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    ${then}`;
}

/** Everything open, polls running, writes in flight. */
const busyWorker = (writer: string) => `
  const server = FrameChannel.listen(socket + workerData.args[1]);
  server.onReadable(() => { server.drain(); put(server); });
  const client = FrameChannel.connect(socket + workerData.args[1]);
  client.onReadable(() => { client.drain(); put(client); });
  put(client);
  const states = new NativeLogStates({ directory: null, bootId: 'b', memoryBytesMax: 1e6 });
  states.create({ uuid: 'u', luidHigh: 0, luidLow: 1 }, { regionCount: 100, regionSizeSectors: 8 }, 't', true);
  const device = new NativeLogDevice(events({
    opened() { image.planAll(); device.write(image, true); parentPort.postMessage('busy'); },
    written() { image.planAll(); device.write(image, true); device.read(0, 4096); },
  }), { writer: '${writer}' });
  device.open(log);`;

describe('a worker', () => {
  it.each(['uring', 'thread'])('is terminated with everything busy, again and again (%s)', (writer) =>
    expectEnd(
      withWorker(
        busyWorker(writer),
        `for (let round = 0; round < 12; round++) {
           args[1] = 'x' + round;
           const worker = start();
           await first(worker);
           await new Promise((resolve) => setTimeout(resolve, round));
           await worker.terminate();
         }
         console.log('done');`,
      ),
      'done\n',
    ),
  );

  it.each(['uring', 'thread'])('ends by process.exit with everything busy, wherever it calls it (%s)', (writer) =>
    expectEnd(
      withWorker(
        `${busyWorker(writer)}
         const round = workerData.args[1].length;
         if (round < 6) setTimeout(() => process.exit(5), 4 * round);
         else if (round === 6) new NativeLogDevice(events({ opened() { process.exit(5); } }), { writer: 'thread' }).open(log);
         else server.onClosed(() => process.exit(5)), setTimeout(() => client.close(), 5);`,
        `for (let round = 1; round < 8; round++) {
           args[1] = 'y'.repeat(round);
           const worker = start();
           console.log(await new Promise((resolve) => worker.on('exit', resolve)));
         }`,
      ),
      '5\n'.repeat(7),
    ),
  );

  it('has the process exit under it', () =>
    expectEnd(
      withWorker(busyWorker('uring'), `args[1] = 'z'; const worker = start(); await first(worker); process.exit(0);`),
    ));

  it('is one of many, each with handles of its own', () =>
    expectEnd(
      withWorker(
        `map.hold(new Float64Array([workerData.args[1].length]), 1);
         parentPort.postMessage(map.heldCount + map.nextHeld(0));`,
        `const workers = [];
         for (let index = 1; index <= 4; index++) { args[1] = 'w'.repeat(index); workers.push(first(start())); }
         console.log((await Promise.all(workers)).join(' '));`,
      ),
      '2 3 4 5\n',
    ));
});

it('handles are collected while they are in use, and when they are not', () =>
  expectEnd(
    `let done = 0;
     for (let round = 0; round < 200; round++) {
       let device = new NativeLogDevice(events({
         opened() { done++; },
       }), { writer: round % 2 ? 'thread' : 'uring' });
       device.open(log);
       device = null;
       FrameChannel.listen(socket + round);
       NativeLogImage.of(NativeRegionMap.anonymous(1000)).planAll();
       const states = new NativeLogStates({ directory: null, bootId: 'b', memoryBytesMax: 1e6 });
       states.create({ uuid: 'u', luidHigh: 0, luidLow: 1 }, { regionCount: 9, regionSizeSectors: 8 }, 't', true);
       if (round % 40 === 0) { gc(); await new Promise((resolve) => setTimeout(resolve, 20)); }
     }
     while (done < 200) { gc(); await new Promise((resolve) => setTimeout(resolve, 5)); }
     gc();
     await new Promise((resolve) => setTimeout(resolve, 20));
     gc();
     console.log(done);`,
    '200\n',
  ));
