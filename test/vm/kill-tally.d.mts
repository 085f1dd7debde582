export const equalMax: number;
export class KillTally {
  kills: number;
  tested: number;
  takenOver: number;
  count(kill: { differing: number; wrote: boolean }): void;
  get untested(): boolean;
}
