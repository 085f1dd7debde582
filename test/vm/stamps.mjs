/**
 * Which blocks of a mirror each node of a cluster writes, and what must stand there: the counterpart of programs/stamper.c.
 *
 * A node has regions of its own, with one block in each that is written: more than it writes at once, so that marks come and go. In
 * one region all nodes write at the same time, each its own blocks; another one is written whole, by one node at a time.
 */
import { existsSync, readFileSync } from 'node:fs';

export const blockBytes = 4096;
export const regionSectors = 128;
export const regionBytes = regionSectors * 512;
export const blocksPerRegion = regionBytes / blockBytes;
const stampBytes = 16;
const stampMagic = 0x53544d50;
const neighboursRegion = 240;
const turnRegion = 248;

export const range = (count, from = 0) => Array.from({ length: count }, (_, i) => from + i);
export const turnBlocks = range(blocksPerRegion / 2, turnRegion * blocksPerRegion);

export class Stamps {
  #firstRegion;
  #ownRegions;

  /** Node 1 begins at `firstRegion`, the next one so many further. */
  constructor({ firstRegion, ownRegions }) {
    this.#firstRegion = firstRegion;
    this.#ownRegions = ownRegions;
  }

  /** Regions that this node alone writes. */
  ownRegionsOf(node) {
    return range(this.#ownRegions, this.#firstRegion + (node - 1) * this.#ownRegions);
  }

  blocksOf(node) {
    const own = this.ownRegionsOf(node).map((region) => region * blocksPerRegion + (region % blocksPerRegion));
    return [...own, neighboursRegion * blocksPerRegion + node, neighboursRegion * blocksPerRegion + node + 8];
  }

  /** Of each of its blocks the sequence of the last write that has ended, from the table that its stamper keeps. */
  acknowledged(node, table) {
    const bytes = table && existsSync(table) ? readFileSync(table) : Buffer.alloc(0);
    return this.blocksOf(node).map((_, i) => (bytes.length >= 4 * i + 4 ? bytes.readUInt32LE(4 * i) : 0));
  }

  /** What is wrong with a node's blocks on a leg. The write that a kill has cut off may be there, or parts of it. */
  faults(node, acknowledged, leg) {
    return this.blocksOf(node)
      .map((block, i) => stampFault(leg, block, node, acknowledged[i], acknowledged[i] + 1))
      .filter(Boolean);
  }
}

/** What is wrong with the region that is written by turns. */
export function turnFaults({ node, sequence }, leg) {
  return turnBlocks.map((block) => stampFault(leg, block, node, sequence, sequence)).filter(Boolean);
}

/** Why a block does not hold stamps of this node between two sequences, in each of its parts; '' when it does. */
function stampFault(leg, block, node, least, most) {
  for (let at = 0; at < blockBytes; at += stampBytes) {
    const [magic, by, sequence, where] = [0, 4, 8, 12].map((field) =>
      leg.readUInt32LE(block * blockBytes + at + field),
    );
    const empty = magic === 0 && least === 0;
    const sound = magic === stampMagic && by === node && where === block && sequence >= least && sequence <= most;
    if (!empty && !sound)
      return `block ${block} of node ${node}: found ${magic.toString(16)} ${by} ${sequence} ${where}, acknowledged ${least}`;
  }
  return '';
}
