/** What a simulated administrator does for mirrors that wait for him. */
import { afterEach, expect, test } from 'vitest';
import { Simulation } from '../../ts/sim/simulation.js';

let sim: Simulation | null = null;
afterEach(() => {
  sim?.close();
  sim = null;
});

const msMax = 1_000_000;

function until(run: Simulation, done: () => boolean): void {
  while (!done()) if (!run.step() || run.nowMs > msMax) throw new Error('it does not come to that');
}

test('R3: a kernel at rest whose daemon has lost its state is asked for its status, and its mirror suspended', () => {
  sim = new Simulation(1, 2);
  const run = sim;
  const [host] = run.hosts;
  if (host === undefined) throw new Error('no host');
  for (const one of run.hosts) one.boot(true);
  const uuids = [...run.shared.keys()];
  const served = () => run.hosts.every((one) => uuids.every((uuid) => one.follows(uuid)));
  until(run, served);
  // Its kernel has heard that all is in sync and asks for nothing any more.
  const settledMs = run.nowMs + 60_000;
  until(run, () => run.nowMs > settledMs);
  host.daemon?.die();
  host.loseState();
  host.startDaemon();
  const quietMs = run.nowMs + 60_000;
  until(run, () => run.nowMs > quietMs);
  expect(served()).toBe(false);
  for (const one of run.hosts) one.administrator.supervise();
  until(run, () => served() && run.hosts.every(({ daemon }) => uuids.every((uuid) => daemon?.settled(uuid))));
});

test('R11: where daemons restart no recovery, a mirror is suspended and resumed when its kernel asks for no work', () => {
  sim = new Simulation(1, 2);
  const run = sim;
  for (const one of run.hosts) one.boot(true);
  const uuids = [...run.shared.keys()];
  const states = () => run.hosts.flatMap((one) => uuids.map((uuid) => one.liveState(uuid)));
  const inSync = () => states().every((state) => state?.map.syncCount === state?.geometry.regionCount);
  const quietMs = 120_000;
  until(run, () => inSync() && run.nowMs > quietMs);
  for (const state of states()) state?.map.inner.setInSync(0, false);
  until(run, () => run.nowMs > 2 * quietMs);
  expect(inSync()).toBe(false);
  for (const one of run.hosts) one.administrator.supervise();
  until(run, inSync);
});
