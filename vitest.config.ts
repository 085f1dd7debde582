import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A crash in native code then ends one test file, not the run.
    pool: 'forks',
    // By itself vitest leaves a processor free, which is half of a small machine; these tests wait a lot.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Hang limits, ten times and more what the slowest test usually takes; vitest names the test that hung.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
  },
});
