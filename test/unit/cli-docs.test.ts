import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { renderCommands } from '../../docs/render-cli.ts';

it("docs/cli.md is what npm run docs makes of the commands' own help", async () => {
  expect(readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')).toBe(await renderCommands());
});
