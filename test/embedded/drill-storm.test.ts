import { expect, it } from 'vitest';
import { storm } from '../drills/storm.ts';

it('storm, with few requests: one certificate each, whoever signs first', async () => {
  const { figures, problems } = await storm({
    seed: 4,
    requests: 10,
    copies: 8,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
  expect(problems).toEqual([]);
  expect(figures).toMatchObject({ requests: 10, issued: 10, lost: 0, duplicateCertificates: 0, duplicateSerials: 0 });
  expect(figures.messages).toBeGreaterThan(20);
});
