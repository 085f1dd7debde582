/**
 * The first root of a virtual machine: busybox, the few modules that reach the real root, and what this run is to
 * do. Written anew for each run as an uncompressed newc archive (4 MB, some milliseconds), so that nothing about a
 * run has to pass through the kernel's command line.
 */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { moduleBytes } from './kernel.mjs';

/** What reaches this machine's files from the guest, and the channel back. */
const BASE_MODULES = ['virtio_pci', 'virtio_console', 'virtio_rng', 'virtio_blk', '9pnet_virtio', '9p', 'overlay'];

const FOLDER = 0o040755;
const PROGRAM = 0o100755;

/** Paths below the modules folder, each after those it needs. Names that are not there are built in. */
function inLoadingOrder(modules, names) {
  const needs = new Map();
  const byName = new Map();
  for (const line of readFileSync(join(modules, 'modules.dep'), 'utf8').split('\n')) {
    const [path, rest] = line.split(':');
    if (!path) continue;
    needs.set(path, (rest ?? '').split(' ').filter(Boolean).reverse());
    byName.set(moduleName(path), path);
  }
  const order = new Set();
  for (const path of names.map((name) => byName.get(moduleName(name)))) {
    if (!path) continue;
    for (const needed of needs.get(path) ?? []) order.add(needed);
    order.add(path);
  }
  return [...order];
}

const moduleName = (path) =>
  basename(path)
    .replace(/\.ko.*$/, '')
    .replaceAll('-', '_');

/** The archive. `files` are more entries: name -> text. */
export function buildInitramfs({ modules, busybox, files }) {
  const entries = [['busybox', readFileSync(busybox), PROGRAM]];
  const order = inLoadingOrder(modules, BASE_MODULES);
  for (const path of order) entries.push([`modules/${moduleName(path)}`, moduleBytes(join(modules, path)), PROGRAM]);
  entries.push(['order', Buffer.from(`${order.map(moduleName).join('\n')}\n`), PROGRAM]);
  for (const [name, text] of Object.entries(files)) entries.push([name, Buffer.from(text), PROGRAM]);
  return archive([['modules', Buffer.alloc(0), FOLDER], ...entries]);
}

/** A newc cpio archive: a header of hexadecimal numbers, the name, the bytes, each padded to 4. */
function archive(entries) {
  const parts = [];
  const add = (name, bytes, mode, inode) => {
    const fields = [inode, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length + 1, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
    parts.push(Buffer.from(header.padEnd(Math.ceil(header.length / 4) * 4, '\0')));
    parts.push(bytes, Buffer.alloc(-bytes.length & 3));
  };
  entries.forEach(([name, bytes, mode], i) => {
    add(name, bytes, mode, i + 1);
  });
  add('TRAILER!!!', Buffer.alloc(0), 0, 0);
  return Buffer.concat(parts);
}
