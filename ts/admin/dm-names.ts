/**
 * Which device-mapper device a log belongs to. A convenience of the command line; the daemon does not look.
 *
 * `dmsetup table` has the log's uuid in the mirror's table, exactly, and asks nothing of the daemon. Where it is missing or
 * may not be used, the dm uuids in /sys are compared: a log of LVM2 bears the uuid of its mirror, or of its log volume.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** By the log's uuid. */
export type DmNames = ReadonlyMap<string, string>;

const dmsetupMsMax = 2_000;

/** @param mirrors the table's, where it has been read already */
export async function dmNames(mirrors?: DmNames): Promise<DmNames> {
  return new Map([...namesOfSysfs(), ...(mirrors ?? (await dmMirrors()))]);
}

/** Only live mirrors whose log is a daemon's; none where the table may not be read. */
export async function dmMirrors(): Promise<DmNames> {
  return namesOfTable(await dmTable());
}

function dmTable(): Promise<string> {
  const { PATH = '' } = process.env;
  const path = `${PATH}:/usr/sbin:/sbin`;
  return new Promise((resolve) => {
    const options = { timeout: dmsetupMsMax, env: { ...process.env, PATH: path, LC_ALL: 'C' }, maxBuffer: 64 << 20 };
    execFile('dmsetup', ['table', '--target', 'mirror'], options, (_error, stdout) => resolve(stdout));
  });
}

/** Lines `NAME: START LENGTH mirror userspace COUNT UUID ...`. */
export function namesOfTable(text: string): DmNames {
  const names = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^(.+): \d+ \d+ mirror userspace \d+ (\S+)/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) names.set(match[2], match[1]);
  }
  return names;
}

function namesOfSysfs(): DmNames {
  const names = new Map<string, string>();
  for (const entry of listing('/sys/block')) {
    if (!entry.startsWith('dm-')) continue;
    const uuid = text(`/sys/block/${entry}/dm/uuid`);
    const name = text(`/sys/block/${entry}/dm/name`);
    if (uuid !== '' && name !== '') names.set(uuid, name);
  }
  return names;
}

function listing(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
