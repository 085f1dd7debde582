/** Types of corosync-cluster.mjs, for the tests. */
export function whyNoCluster(): string;
export function sleep(ms: number): Promise<void>;
export function until(what: string, condition: () => boolean, limitMs?: number): Promise<void>;
export function addressOf(node: number): string;

export class CorosyncCluster {
  static start(
    count: number,
    configurationOf?: (count: number) => string,
    /** False: it has no quorum provider, and nobody says who is there. */
    options?: { counted: boolean },
  ): Promise<CorosyncCluster>;
  command(number: number): string[];
  startCorosync(number: number): void;
  killCorosync(number: number, signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  pauseCorosync(number: number, paused: boolean): void;
  partition(...sides: readonly (readonly number[])[]): void;
  heal(): void;
  members(number: number): number[];
  groups(number: number): string;
  settled(numbers: readonly number[]): Promise<void>;
  close(): void;
}
