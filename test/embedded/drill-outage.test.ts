import { expect, it } from 'vitest';
import { outage } from '../drills/outage.ts';

it('outage, in a tenth of a minute: every request issued, no failure rows, four questions answered', async () => {
  const { figures, problems, remarks } = await outage({
    seed: 4,
    requests: 30,
    compression: 180,
    isCold: false,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
  expect(problems).toEqual([]);
  expect(Object.keys(figures)).toEqual(
    expect.arrayContaining(['requests', 'issued', 'failures', 'lost', 'outageSeconds', 'recoverySeconds']),
  );
  expect(figures).toMatchObject({
    duplicateCertificates: 0,
    duplicateSerials: 0,
    signaturesWithoutRow: 0,
    rowsWithoutCertificate: 0,
  });
  expect(figures).toMatchObject({ requests: 30, issued: 30, failures: 0, lost: 0 });
  for (const question of [
    'Can new certificates be issued?',
    'Do existing ones still work?',
    'What fails?',
    'How long until the backlog is gone?',
  ]) {
    expect(remarks).toContain(question);
    expect(figures.answers).toContainEqual({ question, answer: expect.stringMatching(/^[A-Z].*\.$/) });
  }
});
