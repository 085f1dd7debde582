/** Types of html-report.mjs, for the tests. */
export interface Scenario {
  title: string;
  failed?: string;
  skipped?: string;
  results: { key: string; skipped?: string }[];
  ratios: Record<string, { value: number; aim: number; direction: string; floor: number; noise: number }>;
}
export interface Report {
  quick: boolean;
  commit: string;
  clean: boolean;
  scenarios: Record<string, Scenario>;
}
export function htmlReport(report: Report): string;
