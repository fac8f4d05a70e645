import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    // The kernel lab and the command-line tests start real processes.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
