/**
 * Adds up what many runs did, and says what never happened: a fault that was never tried, a way of a log's life that was
 * never gone, a rule that was never looked at. A long run in which one of them stands at 0 proves less than it claims.
 */
import { checkedRules, clusterRules } from './checks/violation.js';
import { clusterFaultKinds, hostsMinOf } from './cluster/faults.js';
import { wantedMoments, wantedRestarts } from './cluster/moments.js';
import { faultKinds } from './faults.js';
import type { RunResult } from './run.js';

/** Ways and events that a long run must have seen. */
const wanted: readonly string[] = [
  ...faultKinds.map((kind) => `fault ${kind.name}`),
  'create answered',
  'resume answered',
  'resume failed',
  'presuspend answered',
  'postsuspend answered',
  'destroy answered',
  'pending -> resuming',
  'resuming -> active',
  'active -> halted',
  'halted -> leaving',
  'leaving -> pending',
  'write to all legs',
  'write to the default leg',
  'region recovered',
  'recovery failed',
  'cut-with-writes-in-flight',
  'cut-left-legs-differing',
  'request-lost',
  'request-twice',
  'reply-lost',
  'reply-late',
  'reconnect',
  'report orphaned',
  'late-write-landed',
];

/** What runs of so many hosts at most must have seen. */
function wantedOfClusters(hostsMax: number): string[] {
  return clusterFaultKinds.filter((kind) => hostsMinOf(kind) <= hostsMax).map((kind) => `fault ${kind.name}`);
}

/** Fewer seeds than this do not reach everything: of one host, of several. */
const completeSeedsMin = 500;
const completeClustersMin = 200;
/** Of seeds of chance: of as many the rarest happens ten times, of several hosts and with restarts. */
const freshClustersMin = 600;
const freshRestartsMin = 400;
/** A load lasts milliseconds: that something dies in the middle of one is met in a run of hundreds, or just not. */
const completeMomentsMin = 1000;

export class Summary {
  runs = 0;
  /** Of several hosts. */
  clusters = 0;
  /** Of the largest. */
  hostsMax = 1;
  /** Of those, with restarts of recovery. */
  restarts = 0;
  steps = 0;
  requests = 0;
  virtualMs = 0;
  readonly counts = new Map<string, number>();
  readonly evaluations = new Map<string, number>();
  readonly failures: RunResult[] = [];

  add(result: RunResult): void {
    this.runs += 1;
    if (result.hosts > 1) this.clusters += 1;
    this.hostsMax = Math.max(this.hostsMax, result.hosts);
    if (result.restarts) this.restarts += 1;
    this.steps += result.steps;
    this.requests += result.requests;
    this.virtualMs += result.virtualMs;
    merge(this.counts, result.counts);
    merge(this.evaluations, result.evaluations);
    if (result.failure !== null) this.failures.push(result);
  }

  /** What stands at 0 and must not; empty for a run that is too short to tell. `fresh`: its seeds were drawn. */
  missing(fresh = false): string[] {
    const alone = this.runs - this.clusters >= completeSeedsMin;
    const clusters = this.clusters >= (fresh ? freshClustersMin : completeClustersMin);
    const restarts = this.restarts >= (fresh ? freshRestartsMin : completeClustersMin);
    const names = [
      ...(alone ? wanted : []),
      ...(clusters ? wantedOfClusters(this.hostsMax) : []),
      ...(this.clusters >= completeMomentsMin ? wantedMoments : []),
      ...(restarts ? wantedRestarts : []),
    ];
    const rules = checkedRules.filter((rule) => {
      if (rule === 'R11-resumed') return restarts;
      return clusterRules.some((other) => other === rule) ? clusters : alone;
    });
    return [
      ...names.filter((name) => !this.counts.has(name)),
      ...rules.filter((rule) => !this.evaluations.has(rule)).map((rule) => `checker ${rule}`),
    ];
  }

  lines(): string[] {
    const seeds = `${this.runs} seeds (${this.clusters} clusters), ${this.requests} requests, ${this.steps} steps, ${(this.virtualMs / 3.6e6).toFixed(1)} simulated hours`;
    const faults = [...faultKinds, ...clusterFaultKinds].map((kind) => `fault ${kind.name}`);
    const others = [...this.counts.keys()].filter((name) => !name.startsWith('fault ')).sort();
    return [
      seeds,
      'faults:',
      ...faults.map((name) => row(name.slice('fault '.length), this.counts.get(name) ?? 0)),
      'events and transitions:',
      ...others.map((name) => row(name, this.counts.get(name) ?? 0)),
      'checkers, evaluations:',
      ...checkedRules.map((rule) => row(rule, this.evaluations.get(rule) ?? 0)),
    ];
  }
}

function row(name: string, count: number): string {
  return `  ${name.padEnd(34)} ${String(count).padStart(12)}`;
}

function merge(into: Map<string, number>, from: ReadonlyMap<string, number>): void {
  for (const [name, count] of from) into.set(name, (into.get(name) ?? 0) + count);
}
