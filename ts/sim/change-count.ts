/**
 * Counts the changes of something that checkers look at. While it stands still, what they found at their last look still holds, and
 * they need not look again: most steps of a run change next to nothing.
 */
export class ChangeCount {
  value = 0;
}
