/** Types of html-report.mjs, for the tests. */
export interface Apart {
  machine: object;
  commit: string;
  clean: boolean;
  time: string;
  quick: boolean;
}
export interface Scenario {
  title: string;
  /** Of a scenario that was measured in a run of its own. */
  apart?: Apart;
  failed?: string;
  skipped?: string;
  results: { key: string; skipped?: string }[];
  ratios: Record<string, { value: number; aim: number; direction: string; floor: number; noise: number }>;
}
export interface Report {
  quick: boolean;
  commit: string;
  clean: boolean;
  time: string;
  scenarios: Record<string, Scenario>;
}
export function htmlReport(report: Report): string;
