import { afterEach, describe, expect, it, vi } from 'vitest';
import { isUri, longestUri } from '../../shared/issuance/name-forms.ts';
import { matchTemplate, misplacedPlaceholder } from '../../shared/issuance/name-pattern.ts';

/** What looks into a text; each call is a step, however long the text. */
const looks = ['startsWith', 'endsWith', 'includes', 'indexOf', 'lastIndexOf', 'slice', 'substring', 'split'] as const;

/** How many steps matching takes, and whether it is a match. */
function steps(template: string, value: string): { readonly count: number; readonly isMatch: boolean } {
  const spies = looks.map((name) => vi.spyOn(String.prototype, name));
  const isMatch = matchTemplate('uniformResourceIdentifier', template, value) !== undefined;
  const count = spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
  vi.restoreAllMocks();
  return { count, isMatch };
}

afterEach(() => vi.restoreAllMocks());

describe('a name of many pieces', () => {
  // Each piece has its placeholder between two texts that are in the name many times: there are as many ways to divide it as
  // there are places to begin and to end.
  const pieces = 12;
  const templateOf = (last: string) => `urn:x/${Array.from({ length: pieces }, () => 'a-{label}-a').join('/')}/${last}`;
  const valueOf = (repeats: number, last: string) =>
    `urn:x/${Array.from({ length: pieces }, () => `a-${'a-'.repeat(repeats)}a`).join('/')}/${last}`;
  const template = templateOf('{deviceId}-end');

  it('is of a template that a profile may have, and no longer than names are looked at', () => {
    expect(misplacedPlaceholder('uniformResourceIdentifier', template)).toBeUndefined();
    expect(valueOf(80, 'pump-7-end').length).toBeLessThan(longestUri);
    expect(isUri(valueOf(80, 'pump-7-end'))).toBe(true);
  });

  it('is looked at piece by piece, each once: no more often for its length, whether it matches or not', () => {
    const short = steps(template, valueOf(1, 'pump-7-end'));
    expect(short.isMatch).toBe(true);
    expect(short.count).toBeGreaterThan(pieces);
    expect(steps(template, valueOf(80, 'pump-7-end'))).toEqual(short);
    const refused = steps(template, valueOf(80, 'pump-7-END'));
    expect(refused.isMatch).toBe(false);
    expect(refused.count).toBeLessThanOrEqual(short.count);
  });
});
