import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { histogram, renderRenewals, renewalsOfFleet } from '../../docs/render-renewals.ts';

describe('docs/renewals.svg', () => {
  it('is what npm run docs makes', () => {
    expect(readFileSync(new URL('../../docs/renewals.svg', import.meta.url), 'utf8')).toBe(renderRenewals());
  });

  it('shows every device, and none in the second half of the window', () => {
    const { opensAt, endsAt, times } = renewalsOfFleet();
    const halves = histogram(times, opensAt, (endsAt - opensAt) / 2, 2);
    // The last device was enrolled a minute after the first, and may be that much later.
    expect(halves[0]).toBeGreaterThan(9_990);
    expect((halves[0] ?? 0) + (halves[1] ?? 0)).toBe(10_000);
  });

  it('says what docs/profiles.md says of the busiest minute', () => {
    const { opensAt, times } = renewalsOfFleet();
    const busiest = Math.max(...histogram(times, opensAt, 60_000, 30 * 24 * 60));
    expect(readFileSync(new URL('../../docs/profiles.md', import.meta.url), 'utf8')).toContain(
      `the busiest minute has ${busiest} of them`,
    );
  });
});
