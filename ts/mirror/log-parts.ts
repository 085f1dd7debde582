/** What the parts of one log share. Made by `MirrorLog`. */
import type { ConstructorArgs } from './constructor-args.js';
import type { FlushFailures } from './flush-failures.js';
import type { FlushWaiters } from './flush-waiters.js';
import type { LogState } from './log-state.js';
import type { Marks } from './marks.js';
import type { Recovery } from './recovery.js';
import type { Replica } from './replica.js';
import type { World } from './world.js';

export interface LogParts {
  readonly world: World;
  readonly state: LogState;
  readonly args: ConstructorArgs;
  readonly uuid: string;
  readonly marks: Marks;
  readonly recovery: Recovery;
  readonly replica: Replica;
  readonly waiters: FlushWaiters;
  readonly failures: FlushFailures;
}
