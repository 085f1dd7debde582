/**
 * What the demonstration measured, whether that is a success, and the table at its end.
 *
 * Pure: figures in, text out. Tests give it figures made by hand, so that it is known to say no when it must.
 */

export interface Figures {
  /** Writes that users of the mirror had acknowledged, and how long they wrote. */
  readonly writes: number;
  readonly loadSeconds: number;
  readonly ioErrors: number;
  /** Marks that the daemon answered, and those of them that needed neither message nor log write. */
  readonly marks: number;
  readonly marksWithoutIo: number;
  /** Bytes written to the log device while users wrote. */
  readonly logBytes: number;
  readonly regions: number;
  /** Regions copied because of the daemon's SIGKILL. */
  readonly restartResynced: number;
  /** Power cuts that were needed until one left the legs different. */
  readonly cuts: number;
  /** Sectors that differed between the legs after the cut, and the regions they lay in. */
  readonly sectorsDifferingBefore: number;
  readonly regionsDifferingBefore: number;
  /** Of those regions the ones that the log called clean. */
  readonly differingButClean: number;
  /** Regions that the log named as not clean after the cut, and regions that were copied. */
  readonly regionsMarked: number;
  readonly regionsResynced: number;
  readonly sectorsCompared: number;
  readonly sectorsDifferingAfter: number;
}

/** Why the run is no success; empty when it is one. */
export function problems(figures: Figures): string[] {
  const found: string[] = [];
  const wrong = (yes: boolean, text: string) => {
    if (yes) found.push(text);
  };
  wrong(figures.ioErrors > 0, `${figures.ioErrors} writes failed`);
  wrong(!(figures.writes > 0), 'nothing was written');
  wrong(figures.restartResynced > 0, `the daemon's restart made ${figures.restartResynced} regions be copied`);
  wrong(!(figures.sectorsDifferingBefore > 0), 'no power cut left the legs different, so nothing was shown');
  wrong(figures.differingButClean > 0, `${figures.differingButClean} regions differed and the log called them clean`);
  wrong(
    figures.regionsResynced > figures.regionsMarked,
    `${figures.regionsResynced} regions were resynced, but only ${figures.regionsMarked} were marked`,
  );
  wrong(
    figures.regionsResynced < figures.regionsDifferingBefore,
    `${figures.regionsDifferingBefore} regions differed, but only ${figures.regionsResynced} were resynced`,
  );
  wrong(!(figures.sectorsCompared > 0), 'the legs were not compared');
  wrong(figures.sectorsDifferingAfter > 0, `${figures.sectorsDifferingAfter} sectors differ after the resync`);
  return found;
}

/** The closing table, one line an entry. */
export function table(figures: Figures): string[] {
  const rows: [string, string][] = [
    ['writes a second', whole(figures.writes / figures.loadSeconds)],
    ['writes, of these failed', `${whole(figures.writes)}, ${figures.ioErrors}`],
    ['marks that needed no IO', `${whole(figures.marksWithoutIo)} of ${whole(figures.marks)} (${share(figures)})`],
    ['log bytes a write', (figures.logBytes / figures.writes).toFixed(1)],
    ['resynced after the SIGKILL', `${figures.restartResynced} of ${figures.regions} regions`],
    ['sectors that differed after the power cut', whole(figures.sectorsDifferingBefore)],
    ['resynced after the power cut', `${figures.regionsResynced} of ${figures.regions} regions`],
    ['legs identical', identical(figures)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
}

function share(figures: Figures): string {
  return figures.marks === 0 ? '-' : `${Math.floor((100 * figures.marksWithoutIo) / figures.marks)} %`;
}

function identical(figures: Figures): string {
  const differing = figures.sectorsDifferingAfter;
  const compared = `${whole(figures.sectorsCompared)} sectors compared`;
  return differing === 0 ? `yes: ${compared}, 0 differ` : `NO: ${compared}, ${whole(differing)} differ`;
}

/** A whole number with blanks between its thousands. */
export function whole(value: number): string {
  if (!Number.isFinite(value)) return '-';
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ' ');
}
