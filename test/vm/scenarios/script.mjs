/** Scripts of scenarios, with what they are told of the form they run in. */
import { readFileSync } from 'node:fs';

/** @param {string} name @param {boolean} long whether the script sees LONG=1: more rounds, more sizes */
export const guestScript = (name, long) =>
  `LONG=${long ? 1 : 0}\n${readFileSync(new URL(`${name}.sh`, import.meta.url), 'utf8')}`;
