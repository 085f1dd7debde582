/** Types of html-report.mjs, for the tests. */
export interface Report {
  quick: boolean;
  commit: string;
  scenarios: Record<string, { title: string; results: object[]; ratios: Record<string, { value: number }> }>;
}
export function htmlReport(report: Report): string;
