import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import LongestFirst from './test/longest-first.ts';

/** Tests that share the machine with others. */
const fast = (name: string, over: { readonly isolate?: boolean } = {}) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`], ...over },
});

const cores = availableParallelism();

export default defineConfig({
  test: {
    pool: 'forks',
    // All of the machine, and one more for those that wait; vitest leaves one core out, which on a machine of two is half.
    maxWorkers: cores + 1,
    globalSetup: ['test/end-with-parent.ts'],
    setupFiles: ['test/tidy-up.ts'],
    reporters: ['default', './test/reporter.ts'],
    testTimeout: 30_000,
    sequence: { sequencer: LongestFirst },
    projects: [
      // Functions of their arguments: their files share the processes and what is loaded, which is most of what each costs.
      fast('unit', { isolate: false }),
      fast('property'),
      fast('contract'),
      // The tools themselves, run as processes: lint, the build, set-up's watch over its parent, the last line. And what
      // stands in for a module, or for the whole process's.
      fast('tooling'),
      {
        extends: true,
        test: {
          // Tools and clients that are not ours, on what we make; those that the machine lacks are named.
          name: 'judges',
          include: ['test/judges/**/*.test.ts'],
          globalSetup: ['test/judges/set-up.ts'],
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'embedded',
          include: ['test/embedded/**/*.test.ts'],
          globalSetup: ['test/build-functions.ts'],
          // After the others. Each file starts a cloud of its own, which is idle a third of the time.
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/build-functions.ts', 'test/integration/set-up.ts'],
          // After all others. Each file waits for its own LocalStack's alarms and queues half of the time, so twice as many
          // of them as cores. longest-first.ts says in which order.
          sequence: { groupOrder: 2 },
          maxWorkers: 2 * cores,
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
