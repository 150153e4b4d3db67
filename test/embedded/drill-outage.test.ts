import { expect, it } from 'vitest';
import { outage } from '../drills/outage.ts';

it('outage, in a tenth of a minute: every request issued, no failure rows, four questions answered', async () => {
  const { figures, problems, remarks } = await outage({
    seed: 4,
    requests: 30,
    compression: 180,
    onProgress: () => undefined,
  });
  expect(problems).toEqual([]);
  expect(Object.keys(figures)).toEqual(['requests', 'issued', 'failures', 'lost', 'outageSeconds', 'recoverySeconds']);
  expect(figures).toMatchObject({ requests: 30, issued: 30, failures: 0, lost: 0 });
  for (const question of [
    'Can new certificates be issued?',
    'Do existing ones still work?',
    'What fails?',
    'How long until the backlog is gone?',
  ]) {
    expect(remarks).toContain(question);
  }
});
