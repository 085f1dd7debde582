/**
 * A host of `corosync-cluster.mjs` on which Pacemaker runs and decides what does: the daemon by the resource agent of the package, and behind
 * it a mirror that writes. pacemaker-host.sh says what stands where.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DaemonStatus } from '../../ts/admin/daemon-status.js';
import { askStatus } from './cluster-host.js';
import { type CorosyncCluster, sleep, until } from './corosync-cluster.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const script = join(root, 'test/cluster/pacemaker-host.sh');
const limitMs = 180_000;

/** Why no Pacemaker can run here; empty: it can. */
export function whyNoPacemaker(): string {
  const programs = { pacemakerd: 'pacemaker', crm_standby: 'pacemaker-cli-utils' };
  const missing = Object.entries(programs).filter(
    ([name]) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0,
  );
  const names = missing.map(([, name]) => name);
  if (!existsSync('/usr/lib/ocf/lib/heartbeat/ocf-shellfuncs')) names.push('resource-agents');
  return names.length > 0 ? `not installed: ${names.join(', ')}` : '';
}

/** What an agent's operation says in the configuration of the cluster. */
const operation = (resource: string, name: string, seconds: number, timeout: number, more = '') =>
  `<op id="${resource}-${name}-${seconds}" name="${name}" interval="${seconds}s" timeout="${timeout}s">${more}</op>`;
const clone = (id: string, provider: string, type: string, operations: string) =>
  `<clone id="${id}-clone"><meta_attributes id="${id}-meta"><nvpair id="${id}-interleave" name="interleave" value="true"/></meta_attributes>` +
  `<primitive id="${id}" class="ocf" provider="${provider}" type="${type}"><operations>${operations}</operations></primitive></clone>`;
const deep =
  '<instance_attributes id="deep"><nvpair id="deep-level" name="OCF_CHECK_LEVEL" value="10"/></instance_attributes>';

/** As pcs writes down the README's words, with what the agent's own meta-data says of its operations. */
const sections = {
  resources: `<resources>${clone(
    'mirror-log',
    'lockstep',
    'mirror-log',
    operation('log', 'start', 0, 60) +
      operation('log', 'stop', 0, 30) +
      operation('log', 'monitor', 10, 20) +
      operation('log', 'monitor', 60, 30, deep),
  )}${clone(
    'mirrors',
    'lockstep-test',
    'mirror',
    operation('mirrors', 'start', 0, 120) +
      operation('mirrors', 'stop', 0, 120) +
      operation('mirrors', 'monitor', 10, 20),
  )}</resources>`,
  constraints:
    '<constraints><rsc_order id="order" first="mirror-log-clone" then="mirrors-clone" kind="Optional" first-action="start" then-action="start"/>' +
    '<rsc_colocation id="together" rsc="mirrors-clone" with-rsc="mirror-log-clone" score="INFINITY"/></constraints>',
};

export class PacemakerHost {
  readonly node: number;
  readonly name: string;
  readonly #cluster: CorosyncCluster;
  readonly #folder: string;
  #boots = 0;
  #child: ChildProcess | null = null;
  /** Process 1 of the host's own processes. */
  #inner = 0;

  constructor(cluster: CorosyncCluster, node: number, folder: string) {
    this.node = node;
    this.name = `node${node}`;
    this.#cluster = cluster;
    this.#folder = folder;
    this.configure();
  }

