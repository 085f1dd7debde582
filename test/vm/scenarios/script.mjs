/** Scripts of scenarios whose mirrors run on lockstepd: what they share comes before what is theirs. */
import { readFileSync } from 'node:fs';

const part = (name) => readFileSync(new URL(`${name}.sh`, import.meta.url), 'utf8');

/** @param {string} name @param {boolean} long whether the script sees LONG=1: more rounds, more sizes */
export const guestScript = (name, long) => `LONG=${long ? 1 : 0}\n${part('daemon')}\n${part(name)}`;
