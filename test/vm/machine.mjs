/**
 * Runs one bash script in a throw-away virtual machine: this machine's own userland on an unmodified Debian kernel.
 *
 * What the script sees: the host's files, repository and Node included, at their own paths; disks as /dev/vda,
 * /dev/vdb...; root. What it writes is gone afterwards, but for the disks and for files in $RESULTS, a folder of this
 * machine. Its output comes back line by line, its exit status at the end.
 *
 * A machine can be stopped on purpose (`stop`): killed, or with its power cut; another one can boot on the same disks.
 * Several can run at once, on a network and with disks that they share, and be told what to do (`guest`).
 *
 * Or a person sits at it (`terminal`): then QEMU has this process's own terminal, and the script's words go beside it.
 *
 * A limit on time is a limit on hangs: it is far above what a run takes, and when it strikes the result says which
 * step was under way and what the kernel said last.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  appendFileSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Disks } from './disks.mjs';
import { buildInitramfs } from './initramfs.mjs';
import { cacheFolder, prepareKernel, staticBusybox } from './kernel.mjs';

const repository = realpathSync(fileURLToPath(new URL('../..', import.meta.url)));
const guestFile = (name) => readFileSync(new URL(`guest/${name}`, import.meta.url), 'utf8');

/** How long a boot may take before it counts as hung; usual are 5 s, and 15 s on a busy machine. */
const bootLimitMs = 150_000;
/** Emulated: an old one, a sixth cheaper than all that can be emulated; its random numbers make the boot wait for nobody. */
const emulatedCpu = 'Nehalem,+rdrand';
/** Descriptor of QEMU for what the script prints where its standard output is a person's terminal. */
const wordsFd = 3;
const statusLine = /^lockstep-vm-status (\d+)$/;

/** Linux counts a process's CPU time in these for everybody who asks. */
const ticksPerSecond = 100;

const running = new Set();
const folders = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/**
 * @typedef {object} Stop kills the machine without warning
 * @property {'kill' | 'cut'} how cut: the power of its disks fails too
 * @property {RegExp} [line] when the guest prints such a line; default: its first line
 * @property {number} [afterMs] that much later
 * @property {number} [seed] of the cut
 */

/**
 * @param {object} options
 * @param {string} options.script bash, run after guest/lib.sh and guest/mirror.sh
 * @param {(number | object)[]} [options.disksMiB] scratch disks, as disks.mjs takes them
 * @param {Disks} [options.disks] instead: disks that outlive this machine; the caller removes them
 * @param {Record<string, string>} [options.environment] more variables for the script
 * @param {number} [options.memoryMiB] 1536 by default
 * @param {number} options.limitMs limit on hangs, from the start of the script; Infinity: a person decides
 * @param {boolean} [options.terminal] standard input and output of this process are the guest's /dev/hvc0
 * @param {boolean} [options.systemd] this machine's systemd boots the guest, runs the script as a service, and shuts the guest down
 *   when it has ended; otherwise nothing runs but the script
 * @param {Stop} [options.stop]
 * @param {import('./guest.mjs').Guest} [options.guest] gives orders to the running machine, and kills it
 * @param {{ network: import('./network.mjs').Network, number: number }} [options.network] its eth0, and which machine there it is
 * @param {number} [options.cpus] 2 by default
 * @param {string} options.results folder for what comes back: the guest's $RESULTS, its output, its console
 * @param {(line: string, cpuSeconds: number) => void} [options.onLine] each line, and what the machine has used by then
 * @param {(text: string) => void} [options.say]
 * @param {(disks: string[], results: string) => Promise<void> | void} [options.inspect] looks at the disks after a
 *   script that ended with 0, or a stop
 * @returns {Promise<{ status: number, reason: string, stopped: boolean, seconds: number, cpuSeconds: number, accelerator: string,
 *   results: string, cut: { unflushedWrites: number, lostSectors: number }[] }>} `reason` says why there is no status of
 *   the script; then status is -1. A machine that was stopped has no status and no reason. `cut`: of each disk
 */
