/**
 * What a set of programs needs to run: the modules that they import, directly and through others, and the packages that
 * those import. Found in the compiled JavaScript, so that simulator, demonstration and their packages stay out of what
 * is installed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

// The compiler quotes as the sources do, the bundler always doubly.
const IMPORTS = [
  /\b(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]/g,
  /\bimport\s*['"]([^'"]+)['"]/g,
  /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g,
  // Workers and programs that are started by their file.
  /\bnew URL\(\s*['"]([^'"]+\.js)['"],\s*import\.meta\.url\s*\)/g,
];

/** Paths of modules relative to `root`, sorted, and names of packages, sorted. */
export function runTimeFiles(root, entries) {
  const modules = new Set();
  const packages = new Set();
  const visit = (path) => {
    const name = relative(root, path);
    if (modules.has(name)) return;
    if (!existsSync(path)) throw new Error(`${name} is imported and does not exist; npm run setup builds it`);
    modules.add(name);
    for (const specifier of importsOf(readFileSync(path, 'utf8'))) {
      if (specifier.startsWith('node:')) continue;
      if (specifier.startsWith('.')) visit(join(dirname(path), specifier));
      else addPackage(root, packageName(specifier), packages);
    }
  };
  for (const entry of entries) visit(join(root, entry));
  return { modules: [...modules].sort(), packages: [...packages].sort() };
}

function importsOf(text) {
  return IMPORTS.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1]));
}

function packageName(specifier) {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function addPackage(root, name, packages) {
  if (packages.has(name)) return;
  const manifest = join(root, 'node_modules', name, 'package.json');
  if (!existsSync(manifest)) throw new Error(`the package ${name} is not installed; npm run setup installs it`);
  packages.add(name);
  for (const needed of Object.keys(JSON.parse(readFileSync(manifest, 'utf8')).dependencies ?? {})) {
    addPackage(root, needed, packages);
  }
}
