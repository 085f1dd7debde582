/** Types of budgets.mjs, for the tests. */
export const budgets: Record<string, Record<string, { aim: number; direction: string; floor: number }>>;
export function verdict(ratio: { value: number; aim: number; direction: string; floor: number; noise: number }): string;
