/** Types of budgets.mjs, for the tests. */
export const budgets: Record<string, Record<string, { aim: number; direction: string; floor: number }>>;
export const since: Record<string, string>;
export function missingKeys(
  scenario: string,
  report: { skipped?: string; results: { key: string; skipped?: string }[]; ratios: Record<string, unknown> },
): string[];
export function verdict(ratio: { value: number; aim: number; direction: string; floor: number; noise: number }): string;
