import { defineConfig } from 'vitest/config';

/** No process, no socket, no clock: nothing that one test could leave to the next. */
const PURE = [
  'test/{fuzz,property,sim}/**/*.test.ts',
  'test/unit/*.test.ts',
  'test/unit/{answer,broker,classify,ice,nat,pair,peering,portmap,punch,report,stun,witness}/**/*.test.ts',
];
/** What makes namespaces, and mostly waits. */
const LAB = ['test/{interop,lab}/**/*.test.ts'];
/** What holds times that a busy neighbour would exceed. */
const TIMED = [
  'test/http/broker-floods.test.ts',
  'test/interop/broker-cluster.test.ts',
  'test/lab/{axes,browser,classify,families,full,layers,pair,tcp}.test.ts',
  'test/unit/server/{graceful-stop,hostile-connections,scrape}.test.ts',
  'test/unit/streams/secure-stream.test.ts',
];

/** One after the other. */
const PROJECTS = [
  { name: 'pure', include: PURE, exclude: [], isolate: false },
  { name: 'programs', include: ['test/**/*.test.ts'], exclude: [...PURE, ...LAB, ...TIMED] },
  { name: 'lab', include: LAB, exclude: TIMED },
  { name: 'timed', include: TIMED, exclude: [], maxWorkers: 1 },
];

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    // The kernel lab and the command-line tests start real processes.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: PROJECTS.map((project, index) => ({
      extends: true,
      test: { maxWorkers: 2, ...project, sequence: { groupOrder: index + 1 } },
    })),
  },
});
