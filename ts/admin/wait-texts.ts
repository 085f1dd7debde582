/** What requests of this host wait for, in words: for `lockstep status`, and for the event of a wait that lasts. Pure. */
import type { LogWait, WaitCode } from './daemon-status.js';
import type { ResyncWait } from './status-view.js';

const texts: Readonly<Record<WaitCode, (who: string) => string>> = {
  group: () => 'this host is in no group',
  exchange: (who) =>
    who === '' ? 'the members tell each other what they know' : `${who} has not introduced itself yet`,
  quorum: () => 'no quorum',
  needed: (who) => `nobody has the log whole without ${who}: it has to come back, or be known dead`,
  copy: (who) =>
    who === '' ? 'nobody is there whose copy of the log is whole' : `a copy of the log is taken from ${who}`,
  load: () => 'the log device is being read',
  writer: (who) => (who === '' ? 'nobody writes the log device' : `${who}, which writes the log device, is away`),
  recovery: (who) => `${who} copies a region that is to be written here`,
  suspend: (who) => `the suspend waits until ${who} has copied its region`,
  acknowledgement: (who) => `${who} has not said that it has the marks`,
  'log-failed': (who) => `the log device has failed on ${who}`,
  'log-write': (who) => `${who} writes the log device`,
  order: () => 'it is on its way through the group',
};

/** @param names of nodes; one that is not there is shown by its number. */
export function waitsText(waits: readonly LogWait[], names: ReadonlyMap<number, string>): string {
  return waits
    .map(({ code, nodes }) => texts[code](nodes.map((node) => names.get(node) ?? `node ${node}`).join(', ')))
    .join('; ');
}

/** Why nothing is recovered. */
export const resyncWaitTexts: Readonly<Record<ResyncWait['why'], (who: string) => string>> = {
  group: () => 'this host is in no group',
  quorum: () => 'no quorum',
  marks: (who) => `what the kernel of ${who} holds is not known`,
  suspended: (who) => `the mirror is suspended on ${who}`,
  table: (who) => `the kernel of ${who} writes regions without marks that nobody can name: load its table anew`,
};
