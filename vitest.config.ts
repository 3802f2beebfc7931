import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // Tests start servers and count states: on two cores, two files at a time are as many as make sense.
    maxWorkers: 2,
    pool: 'forks',
  },
});
