import { expect, it } from 'vitest';
import { soak } from '../drills/soak.ts';

it('soak, for a moment: whatever goes wrong, every request has its certificate', async () => {
  const { figures, problems } = await soak({
    seed: 4,
    minutes: 0.15,
    rate: 5,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
  expect(problems).toEqual([]);
  expect(figures).toMatchObject({ requests: 45, issued: 45, lost: 0, duplicateCertificates: 0, duplicateSerials: 0 });
  expect(figures.faults).toBeGreaterThan(0);
  // No worker lives long enough to say.
  expect(figures).toMatchObject({ memorySlope: null, heapSlope: null });
  // The probe is in the workers: they measured themselves.
  expect(figures.memoryKiB).toBeGreaterThan(50_000);
});
