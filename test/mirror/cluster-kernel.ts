/** What the kernel of a host does with the log of `mirrorA`, in a group: each step with its answer, and everything that follows. */
import { expect } from 'vitest';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
} from '../../ts/base/ulog-frames.js';
import type { Group } from './cluster-host.js';
import { mirrorA } from './host.js';

export function suspend(group: Group, node: number): void {
  expect(group.ask(node, DM_ULOG_PRESUSPEND, mirrorA)?.error).toBe(0);
  expect(group.ask(node, DM_ULOG_POSTSUSPEND, mirrorA)?.error).toBe(0);
}

export function resume(group: Group, node: number): void {
  expect(group.ask(node, DM_ULOG_RESUME, mirrorA)?.error).toBe(0);
}

export function suspendAndResume(group: Group, node: number): void {
  suspend(group, node);
  resume(group, node);
}

/** It repeats the constructor, as behind a question that found no daemon; RESUME follows. */
export function constructAgain(group: Group, node: number, text: string): void {
  expect(group.host(node).construct(mirrorA, text, { nul: true })?.error).toBe(0);
}

export function reconnect(group: Group, node: number, text: string): void {
  constructAgain(group, node, text);
  resume(group, node);
}

/** The answer to GET_RESYNC_WORK: whether there is some, and the region. */
export function workOf(group: Group, node: number): readonly number[] | undefined {
  return group.ask(node, DM_ULOG_GET_RESYNC_WORK, mirrorA)?.values;
}

/** It recovers everything that it is given; returns the regions. */
export function recoverAll(group: Group, node: number): number[] {
  const given: number[] = [];
  for (;;) {
    const [some, region = 0] = workOf(group, node) ?? [];
    if (some !== 1) return given;
    given.push(region);
    group.ask(node, DM_ULOG_SET_REGION_SYNC, mirrorA, [region, 1]);
    group.ask(node, DM_ULOG_CLEAR_REGION, mirrorA, [region]);
  }
}

/** SIGKILL of its daemon, and the next one. */
export function restartDaemon(group: Group, node: number): void {
  group.killDaemon(node);
  group.settle();
  group.join(node);
  group.settle();
}

/** Its daemon is killed, and its records are lost; the next one is not in the group yet. */
export function loseRecord(group: Group, node: number): void {
  group.part(node, 'process-down');
  group.host(node).powerCut(false);
}
