/** The package's version, from the one place that has it. This file lies two folders below the root, built or not. */
import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

export const packageVersion: string = manifest.version;
