/**
 * The whole engine in this thread, spoken to over a real local socket with real frames, its log a real file: one
 * request after the other as a kernel would send them, and many at once.
 */
import { chmodSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_GET_REGION_SIZE,
  DM_ULOG_IN_SYNC,
  DM_ULOG_MARK_REGION,
} from '../../ts/base/ulog-frames.js';
import { Engine } from '../../ts/daemon/engine.js';
import type { LogEntry } from '../../ts/daemon/log-entry.js';
import type { LogWriterKind } from '../../ts/native/log-device.js';
import { configWith } from '../daemon/daemon-config.js';
import { readLogArea } from '../daemon/log-area.js';
import { encodeValues, KernelClient } from './kernel-client.js';

const regionCount = 100_000;
const log = { uuid: 'LVM-engine', luid: 42 };
const core = { uuid: 'LVM-engine-core', luid: 43 };

describe.each<LogWriterKind>(['uring', 'thread'])('the engine with log writer %s', (logWriter) => {
  let folder: string;
  let logFile: string;
  let engine: Engine;
  let kernel: KernelClient;
  let entries: LogEntry[];
  let readyLogs: number[];

  function open(): Engine {
    const config = configWith({
      kernel: { kind: 'simulated', path: join(folder, 'kernel') },
      stateDirectory: join(folder, 'state'),
      logWriter,
      verbose: true,
    });
    return new Engine(config, {
      log: (entry) => entries.push(entry),
      ready: (restored) => readyLogs.push(restored),
      lost: () => {},
      settled: () => {},
    });
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lockstep-engine-'));
    chmodSync(folder, 0o700);
    logFile = join(folder, 'log');
    writeFileSync(logFile, '');
    truncateSync(logFile, 1 << 20);
    entries = [];
    readyLogs = [];
    engine = open();
    kernel = await KernelClient.connect(join(folder, 'kernel'));
  });
  afterEach(() => {
    kernel.close();
    engine.close();
    engine.close();
    rmSync(folder, { recursive: true });
  });

  async function activate(words = 'nosync'): Promise<void> {
    const ctr = await kernel.ctr(log, `${regionCount * 8} clustered-disk ${logFile} 8 ${words}`);
    expect(ctr.result).toBe(0);
    // The name of the log device, NUL included, so that the kernel holds it.
    expect(ctr.text()).toBe(`${logFile}\0`);
    expect((await kernel.resume(log)).result).toBe(0);
  }

  it('is ready at once when nothing was restored', () => {
    expect(readyLogs).toEqual([0]);
  });

  it('answers MARK, FLUSH and CLEAR, and the file has exactly the marks', async () => {
    await activate();
    expect(readLogArea(logFile, regionCount)).toMatchObject({ magic: 0x4d695272, version: 2, regionCount, dirty: [] });
    const marked = [0, 1, 31, 32, 33_000, 65_535, 99_999];
    expect((await kernel.mark(log, marked)).result).toBe(0);
    expect((await kernel.flush(log)).result).toBe(0);
    expect(readLogArea(logFile, regionCount).dirty).toEqual(marked);
    for (const region of marked) expect((await kernel.isClean(log, region)).value(0)).toBe(0);
    const cleared = await kernel.clear(log, marked.slice(0, 3));
    expect([cleared.form, cleared.result]).toEqual(['ack', 0]);
    await kernel.presuspend(log);
    await kernel.postsuspend(log);
    // Held ones stay dirty through a suspend: their writer did not say that it is done.
    expect(readLogArea(logFile, regionCount).dirty).toEqual(marked.slice(3));
  });

  it('fault 7: the marks of FLUSH are ignored and echoed -> they are written, the answer has no data', async () => {
    await activate();
    const answer = await kernel.flush(log, [5, 6, 7]);
    expect([answer.result, answer.dataBytes, answer.form]).toEqual([0, 0, 'full']);
    expect(readLogArea(logFile, regionCount).dirty).toEqual([5, 6, 7]);
  });

  it('answers a repeat mark without a write', async () => {
    await activate();
    await kernel.flush(log, [5]);
    const before = engine.status().counters;
    for (let i = 0; i < 10; i++) {
      await kernel.mark(log, [5]);
      await kernel.flush(log);
    }
    const after = engine.status().counters;
    expect(after.devices.commits).toBe(before.devices.commits);
    expect(after.marksWithoutIo - before.marksWithoutIo).toBe(10);
    expect(after.marks - before.marks).toBe(10);
  });

  it('prints status exactly', async () => {
    await activate('nosync');
    expect((await kernel.statusInfo(log)).text()).toMatch(/^3 clustered-disk \d+:\d+ A$/);
    expect((await kernel.statusTable(log)).text()).toMatch(/^clustered-disk \d+:\d+ 8 nosync {2}$/);
    await kernel.ctr(core, '4096 clustered-core 1024');
    await kernel.resume(core);
    expect((await kernel.statusInfo(core)).text()).toBe('1 clustered-core');
    expect((await kernel.statusTable(core)).text()).toBe('clustered-core 1024  ');
    const size = await kernel.request(core, DM_ULOG_GET_REGION_SIZE);
    expect([size.result, size.value(0)]).toEqual([0, 1024]);
  });

  it('fault 11: a flush writes the whole log without a barrier -> one block and one barrier, counted', async () => {
    await activate();
    const before = engine.status().counters.devices;
    await kernel.flush(log, [50_000]);
    const after = engine.status().counters.devices;
    expect(after.commits - before.commits).toBe(1);
    expect(after.durableCommits - before.durableCommits).toBe(1);
    expect(after.blocksWritten - before.blocksWritten).toBe(1);
    expect(after.bytesWritten - before.bytesWritten).toBeLessThanOrEqual(4096);
  });

  it('answers a thousand requests that wait together, each once', async () => {
    await activate();
    const answers = [];
    for (let batch = 0; batch < 4; batch++) {
      const requests = Array.from({ length: 256 }, (_, i) =>
        i % 2 === 0
          ? { log, type: DM_ULOG_MARK_REGION, payload: encodeValues([1000 * batch + i]) }
          : { log, type: DM_ULOG_IN_SYNC, payload: encodeValues([i]) },
      );
      answers.push(kernel.requestAll(requests));
    }
    for (const answer of (await Promise.all(answers)).flat()) expect(answer.result).toBe(0);
    expect((await kernel.flush(log)).result).toBe(0);
    expect(readLogArea(logFile, regionCount).dirty).toHaveLength(512);
    expect(kernel.unexpected).toEqual([]);
    expect(engine.status().counters.replies.dropped).toBe(0);
  });

  it('puts flushes that wait together into few writes', async () => {
    await activate();
    const before = engine.status().counters.devices.commits;
    await Promise.all(Array.from({ length: 60 }, (_, i) => kernel.flush(log, [i * 900])));
    expect(readLogArea(logFile, regionCount).dirty).toHaveLength(60);
    expect(engine.status().counters.devices.commits - before).toBeLessThanOrEqual(30);
  });

  it('serves a client that replaces another', async () => {
    await activate();
    await kernel.mark(log, [9]);
    const second = await KernelClient.connect(join(folder, 'kernel'));
    expect((await second.isClean(log, 9)).value(0)).toBe(0);
    kernel.close();
    kernel = second;
    expect((await kernel.mark(log, [10])).result).toBe(0);
  });

  it('starts again from its records after it was dropped where it stood', async () => {
    await activate();
    await kernel.flush(log, [77]);
    await kernel.mark(log, [78]);
    kernel.close();
    engine.close();
    engine = open();
    kernel = await KernelClient.connect(join(folder, 'kernel'));
    expect((await kernel.flush(log)).result).toBe(0);
    expect(readyLogs).toEqual([0, 1]);
    expect(readLogArea(logFile, regionCount).dirty).toEqual([77, 78]);
    expect(entries.filter((entry) => entry.level === 'error')).toEqual([]);
  });

  it('stops only when no log exists', async () => {
    await activate();
    expect(engine.stop()).toBe(false);
    await kernel.presuspend(log);
    await kernel.postsuspend(log);
    expect(engine.stop()).toBe(false);
    await kernel.dtr(log);
    expect(engine.stop()).toBe(true);
  });

  it('answers CLEAR of a log that does not exist in ack form, so that the kernel constructs it again', async () => {
    const answer = await kernel.request({ uuid: 'LVM-none', luid: 1 }, DM_ULOG_CLEAR_REGION, encodeValues([0]));
    expect([answer.form, answer.result]).toEqual(['ack', -3]);
  });
});
