import { defineConfig } from 'vitest/config';

/** Tests that share the machine with others. */
const fast = (name: string) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`] },
});

export default defineConfig({
  test: {
    pool: 'forks',
    // All of the machine; vitest leaves one core out, which on a machine of two is half.
    maxWorkers: '100%',
    globalSetup: ['test/end-with-parent.ts'],
    reporters: ['default', './test/reporter.ts'],
    testTimeout: 30_000,
    projects: [
      fast('unit'),
      fast('property'),
      fast('contract'),
      // The tools themselves, run as processes: lint, the build, set-up's watch over its parent, the last line.
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
          // Each file starts a cloud of its own, which is idle half of the time: one for each core.
          sequence: { groupOrder: 1 },
          maxWorkers: 2,
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
          // After all others. Each file waits for its own LocalStack's alarms and queues most of the time, so one more of
          // them than cores.
          sequence: { groupOrder: 2 },
          maxWorkers: 3,
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
