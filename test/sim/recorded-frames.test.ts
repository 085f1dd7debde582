/**
 * The simulated kernel against a real one: the scripts of test/vm/scenarios/frames.sh, run on the simulated kernel, ask
 * the daemon the same questions about the same regions in the same order as the frames recorded from an unmodified
 * kernel (test/fixtures/frames). What `conversation` leaves out of both stands there.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Blocking } from '../../ts/sim/kernel/threads.js';
import { conversation, parseFrames } from '../vm/frame-text.mjs';
import { ScriptedKernel } from './scripted-kernel.js';

const core = 'clustered-core 128';
const disk = 'clustered-disk 254:32 128';

type Script = (kernel: ScriptedKernel) => Blocking;

function* writes(kernel: ScriptedKernel, ...regions: number[]): Blocking {
  for (const region of regions) {
    kernel.note(`write ${region}`);
    yield* kernel.writeTo(region);
  }
}

function* remove(kernel: ScriptedKernel): Blocking {
  kernel.note('remove');
  yield* kernel.remove();
}

function restartDaemon(kernel: ScriptedKernel): void {
  kernel.note('kill');
  kernel.kill();
  kernel.note('start');
  kernel.start();
}

/** As the kernel's status call asks. */
function* status(kernel: ScriptedKernel): Blocking {
  const live = kernel.device.live;
  if (live === null) throw new Error('no table is live');
  yield* live.log.syncCount();
  yield* live.log.statusInfo();
}

const scripts: Record<string, Script> = {
  *resync(kernel) {
    yield* kernel.create(core);
    yield* kernel.sleep(10_000);
    kernel.note('status');
    yield* status(kernel);
    yield* remove(kernel);
  },
  *writes(kernel) {
    yield* kernel.create(`${disk} nosync`);
    yield* kernel.sleep(1000);
    yield* writes(kernel, 3, 5, 3, 0, 7);
    yield* remove(kernel);
  },
  *integrated(kernel) {
    yield* kernel.create(`integrated_flush ${core} nosync`);
    yield* kernel.sleep(1000);
    for (const region of [2, 6]) {
      yield* writes(kernel, region);
      kernel.note('wait');
      yield* kernel.sleep(4000);
    }
    yield* remove(kernel);
  },
  *reload(kernel) {
    yield* kernel.create(`${core} nosync`);
    yield* kernel.sleep(1000);
    yield* writes(kernel, 1);
    kernel.note('suspend');
    yield* kernel.device.suspend();
    kernel.note('resume');
    yield* kernel.device.resume();
    yield* kernel.sleep(1000);
    yield* writes(kernel, 1);
    kernel.note('load');
    yield* kernel.load(`${core} nosync`);
    kernel.note('clear');
    const taken = kernel.device.loaded;
    kernel.device.loaded = null;
    if (taken !== null) yield* taken.destroy();
    kernel.note('load');
    yield* kernel.load(`${core} nosync`);
    yield* writes(kernel, 4);
    kernel.note('resume');
    yield* kernel.device.resume();
    yield* kernel.sleep(1000);
    yield* writes(kernel, 6);
    yield* remove(kernel);
  },
  *kills(kernel) {
    yield* kernel.create(`${core} nosync`);
    yield* kernel.sleep(1000);
    yield* writes(kernel, 1);
    kernel.note('load');
    yield* kernel.load(`${core} nosync`);
    restartDaemon(kernel);
    kernel.note('suspend');
    yield* kernel.device.suspend();
    restartDaemon(kernel);
    kernel.note('resume');
    yield* kernel.device.resume();
    yield* kernel.sleep(1000);
    restartDaemon(kernel);
    yield* writes(kernel, 4);
    yield* remove(kernel);
  },
  *sizes(kernel) {
    yield* kernel.create(`${disk} nosync`);
    yield* kernel.sleep(1000);
    yield* writes(kernel, 1);
    kernel.note('grow');
    yield* kernel.load(disk, 2048);
    yield* kernel.device.resume();
    yield* kernel.sleep(5000);
    yield* writes(kernel, 12);
    kernel.note('shrink');
    yield* kernel.load(disk, 512);
    yield* kernel.device.resume();
    yield* kernel.sleep(1000);
    yield* writes(kernel, 3);
    yield* remove(kernel);
  },
  *lost(kernel) {
    yield* kernel.create(`${disk} nosync`);
    yield* kernel.sleep(1000);
    yield* writes(kernel, 2);
    yield* kernel.sleep(4000);
    kernel.note('kill');
    kernel.kill();
    kernel.loseRecords();
    kernel.note('write 5');
    const waiting = kernel.submit(5);
    yield* kernel.sleep(1000);
    kernel.note('start');
    kernel.start();
    yield waiting;
    yield* kernel.sleep(1500);
    kernel.note('suspend');
    yield* kernel.device.suspend();
    kernel.note('resume');
    yield* kernel.device.resume();
    yield* kernel.sleep(5000);
    yield* writes(kernel, 2);
    yield* remove(kernel);
  },
  *'power-cut'(kernel) {
    yield* kernel.create(`${disk} nosync`);
    yield* kernel.sleep(1000);
    yield* writes(kernel, 2);
    yield* remove(kernel);
    kernel.note('marked 2 5');
    kernel.markOnDisk(2, 5);
    kernel.note('boot');
    kernel.kill();
    kernel.loseRecords();
    kernel.start();
    yield* kernel.create(disk);
    yield* kernel.sleep(5000);
    yield* writes(kernel, 5);
    yield* remove(kernel);
  },
  *'log-failure'(kernel) {
    yield* kernel.create('clustered-disk 253:0 128 nosync');
    yield* kernel.sleep(1000);
    yield* writes(kernel, 2);
    kernel.note('log fails');
    kernel.logFails(true);
    kernel.note('write 5');
    kernel.submit(5);
    yield* kernel.sleep(3000);
  },
  *'leg-failure'(kernel) {
    yield* kernel.create(`${core} nosync`);
    yield* kernel.sleep(1000);
    yield* writes(kernel, 1);
    kernel.note('leg fails');
    kernel.legFails = true;
    kernel.note('write 3');
    kernel.submit(3);
    yield* kernel.sleep(3000);
  },
  *restart(kernel) {
    yield* kernel.create(`${disk} nosync`);
    yield* kernel.sleep(1000);
    yield* writes(kernel, 2);
    kernel.note('kill');
    kernel.kill();
    kernel.note('write 5');
    const waiting = kernel.submit(5);
    yield* kernel.sleep(1000);
    kernel.note('start');
    kernel.start();
    yield waiting;
    yield* kernel.sleep(1500);
    yield* writes(kernel, 2);
    yield* remove(kernel);
  },
};

function recordedConversation(name: string): string[] {
  return conversation(parseFrames(readFileSync(new URL(`../fixtures/frames/${name}.txt`, import.meta.url), 'utf8')));
}

describe('the simulated kernel asks what a real one asks', () => {
  for (const [name, script] of Object.entries(scripts)) {
    test(name, () => {
      const kernel = new ScriptedKernel(`${name}-uuid`);
      kernel.run(script(kernel));
      expect(conversation(kernel.recorded)).toEqual(recordedConversation(name));
    });
  }
});
