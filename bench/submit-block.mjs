/**
 * The engine's durable write on its own: `submit-block.mjs FILE REGIONS COUNT WARMUP`. One region of a fresh block is marked, the
 * block is planned and submitted through the addon, and the time to its completion call-back is taken; then the next.
 * Prints percentiles in nanoseconds as one line of JSON.
 */
import { NativeLogDevice } from '../dist/native/log-device.js';
import { NativeLogImage } from '../dist/native/log-image.js';
import { NativeRegionMap } from '../dist/native/region-map.js';
import { percentiles } from './measure.mjs';

const [file, regionsText, countText, warmupText] = process.argv.slice(2);
const regions = Number(regionsText);
const count = Number(countText);
const warmup = Number(warmupText);
const blockRegions = 4096 * 8;
const blocks = regions / blockRegions;

const map = NativeRegionMap.anonymous(regions);
map.fillClean(0, regions, true);
const image = NativeLogImage.of(map);
const region = new Float64Array(1);
const samples = [];
let firstAt = 0n;
let done = 0;
let started = 0n;

const device = new NativeLogDevice(
  {
    opened(errno) {
      if (errno !== 0) throw new Error(`${file}: errno ${errno}`);
      image.planAll();
      device.write(image, true);
    },
    read() {},
    written(errno) {
      const ended = process.hrtime.bigint();
      if (errno !== 0) throw new Error(`${file}: write: errno ${errno}`);
      // The first write is the whole area.
      if (done === warmup) firstAt = ended;
      if (done > warmup) samples.push(Number(ended - started));
      if (done === warmup + count) finish();
      else submit();
    },
  },
  { writer: 'auto' },
);

/** The stride of peers/raw_write.c; from turn to turn another bit of the block, so that the block does change. */
function submit() {
  const block = (done * 37) % blocks;
  region[0] = block * blockRegions + (Math.floor(done / blocks) % blockRegions);
  done += 1;
  if (map.markDirty(region, 1) !== 1) throw new Error(`region ${region[0]} was marked before`);
  started = process.hrtime.bigint();
  if (image.plan() !== 1) throw new Error('not exactly one block has changed');
  device.write(image, true);
}

function finish() {
  const rate = samples.length / (Number(process.hrtime.bigint() - firstAt) / 1e9);
  console.log(JSON.stringify({ ...percentiles(samples), rate, writer: device.writer, written: device.bytesWritten }));
  device.close();
}

device.open(file);
