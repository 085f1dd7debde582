/** Types of readme.mjs, for the tests. */
import type { Report } from './html-report.mjs';

export function lastReport(): { name: string; report: Report } | null;
export function readmeTable(last: { name: string; report: Report }): string;
export function withTable(text: string, table: string): string;
