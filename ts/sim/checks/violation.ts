/** A rule that did not hold, and how often each checker has looked. */

export class Violation extends Error {
  readonly rule: string;

  constructor(rule: string, text: string) {
    super(`${rule}: ${text}`);
    this.name = 'Violation';
    this.rule = rule;
  }
}

/**
 * The kernel did what no daemon can make good: the run ends and proves nothing. Counted, and named in the summary.
 */
export class Inconclusive extends Error {}

/** Rules that only several hosts can break. */
export const clusterRules = [
  'R1-members',
  'R4-flush-waits',
  'R4-written-while-recovered',
  'R4-recovered-under-writer',
  'R6-one-recoverer',
  'R7-known-dead',
  'R8-one-writer',
  'R8-let-in',
  'R10-suspend',
  'R10-found-out',
  'R11-resumed',
  'R13-flush',
  'R13-refused',
  'R13-hand-out',
  'R13-clean',
  'clean-anywhere',
  'owner-forgotten',
  'copies-agree',
] as const;

/** Rules with a checker of their own; the summary fails when one was never evaluated. */
export const checkedRules = [
  'R1-flush-disk',
  'R1-flush-core',
  'R2-store-before-reply',
  'R2-held-after-kill',
  'R2-draining',
  'R2-orphan-leaves',
  'R2-no-false-orphan',
  'R3-marks-unknown',
  'R3-reconnect',
  'R4-hand-out',
  'R5-sticky',
  'R5-sticky-ends',
  'R6-assignment',
  'R9-bytes',
  'R9-session',
  'R9-resume-reads',
  'R10-halted',
  'R12-latch',
  'R16-flush-failed',
  'R16-status',
  'R16-healed',
  'R17-sizes',
  'R17-bounds',
  'R18-hint',
  ...clusterRules,
  'in-sync-answer',
  'clean-under-writer',
  'clean-under-mark',
  'clean-on-disk-under-writer',
  'clean-while-legs-differ',
  'in-sync-while-legs-differ',
  'identity',
  'refused-request',
  'one-answer',
  'resync-only-dirty',
  'log-clean-at-the-end',
  'legs-identical',
  'acknowledged-kept',
  'everything-answered',
] as const;
export type CheckedRule = (typeof checkedRules)[number];

export class Evaluations {
  readonly #counts = Object.fromEntries(checkedRules.map((rule) => [rule, 0])) as Record<CheckedRule, number>;

  /** Rules that were evaluated, and how often. */
  get counts(): ReadonlyMap<string, number> {
    return new Map(Object.entries(this.#counts).filter(([, count]) => count > 0));
  }

  /** Counts one evaluation; throws when the rule does not hold. `text` is made only then. */
  check(rule: CheckedRule, holds: boolean, text: () => string): void {
    this.#counts[rule] += 1;
    if (!holds) throw new Violation(rule, text());
  }

  /** Counts evaluations that held: for loops that run after every step. */
  held(rule: CheckedRule, times = 1): void {
    this.#counts[rule] += times;
  }
}