  configure(more = ''): void {
    const text = `transport = "corosync"\n${more}[fencing]\nconfirm = "pacemaker"\ninterval_ms = 500\n`;
    writeFileSync(join(this.#folder, `lockstep-${this.node}.toml`), text);
  }

  /** Corosync runs already at the first boot. */
  async boot(): Promise<void> {
    this.#boots += 1;
    this.#cluster.startCorosync(this.node);
    const [program = '', ...words] = this.#cluster.command(this.node);
    const own = ['unshare', '-fpm', '--kill-child', '--mount-proc', '--propagation', 'private'];
    const given = [this.#folder, String(this.node), String(this.#boots), root, process.execPath];
    const child = spawn(program, [...words, ...own, 'sh', script, ...given], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    this.#child = child;
    const children = `/proc/${child.pid}/task/${child.pid}/children`;
    await until(
      `${this.name} boots`,
      () => existsSync(children) && Number(readFileSync(children, 'utf8')) > 0,
      limitMs,
    );
    this.#inner = Number(readFileSync(children, 'utf8'));
    await until(`${this.name}: Pacemaker is up`, () => /partition with quorum/.test(this.try('crm_mon -1')), limitMs);
  }

  get running(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The power is cut. */
  async die(): Promise<void> {
    const child = this.#child;
    child?.kill('SIGKILL');
    await this.#cluster.killCorosync(this.node);
    await until(`the end of ${this.name}`, () => !this.running && !existsSync(`/proc/${this.#inner}`), limitMs);
  }

  /** As systemd stops Pacemaker: its resources end first. */
  async shutDown(): Promise<void> {
    this.run('kill -TERM $(pidof pacemakerd)');
    await until(`${this.name}: Pacemaker ends`, () => !this.running, limitMs);
  }

  /** Words for a shell on the host; throws when they fail. */
  run(words: string): string {
    const argv = ['-t', String(this.#inner), '-n', '-m', '-u', '-p', '--', 'sh', '-c', words];
    return execFileSync('nsenter', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  }

  /** The same; nothing when they fail. */
  try(words: string): string {
    try {
      return this.run(words);
    } catch {
      return '';
    }
  }

  /** A path of the host, as this process sees it. */
  #at(path: string): string {
    return join('/proc', String(this.#inner), 'root', path);
  }

  file(path: string): string {
    const found = this.#at(path);
    return existsSync(found) ? readFileSync(found, 'utf8').trim() : '';
  }

  /** To all hosts. */
  sayResources(): void {
    this.run('crm_attribute -n stonith-enabled -v false');
    for (const [scope, text] of Object.entries(sections))
      this.run(`cibadmin --replace --scope ${scope} --xml-text '${text}'`);
  }

  /** Until Pacemaker has nothing more to do. */
  settle(): void {
    this.run('crm_resource --wait --timeout=120');
  }

  get daemonPid(): number {
    return Number(this.try('kill -0 $(cat /run/cmirrord.pid) && cat /run/cmirrord.pid'));
  }

  /** What the mirror has done since the boot. */
  get story(): string {
    return this.file('/run/mirror.story').replaceAll('\n', ', ');
  }

  /** Of the mirror since its start. */
  get writes(): number {
    return Number([...this.file('/run/mirror.said').matchAll(/"writes":(\d+)/g)].at(-1)?.[1] ?? 0);
  }

  /** Of the agent: how often Pacemaker has counted one of them. */
  get failures(): number {
    return Number(/mirror-log: .*fail-count=(\d+)/.exec(this.run(`crm_mon -1f --node ${this.name}`))?.[1] ?? 0);
  }

  status(): Promise<DaemonStatus | null> {
    return askStatus(this.#at('/run/lockstep/control.sock'));
  }

  async stands(what: string, wanted: (status: DaemonStatus) => boolean): Promise<DaemonStatus> {
    let last: DaemonStatus | null = null;
    for (const end = Date.now() + limitMs; Date.now() < end; await sleep(200)) {
      last = (this.#inner > 0 ? await this.status() : null) ?? last;
      if (last !== null && wanted(last)) return last;
    }
    throw new Error(`${this.name}: ${what}: not after ${limitMs / 1000} s\n${JSON.stringify(last)}\n${this.report()}`);
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    try {
      await until(`${this.name}: ${what}`, condition, limitMs);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.report()}`);
    }
  }

  /** Its mirror writes. */
  goesOn(): Promise<void> {
    const before = this.writes;
    return this.until('the mirror writes', () => this.writes > before + 20);
  }

  /** For whoever looks for the cause of something. */
  report(): string {
    const log = this.try("grep -vE '(info|debug):' /var/log/pacemaker/pacemaker.log | tail -n 60");
    return [this.try('crm_mon -1rf'), log, this.file('/run/daemon.log').slice(-4000), this.story].join('\n---\n');
  }
}
