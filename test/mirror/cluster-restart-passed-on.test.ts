/** R11: a restart of recovery that cannot be done on one host is passed on, and the word of it may be lost. */
import { expect, test } from 'vitest';
import { activeLog, RecoveryRestarts, type RestartEnd } from '../../ts/mirror/recovery-restarts.js';
import { type Group, groupWith } from './cluster-host.js';
import { mirrorA } from './host.js';

const core = '512 clustered-core 8 nosync';

/** The restarts of one host, whose device-mapper answers `end`. */
class Restarts {
  readonly later: (() => void)[] = [];
  readonly passes: string[] = [];
  tries = 0;
  end: RestartEnd = 'inactive-table';
  restarts!: RecoveryRestarts;
  readonly group: Group;
  readonly node: number;

  constructor(group: Group, node: number) {
    this.group = group;
    this.node = node;
    this.begin();
  }
  /** A new daemon. */
  begin(): void {
    this.later.length = 0;
    this.restarts = new RecoveryRestarts({
      store: () => true,
      restart: (_uuid, _resumeOnly, ended) => {
        this.tries += 1;
        ended(this.end);
      },
      later: (action) => this.later.push(action),
      passOn: (uuid) => this.passes.push(uuid),
      log: (uuid) => activeLog(this.group.host(this.node).service.logs(), uuid),
      report: () => {},
    });
  }
  /** What the core wants, what is due, and what is passed on. */
  turn(): void {
    const host = this.group.host(this.node);
    for (const uuid of host.restarts.splice(0)) this.restarts.want(uuid);
    for (const action of this.later.splice(0)) action();
    if (!this.group.isMember(this.node)) return;
    for (const uuid of this.passes.splice(0)) host.service.passRestart(uuid, host.nowMs);
  }
}

/** Three hosts, all in sync and told so; 3 dies with a mark: 1 has to restart its recovery and cannot. */
function stalled(between: (group: Group, restarts: Restarts[]) => void): Restarts[] {
  const { group } = groupWith(core, [1, 2, 3]);
  const restarts = [1, 2].map((node) => new Restarts(group, node));
  (restarts[1] as Restarts).end = 'restarted';
  group.host(3).mark(mirrorA, 5);
  group.settle();
  group.cutPower(3);
  group.settle();
  group.host(1).service.confirmDead(3, null, group.host(1).nowMs);
  between(group, restarts);
  for (let round = 0; round < 50; round++) {
    group.settle();
    for (const one of restarts) one.turn();
  }
  expect(group.host(2).log(mirrorA).recoveryRest).toBe('latched');
  return restarts;
}

test('a table is loaded on the lowest host: the next one does it', () => {
  const [, two] = stalled(() => {});
  expect(two?.tries).toBeGreaterThan(0);
});

test('the daemon of the next one is just being started anew', () => {
  const [one, two] = stalled((group, restarts) => {
    group.killDaemon(2);
    for (let round = 0; round < 3; round++) {
      group.settle();
      restarts[0]?.turn();
    }
    group.settle();
    restarts[1]?.begin();
    group.join(2);
  });
  expect(one?.tries).toBeGreaterThan(3);
  expect(two?.tries).toBeGreaterThan(0);
});

test('the daemon of the first was killed in a restart, and a table is loaded there by then', () => {
  const [one, two] = stalled((_group, restarts) => restarts[0]?.restarts.takeUp([mirrorA.uuid]));
  expect(one?.tries).toBeGreaterThan(3);
  expect(two?.tries).toBeGreaterThan(0);
});

test('devices that are there on no host any more: nobody asks without a pause', () => {
  const { group } = groupWith(core, [1, 2, 3]);
  const restarts = [1, 2].map((node) => new Restarts(group, node));
  for (const one of restarts) one.end = 'absent';
  group.host(3).mark(mirrorA, 5);
  group.settle();
  group.cutPower(3);
  group.settle();
  group.host(1).service.confirmDead(3, null, group.host(1).nowMs);
  for (let round = 0; round < 200; round++) {
    group.settle();
    // No pause between two attempts has ended.
    for (const one of restarts) {
      one.later.length = 0;
      one.turn();
    }
  }
  expect(restarts.reduce((sum, one) => sum + one.tries, 0)).toBeLessThan(10);
});
