import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { renderErrors } from '../../docs/render-errors.ts';

it('docs/errors.md is what npm run docs makes of the closed set of errors', () => {
  expect(readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')).toBe(renderErrors());
});
