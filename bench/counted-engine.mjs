/**
 * The engine worker's own entry, and beside it a count of what its heap allocated between two orders: the growth up to
 * every collection, as V8's own profiler of collections reports it, and since the last one.
 */
import { GCProfiler, getHeapStatistics } from 'node:v8';
import { BroadcastChannel } from 'node:worker_threads';

const channel = new BroadcastChannel('lockstep-bench');
let profiler = null;
let usedAtStart = 0;

channel.onmessage = ({ data }) => {
  if (data.order === 'start') {
    profiler = new GCProfiler();
    profiler.start();
    channel.postMessage({ answer: { started: true } });
    usedAtStart = getHeapStatistics().used_heap_size;
  } else if (data.order === 'stop') {
    const usedNow = getHeapStatistics().used_heap_size;
    channel.postMessage({ answer: summary(profiler.stop().statistics, usedNow) });
  }
};

function summary(collections, usedNow) {
  let allocatedBytes = 0;
  let used = usedAtStart;
  let collectionMs = 0;
  for (const { beforeGC, afterGC, cost } of collections) {
    allocatedBytes += beforeGC.heapStatistics.usedHeapSize - used;
    used = afterGC.heapStatistics.usedHeapSize;
    collectionMs += cost / 1000;
  }
  return { allocatedBytes: allocatedBytes + usedNow - used, collections: collections.length, collectionMs };
}

// Last: the daemon says that it is ready as soon as this runs, and an order that comes before the channel listens is lost.
await import('../dist/daemon/engine-entry.js');
