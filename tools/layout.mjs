/**
 * The layout rules of docs/DESIGN.md, checked as text: which room may import which, no circles, cores without clock,
 * randomness or IO, every C++ source in the one list, nothing unfinished, nothing that belongs to one machine.
 *
 * `node tools/layout.mjs` prints the problems, `checkLayout()` returns them, one line each. The rules are the tables below;
 * test/layout hands them trees that break each one.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './stages.mjs';

const CORES = ['mirror', 'replication', 'dlm', 'idm'];
const EDGES = ['connector', 'cluster', 'storage', 'links', 'drives', 'clients', 'nbd', 'dlmfs', 'pool', 'admin'];

/** Room of ts/ -> rooms it may import besides itself. `bin/demo` and the simulator's programs are told apart below. */
const TS_ROOMS = {
  base: [],
  regions: ['base'],
  ...Object.fromEntries(CORES.map((core) => [core, ['base', 'regions']])),
  // Handles implement the cores' interfaces: they import types of cores, never values.
  native: ['base', 'regions', ...CORES],
  ...Object.fromEntries(EDGES.map((edge) => [edge, ['base', 'regions', ...CORES, 'native', ...EDGES]])),
  daemon: ['base', 'regions', ...CORES, 'native', ...EDGES],
  // Of the edges it has the shape of the transport only.
  sim: ['base', 'regions', ...CORES, 'native', 'cluster'],
  demo: ['base', 'pool'],
  bin: ['base', 'daemon', 'admin'],
};
/** Programs of ts/bin that may import the simulator. */
const BIN_WITH_SIM = {
  'ts/bin/demo.ts': ['demo', 'sim', 'pool'],
  'ts/bin/sim.ts': ['sim'],
  'ts/bin/simulated-kernel.ts': ['sim'],
};

const CPP_ROOMS = {
  core: [],
  os: ['core'],
  data: ['core', 'os'],
  binding: ['core', 'os', 'data'],
  abi: ['core', 'os'],
  tests: ['core', 'os', 'data'],
  fuzz: ['core', 'os', 'tests'],
};

/** What a pure room must not touch. */
const IMPURE =
  /\bDate\.now\b|\bnew Date\b|\bMath\.random\b|\bset(?:Timeout|Interval|Immediate)\b|\bperformance\.|\bhrtime\b|\bprocess\.|from 'node:/;
const PURE = ['regions', ...CORES];

function trackedFiles() {
  return execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
    .split('\n')
    .filter(Boolean);
}

