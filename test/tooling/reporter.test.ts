import { spawnSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { project } from '../../local/setup/machine.mjs';
import { summaryLine } from '../reporter.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** Runs vitest, with our reporter, on these files alone: the last lines of its output, and its exit code. */
function vitest(files: Record<string, string>): { lines: string[]; last: string | undefined; code: number | null } {
  const root = temporaryFolder('reporter');
  symlinkSync(join(project, 'node_modules'), join(root, 'node_modules'));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(root, name), `import { beforeAll, describe, it } from 'vitest';\n${text}`);
  }
  const reporters = ['default', join(project, 'test', 'reporter.ts')];
  const globalSetup = 'set-up.mjs' in files ? ['set-up.mjs'] : [];
  writeFileSync(
    join(root, 'vitest.config.mjs'),
    `export default ${JSON.stringify({ test: { reporters, globalSetup } })};`,
  );
  const all = [join(project, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--root', root];
  const { stdout, status } = spawnSync(process.execPath, all, { encoding: 'utf8' });
  const lines = stdout.trimEnd().split('\n');
  return { lines, last: lines.at(-1), code: status };
}

describe('the summary line', () => {
  it('names what was skipped only when something was', () => {
    expect(summaryLine({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed');
    expect(summaryLine({ passed: 3, failed: 1, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped');
  });

  const passing = `it('passes', () => {});`;

  it.each([
    { what: 'all pass', files: { 'a.test.ts': passing, 'b.test.ts': passing }, last: '2 passed, 0 failed', code: 0 },
    {
      what: 'one fails and one is skipped',
      files: { 'a.test.ts': `${passing} it('fails', () => { throw new Error('x'); }); it.skip('waits', () => {});` },
      last: '1 passed, 1 failed, 1 skipped',
      code: 1,
    },
    {
      what: 'a file does not load',
      files: { 'a.test.ts': passing, 'b.test.ts': `import './absent.ts';` },
      last: '1 passed, 1 failed',
      code: 1,
    },
    {
      what: 'a hook throws',
      files: { 'a.test.ts': `describe('x', () => { beforeAll(() => { throw new Error('x'); }); ${passing} });` },
      last: '0 passed, 1 failed, 1 skipped',
      code: 1,
    },
    {
      what: 'the set-up of all throws',
      files: { 'a.test.ts': passing, 'set-up.mjs': `export default () => { throw new Error('x'); };` },
      last: '0 passed, 1 failed',
      code: 1,
    },
    {
      what: 'an error belongs to no test',
      files: { 'a.test.ts': `${passing} void Promise.reject(new Error('x'));` },
      last: '1 passed, 1 failed',
      code: 1,
    },
    {
      what: 'all are skipped',
      files: { 'a.test.ts': `it.skip('waits', () => {});` },
      last: '0 passed, 1 failed, 1 skipped',
      code: 1,
    },
    { what: 'there is no test', files: {}, last: '0 passed, 1 failed', code: 1 },
  ])('is the last, with the exit code that fits, when $what', ({ files, last, code }) => {
    expect(vitest(files)).toMatchObject({ last, code });
  });

  it('comes after the names of what was skipped, with why', () => {
    const waiting = `describe.skip('the moon (skipped: no rocket)', () => { it('a', () => {}); it('b', () => {}); });`;
    const { lines } = vitest({ 'a.test.ts': `${passing} ${waiting}` });
    expect(lines.slice(-2)).toEqual([
      'skipped: a.test.ts: the moon (skipped: no rocket): 2',
      '1 passed, 0 failed, 2 skipped',
    ]);
  });

  it('names the outermost suite or test that was skipped, not the one round it that was not', () => {
    const moon = `describe.skip('the moon (skipped: no rocket)', () => { describe('far side', () => { it('a', () => {}); }); });`;
    const alone = `it.skip('mars (skipped: no fuel)', () => {});`;
    const { lines } = vitest({ 'a.test.ts': `describe('space', () => { ${passing} ${moon} ${alone} });` });
    expect(lines.slice(-3)).toEqual([
      'skipped: a.test.ts: space > the moon (skipped: no rocket): 1',
      'skipped: a.test.ts: space > mars (skipped: no fuel): 1',
      '1 passed, 0 failed, 2 skipped',
    ]);
  });

  it('names a test that gave up by itself, with why', () => {
    const alone = `it('mars', (context) => context.skip('no fuel'));`;
    const { lines } = vitest({ 'a.test.ts': `describe('space', () => { ${passing} ${alone} });` });
    expect(lines.slice(-2)).toEqual([
      'skipped: a.test.ts: space > mars (skipped: no fuel): 1',
      '1 passed, 0 failed, 1 skipped',
    ]);
  });
});