export async function runInMachine(options) {
  const { disksMiB = [], say = () => {}, results } = options;
  const kernel = prepareKernel(say);
  const accelerator = kvmBoots(kernel, say) ? 'kvm' : 'tcg';
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-vm-'));
  folders.add(folder);
  rmSync(results, { recursive: true, force: true });
  mkdirSync(results, { recursive: true });
  const disks = options.disks ?? new Disks(disksMiB);
  try {
    writeFileSync(join(folder, 'initramfs'), initramfs(kernel, options));
    await disks.start();
    const network = (await options.network?.network.arguments(options.network.number)) ?? ['-nic', 'none'];
    const result = await boot({ kernel, folder, disks, network, accelerator, options });
    let cut = [];
    if (result.stopped && options.stop?.how === 'cut')
      cut = await disks.cut(options.stop.seed ?? 1, result.stoppedAtMs);
    else await disks.settle();
    if (result.status === 0 || result.stopped) await options.inspect?.(disks.paths, results);
    return { ...result, accelerator, results, cut };
  } finally {
    if (disks !== options.disks) disks.remove();
    rmSync(folder, { recursive: true, force: true });
    folders.delete(folder);
  }
}

function initramfs(kernel, { script, environment = {}, systemd = false }) {
  const variables = {
    VM_MODULES: kernel.modules,
    VM_FOLDER: repository,
    NODE: realpathSync(process.execPath),
    VM_SYSTEMD: systemd ? 'yes' : '',
    ...environment,
  };
  const exported = Object.entries(variables).map(([name, value]) => `export ${name}=${quoted(value)}\n`);
  const files = {
    init: guestFile('init'),
    start: guestFile('start'),
    service: guestFile('service'),
    environment: exported.join(''),
    scenario: `${guestFile('lib.sh')}\n${guestFile('mirror.sh')}\n${script}\n`,
  };
  return buildInitramfs({ modules: kernel.modules, busybox: staticBusybox(), files });
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
/** A value inside a QEMU option list. */
const comma = (text) => text.replaceAll(',', ',,');

function qemuArguments({ image, initrd, accelerator, console, append = '' }) {
  return [
    ...['-M', 'q35', '-accel', accelerator, '-cpu', accelerator === 'kvm' ? 'host' : emulatedCpu],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-monitor', 'none', '-no-reboot'],
    ...['-serial', console, '-kernel', image, '-initrd', initrd],
    ...['-append', `console=ttyS0 loglevel=4 panic=-1 mitigations=off random.trust_cpu=1 no_timer_check ${append}`],
  ];
}

/** Ctrl-C is a byte for the guest, and nothing to QEMU. */
const silentStdio = (id) => `stdio,id=${id},signal=off`;

function machineArguments({ kernel, folder, disks, network, accelerator, options }) {
  return [
    ...qemuArguments({
      image: kernel.image,
      initrd: join(folder, 'initramfs'),
      accelerator,
      console: `file:${join(options.results, 'console')}`,
    }),
    ...['-m', `${options.memoryMiB ?? 1536}M`, '-smp', String(options.cpus ?? 2), '-device', 'virtio-rng-pci'],
    ...['-virtfs', 'local,path=/,mount_tag=host,readonly=on,security_model=none,multidevs=remap'],
    ...['-virtfs', `local,path=${comma(options.results)},mount_tag=results,security_model=none`],
    ...[
      '-device',
      'virtio-serial-pci',
      '-chardev',
      options.terminal ? `socket,id=out,fd=${wordsFd}` : silentStdio('out'),
    ],
    ...['-device', 'virtserialport,chardev=out,name=lockstep.out'],
    ...(options.terminal ? ['-chardev', silentStdio('terminal'), '-device', 'virtconsole,chardev=terminal'] : []),
    ...disks.arguments(),
    ...network,
  ];
}

/**
 * Boots it. A machine of which nothing is heard until the boot's limit is killed and booted once more: what the kernel
 * or QEMU hung in came before anything of this project ran.
 */
function boot(machine, again = false) {
  const { options } = machine;
  const { stop, results, guest, say = () => {} } = options;
  return new Promise((resolve) => {
    const started = performance.now();
    // Standard input stays open and silent: at its end QEMU would unplug the port, and the guest's writes wait.
    const stdio = options.terminal ? ['inherit', 'inherit', 'pipe', 'pipe'] : ['pipe', 'pipe', 'pipe'];
    const child = spawn('qemu-system-x86_64', machineArguments(machine), { stdio });
    running.add(child);
    let status = -1;
    let stopped = false;
    let stoppedAtMs = 0;
    let step = '';
    let reason = '';
    let complaints = '';
    let cpuSeconds = 0;
    const measure = () => {
      cpuSeconds = cpuSecondsOf(child.pid) ?? cpuSeconds;
    };
    let timer = null;
    let stopTimer = null;
    const limit = (ms, what) => {
      clearTimeout(timer);
      if (ms === Infinity) return;
      timer = setTimeout(() => {
        measure();
        reason = `hung: ${what()} took more than ${ms / 1000} s`;
        child.kill('SIGKILL');
      }, ms);
    };
    const stopNow = () => {
      if (status >= 0 || reason) return;
      measure();
      stopped = true;
      stoppedAtMs = Date.now();
      child.kill('SIGKILL');
    };
    guest?.started(results, (text) => child.stdin.write(text), stopNow);
    // It may have been killed right before an order.
    child.stdin?.on('error', () => {});
    limit(bootLimitMs, () => 'the boot');
    let first = true;
    createInterface({ input: options.terminal ? child.stdio[wordsFd] : child.stdout }).on('line', (line) => {
      if (first) limit(options.limitMs, () => step || 'the script');
      first = false;
      measure();
      appendFileSync(join(results, 'output'), `${line}\n`);
      const end = line.match(statusLine);
      if (end) status = Number(end[1]);
      else if (!guest?.heard(line)) {
        step = line.match(/^@begin (.*)$/)?.[1] ?? step;
        if (stop && stopTimer === null && (stop.line?.test(line) ?? true))
          stopTimer = setTimeout(stopNow, stop.afterMs ?? 0);
        options.onLine?.(line, cpuSeconds);
      }
    });
    child.stderr.on('data', (chunk) => {
      complaints = (complaints + chunk).slice(-4000);
    });
    child.on('error', (error) => {
      complaints += error.message;
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      clearTimeout(stopTimer);
      running.delete(child);
      if (first && reason && !again) {
        say(`the machine did not boot, and used ${cpuSeconds.toFixed(1)} s of CPU over it: once more (${reason})`);
        resolve(boot(machine, true));
        return;
      }
      if (status < 0 && !reason && !stopped) {
        reason = `the machine ended without a status (QEMU exit ${code}) ${complaints.trim()}`;
      }
      if (reason) reason += `\nlast lines of its console:\n${lastLines(join(results, 'console'))}`;
      const seconds = (performance.now() - started) / 1000;
      guest?.ended(reason || (stopped ? 'killed' : `status ${status}`));
      resolve({ status, reason, stopped, stoppedAtMs, seconds, cpuSeconds });
    });
  });
}

/** User and system time of all its threads; null when it is gone. */
function cpuSecondsOf(pid) {
  try {
    // Behind the name, which may hold anything: state is the first field, user and system time the 12th and 13th.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  } catch {
    return null;
  }
}

function lastLines(path) {
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').slice(-25).join('\n') : '';
}

/**
 * Whether KVM boots this kernel. Having /dev/kvm does not mean that: some nested hypervisors run only kernels made
 * for them. Tried once a boot of this machine; the answer lies in the cache.
 */
function kvmBoots(kernel, say) {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    return false;
  }
  const cache = cacheFolder();
  const answer = join(cache, `kvm-${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}`);
  if (!existsSync(answer)) {
    say('trying whether KVM boots a stock kernel here (once a boot, up to 10 s)');
    for (const name of readdirSync(cache)) if (name.startsWith('kvm-')) rmSync(join(cache, name));
    const folder = mkdtempSync(join(tmpdir(), 'lockstep-vm-'));
    try {
      const initrd = join(folder, 'initramfs');
      const files = { init: guestFile('init'), 'only-boot': '' };
      writeFileSync(initrd, buildInitramfs({ modules: kernel.modules, busybox: staticBusybox(), files }));
      const args = qemuArguments({ image: kernel.image, initrd, accelerator: 'kvm', console: 'stdio' });
      const { stdout } = spawnSync('qemu-system-x86_64', [...args, '-nic', 'none', '-m', '512M'], {
        encoding: 'utf8',
        timeout: 10_000,
        killSignal: 'SIGKILL',
      });
      writeFileSync(answer, stdout?.includes('lockstep-vm-booted') ? 'yes' : 'no');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return readFileSync(answer, 'utf8') === 'yes';
}
