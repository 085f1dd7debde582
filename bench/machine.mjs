/** What a figure belongs to: the machine, its kernel and load, and the commit. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, getPriority, loadavg, release, totalmem } from 'node:os';
import { root } from './programs.mjs';

const governorFile = '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor';
const virtual = () => /\bhypervisor\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));

export function describeMachine() {
  return {
    cpu: cpus()[0]?.model.trim(),
    cores: cpus().length,
    virtual: virtual(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    governor: existsSync(governorFile) ? readFileSync(governorFile, 'utf8').trim() : 'none',
    kernel: release(),
    node: process.version,
    nice: getPriority(),
    load: loadavg().map((each) => Number(each.toFixed(2))),
  };
}

/** Time of all processors since the boot, and what of it the hypervisor gave to somebody else. */
export function processorTime() {
  const times = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))[1].split(' ').map(Number);
  // user, nice, system, idle, iowait, irq, softirq, steal; what follows is in user's.
  return { all: times.slice(0, 8).reduce((sum, each) => sum + each, 0), stolen: times[7] };
}

function git(...args) {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}

/** The commit, and whether the tree was as committed. */
export function describeCommit() {
  const time = new Date().toISOString();
  try {
    return { commit: git('rev-parse', '--short', 'HEAD'), clean: git('status', '--porcelain') === '', time };
  } catch {
    return { commit: 'unknown', clean: false, time };
  }
}
