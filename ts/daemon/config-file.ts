/**
 * Reads lockstep.toml: text to values, and every problem in it with file, line, key, what was found and what is
 * allowed. All problems are told at once, so that a file is mended in one go. It knows neither defaults nor options.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { fileErrorText } from '../base/errno.js';
import {
  type ConfigKey,
  type ConfigValue,
  checkValue,
  configKeyNames,
  configKeys,
  configTables,
  type KeyRule,
  shown,
} from './config-keys.js';

/** A value and where it stands, for people. */
export interface FoundValue {
  readonly value: ConfigValue;
  readonly source: string;
}
export type FoundValues = ReadonlyMap<ConfigKey, FoundValue>;

export interface ConfigFile {
  readonly values: FoundValues;
  /** Empty when the file may be used. */
  readonly problems: readonly string[];
}

/** A configuration is a page; more is the wrong file. */
const fileBytesMax = 1024 * 1024;

/** The file, or null when there is none. */
export function readConfigFile(path: string): ConfigFile | null {
  let bytes: Buffer;
  try {
    bytes = beginningOf(path, fileBytesMax + 1);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    return { values: new Map(), problems: [`${path}: ${fileErrorText(error)}`] };
  }
  if (bytes.length > fileBytesMax)
    return { values: new Map(), problems: [`${path}: longer than ${fileBytesMax} bytes`] };
  return parseConfig(bytes.toString('utf8'), path);
}

/** A file's size says nothing of a pipe or a device, which may have no end. */
function beginningOf(path: string, bytesMax: number): Buffer {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(bytesMax);
    let length = 0;
    for (let more = 1; more > 0 && length < bytesMax; length += more) {
      more = readSync(fd, buffer, length, bytesMax - length, null);
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

export function parseConfig(text: string, path: string): ConfigFile {
  let document: Record<string, unknown>;
  try {
    document = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = (error.message.split('\n')[0] ?? '').replace(/^Invalid TOML document: /, '');
    return { values: new Map(), problems: [`${path}:${error.line}:${error.column}: not TOML: ${reason}`] };
  }
  const values = new Map<ConfigKey, FoundValue>();
  const problems: string[] = [];
  const lines = keyLines(text);
  const where = (name: string): string => {
    const line = lines.get(name);
    return line === undefined ? path : `${path}:${line}`;
  };
  for (const [name, found] of flattened(document)) {
    if (!isKey(name)) {
      problems.push(`${where(name)}: ${unknownText(name, found)}`);
      continue;
    }
    const rule: KeyRule = configKeys[name];
    const checked = checkValue(rule, found);
    if ('problem' in checked) problems.push(`${where(name)}: ${name} ${checked.problem}`);
    else values.set(name, { value: checked.value, source: where(name) });
  }
  return { values, problems };
}

/** The allowed name that is most like this one, or null when none is near. */
export function nearestName(name: string, allowed: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of allowed) {
    const distance = editDistance(name, candidate);
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

function isKey(name: string): name is ConfigKey {
  return Object.hasOwn(configKeys, name);
}

/** Dotted names of all leaves; a table in the place of a value, or of a name that is no table, is a leaf too. */
function flattened(document: Record<string, unknown>): [string, unknown][] {
  const leaves: [string, unknown][] = [];
  for (const [name, value] of Object.entries(document)) {
    if (isTable(value) && configTables.includes(name)) {
      for (const [inner, leaf] of Object.entries(value)) leaves.push([`${name}.${inner}`, leaf]);
    } else {
      leaves.push([name, value]);
    }
  }
  return leaves;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function unknownText(name: string, found: unknown): string {
  if (isTable(found) && !name.includes('.')) {
    const near = nearestName(name, configTables);
    return `unknown table [${name}]${near === null ? '' : `, did you mean [${near}]?`}`;
  }
  if (configTables.includes(name))
    return `${name} must be a table, [${name}] with its keys below, found ${shown(found)}`;
  // A key may have been put into the wrong table: look for its own name too.
  const last = name.slice(name.lastIndexOf('.') + 1);
  const elsewhere = configKeyNames.find((key) => key === last || key.endsWith(`.${last}`));
  const near = elsewhere ?? nearestName(name, configKeyNames);
  return `unknown key ${name}${near === null ? '' : `, did you mean ${near}?`}`;
}

/**
 * Line of each key, found in the text: the parser does not keep them. Read as `[table]` and `key =` lines, which is how
 * such files are written; a key written otherwise (an inline table) is reported without a line.
 */
function keyLines(text: string): Map<string, number> {
  const lines = new Map<string, number>();
  let table = '';
  text.split('\n').forEach((line, i) => {
    const header = /^\s*\[\[?\s*"?([\w-]+)"?\s*\]/.exec(line);
    if (header !== null) {
      table = header[1] as string;
      lines.set(table, i + 1);
      return;
    }
    const key = /^\s*([\w."-]+)\s*=/.exec(line)?.[1]?.replaceAll('"', '');
    if (key !== undefined) lines.set(table === '' ? key : `${table}.${key}`, i + 1);
  });
  return lines;
}

/** Letters to change, add or leave out. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(changed, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
