/**
 * Several pid files, as on the real kernel where cmirrord's is one of them: all are locked or none is kept. Run on the
 * daemon's main part with a configuration of its own, since the real one's second file is a fixed place under /run.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { configWith } from './daemon-config.js';
import { DaemonFolder, type DaemonProcess } from './daemon-process.js';

let folder: DaemonFolder;
beforeEach(() => {
  folder = new DaemonFolder();
});
afterEach(() => folder.remove());

function startWith(pidFiles: string[]): DaemonProcess {
  const script = join(folder.path, 'daemon.mjs');
  const module = new URL('../../dist/daemon/daemon.js', import.meta.url);
  const config = configWith({
    kernel: { kind: 'simulated', path: folder.socket },
    stateDirectory: folder.state,
    pidFiles,
    logWriter: 'thread',
  });
  writeFileSync(
    script,
    `import { runDaemon } from ${JSON.stringify(module)};\nprocess.exit(await runDaemon(${JSON.stringify(config)}));`,
  );
  return folder.run([], script);
}

it('a daemon refused at its second pid file gives the first one back, code 2', async () => {
  const own = join(folder.path, 'own.pid');
  const shared = join(folder.path, 'cmirrord.pid');
  const holder = startWith([shared]);
  await holder.ready();
  const refused = startWith([own, shared]);
  expect((await refused.exited).code).toBe(2);
  expect(refused.stderr).toMatch(/pid-file-held .*cmirrord\.pid/);
  expect(refused.stderr).toContain(`another daemon answers this kernel, pid ${readFileSync(shared, 'utf8').trim()}`);
  expect(existsSync(own)).toBe(false);
  expect(existsSync(shared)).toBe(true);
  expect((await holder.kill('SIGTERM')).code).toBe(0);

  const next = startWith([own, shared]);
  await next.ready();
  expect((await next.kill('SIGTERM')).code).toBe(0);
  expect(existsSync(own) || existsSync(shared)).toBe(false);
});

it('a pid file that cannot be made is not taken for a held one', async () => {
  const daemon = startWith([join(folder.path, 'none', 'pid')]);
  expect((await daemon.exited).code).toBe(2);
  expect(daemon.stderr).toMatch(/pid-file-failed .*none/);
});
