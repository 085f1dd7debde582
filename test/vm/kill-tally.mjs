/**
 * Whether kills of machines have tested anything: one that leaves equal legs has lost nothing that the log had to know of, so it would
 * pass with any log. Some such are chance; so many in a row are a fault of the test.
 */
export const equalMax = 10;

export class KillTally {
  kills = 0;
  /** Kills that left regions that differed. */
  tested = 0;
  /** Kills of the node that wrote the log device. */
  takenOver = 0;
  #equalInARow = 0;

  /** @param {{ differing: number, wrote: boolean }} kill regions that differed, and whether the node wrote the log */
  count({ differing, wrote }) {
    this.kills += 1;
    if (differing > 0) this.tested += 1;
    if (wrote) this.takenOver += 1;
    this.#equalInARow = differing > 0 ? 0 : this.#equalInARow + 1;
  }

  /** The last `equalMax` kills, and maybe more, have left equal legs. */
  get untested() {
    return this.#equalInARow >= equalMax;
  }
}
