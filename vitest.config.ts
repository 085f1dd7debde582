import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A crash in native code then ends one test file, not the run.
    pool: 'forks',
    // Hang limits, ten times and more what the slowest test usually takes; vitest names the test that hung.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
  },
});
