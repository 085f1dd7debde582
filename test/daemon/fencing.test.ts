/** R7: who confirms that a lost node is dead, and what never does. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ConfigKey } from '../../ts/daemon/config-keys.js';
import { combinationProblems, effectiveValues } from '../../ts/daemon/config-values.js';
import { dlmSaysDead, fenceSource, PacemakerHistory } from '../../ts/daemon/fence-sources.js';
import { FenceWatch } from '../../ts/daemon/fence-watch.js';
import type { LostHost } from '../../ts/daemon/lost-nodes.js';
import { otherHost } from './daemon-config.js';

const lostMs = Date.parse('2026-03-01 12:00:00 +00:00');
const lost: LostHost = { node: 2, name: 'bravo', boot: 'b00t', lostMs, lostUpMs: 940_000 };
const nowUpMs = 1_000_000;
const nobody = new AbortController().signal;

describe("dlm_controld's record", () => {
  const status = (line: string) =>
    `cluster nodeid 1 quorate 1 ring seq 12 12\ndaemon now 1000 fence_pid 0\nnode 1 M add 10 rem 0 fail 0 fence 0 at 0 0\n${line}\n`;
  const says = (line: string) => dlmSaysDead(status(line), lost, nowUpMs);

  test('fenced after this loss', () => {
    expect(says('node 2 X add 11 rem 941 fail 940 fence 955 at 955 1772366415')).toBe(true);
  });
  test.each([
    ['a member', 'node 2 M add 11 rem 0 fail 0 fence 0 at 0 0'],
    ['gone and not fenced', 'node 2 X add 11 rem 941 fail 940 fence 0 at 0 0'],
    ['fenced before it failed', 'node 2 X add 11 rem 941 fail 940 fence 500 at 500 1'],
    ['a record of an earlier death', 'node 2 X add 11 rem 400 fail 400 fence 420 at 420 1'],
    ['left and did not fail', 'node 2 X add 11 rem 941 fail 0 fence 0 at 0 0'],
    ['another node', 'node 22 X add 11 rem 941 fail 940 fence 955 at 955 1'],
    ['a line that was cut', 'node 2 X add 11 rem 941 fail 940 fence'],
  ])('not: %s', (_what, line) => {
    expect(says(line)).toBe(false);
  });
  test('not without the clock of the daemon', () => {
    expect(dlmSaysDead('node 2 X add 11 rem 941 fail 940 fence 955 at 955 1\n', lost, nowUpMs)).toBe(false);
  });
});

describe("Pacemaker's record", () => {
  const record = (attributes: string) => `<history><fence_event ${attributes}/></history>`;
  const says = (attributes: string) => new PacemakerHistory().saysDead(record(attributes), lost, lostMs + 60_000);
  const fine = 'action="reboot" target="bravo" status="success" delegate="alpha"';

  test('fenced after this loss', () => {
    expect(says(`${fine} completed="2026-03-01 12:00:20 +00:00"`)).toBe(true);
  });
  test.each([
    ['an earlier death', `${fine} completed="2026-02-28 12:00:20 +00:00"`],
    ['still at it', 'action="reboot" target="bravo" status="pending"'],
    ['failed', 'action="off" target="bravo" status="failed" completed="2026-03-01 12:00:20 +00:00"'],
    ['switched on', 'action="on" target="bravo" status="success" completed="2026-03-01 12:00:20 +00:00"'],
    ['another node', 'action="off" target="bravo2" status="success" completed="2026-03-01 12:00:20 +00:00"'],
    ['a time that is none', `${fine} completed="soon"`],
  ])('not: %s', (_what, attributes) => {
    expect(says(attributes)).toBe(false);
  });
});

test("Pacemaker's record of an earlier death, by a clock that was ahead and was set back, never counts", () => {
  const record = (end: string) =>
    `<fence_event action="reboot" target="bravo" status="success" completed="2026-03-01 ${end} +00:00"/>`;
  const history = new PacemakerHistory();
  expect(history.saysDead(record('12:40:00'), lost, lostMs + 1000)).toBe(false);
  expect(history.saysDead(record('12:40:00'), lost, lostMs + 3_000_000)).toBe(false);
  // This loss's own, and one by a host whose clock is ahead.
  expect(history.saysDead(record('12:40:00') + record('12:00:20'), lost, lostMs + 60_000)).toBe(true);
  expect(history.saysDead(record('12:40:00') + record('12:02:00'), lost, lostMs + 60_000)).toBe(true);
  expect(history.saysDead(record('12:40:00'), { ...lost, lostUpMs: 9 }, lostMs + 3_000_000)).toBe(true);
});

describe('a command', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lockstep fencing '));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function script(lines: string): string {
    const path = join(folder, 'confirm');
    writeFileSync(path, `#!/bin/sh\n${lines}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  test('gets name and number; exit code 0 means dead', async () => {
    const path = script(`echo "$@" > "${folder}/asked"`);
    expect(await fenceSource('command', path).ask(lost, nobody)).toMatchObject({ dead: true });
    expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe('bravo 2\n');
  });

  test('anything else is no answer, and says why', async () => {
    const { dead, text } = await fenceSource('command', script('echo not yet >&2; exit 3')).ask(lost, nobody);
    expect([dead, text]).toEqual([false, `${folder}/confirm bravo 2: exit code 3, not yet`]);
    const missing = await fenceSource('command', join(folder, 'nothing')).ask(lost, nobody);
    expect(missing).toMatchObject({ dead: false });
    expect(missing.text).toContain('ENOENT');
    const killed = await fenceSource('command', script('kill -9 $$')).ask(lost, nobody);
    expect(killed.dead).toBe(false);
  });

  test('is asked until it confirms, and the reason is told when it changes', async () => {
    const path = script(
      `n=$(cat "${folder}/n" 2>/dev/null || echo 0); echo $((n + 1)) > "${folder}/n"; [ $n -ge 3 ] || exit 1`,
    );
    const unclear: string[] = [];
    await new Promise<void>((confirmed) => {
      const watch = new FenceWatch(
        fenceSource('command', path),
        {
          dead: ({ node }) => {
            expect(node).toBe(2);
            confirmed();
          },
          unclear: (_lost, text) => unclear.push(text),
        },
        5,
      );
      watch.lost(lost);
      watch.lost(lost);
    });
    expect(unclear).toHaveLength(1);
    expect(readFileSync(join(folder, 'n'), 'utf8')).toBe('4\n');
  });

  test('an answer that comes when the node is back counts for nothing', async () => {
    const path = script(`echo x >> "${folder}/began"; exec sleep 600`);
    const heard: string[] = [];
    const told = { dead: () => heard.push('dead'), unclear: () => heard.push('unclear') };
    const watch = new FenceWatch(fenceSource('command', path), told, 5);
    watch.lost(lost);
    while (!existsNow(join(folder, 'began'))) await new Promise((next) => setTimeout(next, 5));
    watch.settled(2);
    await new Promise((next) => setTimeout(next, 50));
    expect(heard).toEqual([]);
    watch.close();
  });
});

describe('configuration', () => {
  const problems = (...values: [ConfigKey, string][]) =>
    combinationProblems(
      effectiveValues(new Map(values.map(([key, value]) => [key, { value, source: 'lockstep.toml:3' }])), otherHost),
    );

  test('a command has a path, and a path a command', () => {
    expect(problems(['fencing.confirm', 'command'], ['fencing.command', '/sbin/is-dead'])).toEqual([]);
    expect(problems(['fencing.confirm', 'dlm'])).toEqual([]);
    expect(problems(['fencing.confirm', 'command'])).toEqual([
      'lockstep.toml:3: fencing.confirm = "command" needs fencing.command',
    ]);
    expect(problems(['fencing.command', '/sbin/is-dead'])).toEqual([
      'lockstep.toml:3: fencing.command needs fencing.confirm = "command"',
    ]);
  });
});

function existsNow(path: string): boolean {
  try {
    return readFileSync(path).length > 0;
  } catch {
    return false;
  }
}
