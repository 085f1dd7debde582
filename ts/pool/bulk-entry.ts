/** What a pool worker loads: piscina calls these exports by name. */
export { checksumRange, compareRange } from './bulk-tasks.js';
