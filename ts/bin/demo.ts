#!/usr/bin/env node
/**
 * `npm start`: a mirror of two legs survives a SIGKILL of the daemon and a power cut. No root, no kernel module, no
 * cluster; everything lies in a temporary folder that is removed at the end.
 *
 *   --quick    smaller legs and shorter acts
 *   --seed N   where users write
 *
 * Exit code 0: all of it held. 1: something did not, and the last lines say what. 130: interrupted.
 */
import { parseArgs } from 'node:util';
import { Places } from '../demo/places.js';
import { ProgressLine } from '../demo/progress-line.js';
import { Stage } from '../demo/stage.js';
import { tellStory } from '../demo/story.js';
import { problems, table } from '../demo/verdict.js';
import { BulkPool } from '../pool/bulk-pool.js';

const mebibyte = 2 ** 20;
const whole = { bytes: 256 * mebibyte, regionSectors: 1024, loadMs: 6_000 };
const quick = { bytes: 32 * mebibyte, regionSectors: 128, loadMs: 1_500 };

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      seed: { type: 'string', default: String(Date.now() % 1e6) },
    },
  });
  const options = values.quick ? quick : whole;
  const line = new ProgressLine(process.stdout);
  const places = new Places();
  const stage = new Stage(places, options, line, Number(values.seed));
  const pool = new BulkPool({ threadsMax: 2 });
  // Also behind an uncaught error: the processes have groups of their own and would go on.
  process.once('exit', () => {
    stage.kill();
    places.remove();
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      line.say('interrupted: ending both processes, removing the files');
      process.exit(130);
    });
  }
  try {
    const figures = await tellStory({ places, stage, pool, line }, options);
    line.headline('What was measured');
    for (const row of table(figures)) line.say(row);
    const wrong = problems(figures);
    line.say('');
    line.say(wrong.length === 0 ? 'Nothing was lost.' : 'This must not happen:');
    for (const text of wrong) line.say(`  ${text}`);
    return wrong.length === 0 ? 0 : 1;
  } catch (error) {
    line.say(`demo: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await pool.close();
  }
}

process.exit(await main());
