import { expect, it } from 'vitest';
import { crash } from '../drills/crash.ts';

it('crash, with few requests and kills: nothing lost, nothing twice, everything accounted for', async () => {
  const { figures, problems, remarks } = await crash({
    seed: 4,
    requests: 20,
    onProgress: () => undefined,
    signal: new AbortController().signal,
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
  expect(figures.kills).toBeGreaterThan(0);
  // Too few to have been everywhere: that is said, once, and is no problem of a small run.
  expect(remarks.filter((remark) => remark.includes('open the breaker'))).toEqual([
    'Never killed before or after open the breaker.',
  ]);
});
