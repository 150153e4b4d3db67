import { expect, it } from 'vitest';
import { crash } from '../drills/crash.ts';

it('crash, with few requests and kills: nothing lost, nothing twice, everything accounted for', async () => {
  const { figures, problems, remarks } = await crash({
    seed: 4,
    requests: 20,
    each: 1,
    eachSignature: 1,
    limit: 6,
    onProgress: () => undefined,
  });
  expect(problems).toEqual([]);
  expect(Object.keys(figures)).toEqual([
    'requests',
    'kills',
    'issued',
    'lost',
    'duplicateCertificates',
    'duplicateSerials',
    'signaturesWithoutRow',
    'rowsWithoutCertificate',
    'repeatedSignatures',
  ]);
  expect(figures).toMatchObject({ requests: 20, issued: 20, lost: 0, duplicateCertificates: 0, duplicateSerials: 0 });
  expect(figures.kills).toBeGreaterThanOrEqual(6);
  // Too few to have been everywhere: that is said, and is no problem of a small run.
  expect(remarks).toContain('Never killed before open the breaker.');
});