/** Imports of other files of the tree: by name, for their effect, and at run time. */
function tsImports(path, text) {
  const target = (name) => normalize(join(dirname(path), name)).replace(/\.js$/, '.ts');
  const found = [];
  for (const match of text.matchAll(/^\s*(?:import|export)(\s+type)?\b[^;'"]*?from\s+'(\.[^']+)'/gm)) {
    found.push({ to: target(match[2]), typeOnly: match[1] !== undefined });
  }
  for (const match of text.matchAll(/(?:^\s*import\s+|(?<!typeof )\bimport\(\s*)['"](\.[^'"]+)['"]/gm)) {
    found.push({ to: target(match[1]), typeOnly: false });
  }
  return found;
}

function checkTsImports(files, read, problems) {
  const graph = new Map();
  for (const path of files.filter((name) => name.startsWith('ts/') && name.endsWith('.ts'))) {
    const room = path.split('/')[1];
    const allowed = TS_ROOMS[room];
    if (!allowed) {
      problems.push(`${path}: the room ts/${room} is not in the layout`);
      continue;
    }
    const targets = [];
    for (const { to, typeOnly } of tsImports(path, read(path))) {
      const other = to.split('/')[1];
      const extra = BIN_WITH_SIM[path] ?? [];
      if (other !== room && !allowed.includes(other) && !extra.includes(other)) {
        problems.push(`${path}: ${room} must not import ${other} (${to})`);
      }
      if (room === 'native' && CORES.includes(other) && !typeOnly) {
        // Values of a core that describe its state record (constants) are part of the interface.
        if (!/log-state\.ts$/.test(to)) problems.push(`${path}: native may import types only from ${to}`);
      }
      if (!typeOnly) targets.push(to);
    }
    graph.set(path, targets);
  }
  findCircles(graph, problems);
}

function findCircles(graph, problems) {
  const state = new Map();
  const visit = (path, trail) => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      problems.push(`circle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`);
      return;
    }
    state.set(path, 'open');
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    state.set(path, 'done');
  };
  for (const path of graph.keys()) visit(path, []);
}

function checkPurity(files, read, problems) {
  for (const path of files.filter((name) => name.startsWith('ts/') && PURE.includes(name.split('/')[1]))) {
    read(path)
      .split('\n')
      .forEach((line, i) => {
        if (IMPURE.test(line) && !/^\s*(\*|\/\/|\/\*)/.test(line))
          problems.push(`${path}:${i + 1}: a core has no IO, clock or randomness`);
      });
  }
}

function checkCpp(files, read, problems) {
  const sources = files.filter((name) => name.startsWith('cpp/') && /\.(cc|h)$/.test(name));
  for (const path of sources) {
    const room = path.split('/')[1];
    for (const match of read(path).matchAll(/^#include "([^"]+)"/gm)) {
      const other = match[1].includes('/') ? match[1].split('/')[0] : room;
      if (other in CPP_ROOMS && other !== room && !CPP_ROOMS[room]?.includes(other)) {
        problems.push(`${path}: ${room} must not include ${match[1]}`);
      }
    }
  }
  const listed = read('cpp/sources.list')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter(Boolean);
  const built = sources.filter((name) => name.endsWith('.cc') && /^cpp\/(core|os|data|binding)\//.test(name));
  for (const path of built) if (!listed.includes(path)) problems.push(`${path}: not in cpp/sources.list`);
  for (const path of listed) if (!built.includes(path)) problems.push(`cpp/sources.list: ${path} does not exist`);
}

/** Text that must not stand in the tree. This file and binary fixtures are left out. */
function checkText(files, read, problems) {
  const unfinished = new RegExp(
    ['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].map((word) => `\\b${word}\\b`).join('|'),
  );
  const foreign = new RegExp(['/wo' + 'rk/', '/ro' + 'ot/', '"resolved": *"http'].join('|'));
  const narrowed = /\b(?:it|test|describe)\.(?:only|todo)\b/;
  for (const path of files) {
    if (!/\.(ts|mjs|cc|h|md|json|txt|list|gyp|toml|service|yml)$|(^|\/)run$/.test(path) || path === 'tools/layout.mjs')
      continue;
    const text = read(path);
    if (/^(ts|cpp|test|bench|tools)\//.test(path) && unfinished.test(text)) problems.push(`${path}: unfinished mark`);
    if (foreign.test(text)) problems.push(`${path}: a path of one machine, or a registry's address`);
    if (path.startsWith('test/') && narrowed.test(text)) problems.push(`${path}: tests narrowed by hand`);
  }
}

/** Files that comments and documents name: a reader looks for them. Headers without a folder may be the system's. */
function checkNamedFiles(files, read, problems) {
  const names = new Set(files.map((path) => path.slice(path.lastIndexOf('/') + 1)));
  for (const path of files) {
    if (!/^(ts|cpp|tools|docs|packaging)\/.*\.(ts|mjs|cc|h|md)$|^README\.md$/.test(path) || path === 'tools/layout.mjs')
      continue;
    for (const [found] of read(path).matchAll(
      /(?<![\w./*-])(?:(?:ts|cpp|test|tools)\/[\w./-]*\.(?:ts|h|cc|mjs)|[\w][\w.-]*\.(?:ts|cc|mjs))\b/g,
    )) {
      if (!names.has(found.slice(found.lastIndexOf('/') + 1)))
        problems.push(`${path}: names ${found}, which is not there`);
    }
  }
}

/** All problems of the tree as it stands, or of `files` whose texts `read` knows, one line each. */
export function checkLayout(files = trackedFiles(), read = (path) => readFileSync(join(root, path), 'utf8')) {
  const problems = [];
  checkTsImports(files, read, problems);
  checkPurity(files, read, problems);
  checkCpp(files, read, problems);
  checkText(files, read, problems);
  checkNamedFiles(files, read, problems);
  return problems;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problems = checkLayout();
  console.log(problems.length === 0 ? 'layout: clean' : problems.join('\n'));
  process.exitCode = problems.length === 0 ? 0 : 1;
}
