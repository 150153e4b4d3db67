import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { project } from '../../local/setup/machine.mjs';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** Runs a tool of node_modules/.bin; what it wrote, and how it ended. */
function run(tool: string, args: readonly string[], cwd: string = project) {
  const { status, stdout, stderr } = spawnSync(join(project, 'node_modules', '.bin', tool), args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, output: `${stdout}${stderr}` };
}

describe('the repository', () => {
  it.each([
    { tool: 'tsc', args: ['--noEmit'] },
    { tool: 'oxlint', args: ['--type-aware', '--deny-warnings'] },
    { tool: 'biome', args: ['ci', '--colors=off'] },
  ])(
    'has nothing that $tool objects to',
    ({ tool, args }) => {
      const { status, output } = run(tool, args);
      expect(status, output).toBe(0);
      // They take seconds where nothing else goes on.
    },
    300_000,
  );
});

interface Violation {
  readonly what: string;
  readonly path: string;
  readonly text: string;
  readonly rule: string;
}

const restricted = 'eslint(no-restricted-imports)';
const imports = (from: string, to: string): Violation => ({
  what: `${from} importing ${to}`,
  path: `${from}/probe-${to.replaceAll(/\W+/g, '-')}.ts`,
  text: `import { probe } from '${to}'; export const used: unknown = probe;`,
  rule: restricted,
});

const violations: readonly Violation[] = [
  ...['functions', 'cli', 'local', 'deploy', 'test'].flatMap((above) => [
    imports('shared', `../${above}/thing.ts`),
    imports('shared/issuance', `../../${above}/thing.ts`),
  ]),
  ...['cli', 'local', 'deploy', 'test'].map((other) => imports('functions', `../${other}/thing.ts`)),
  ...['functions', 'local', 'deploy', 'test'].map((other) => imports('cli', `../${other}/thing.ts`)),
  ...['functions', 'cli', 'test'].map((other) => imports('local', `../${other}/thing.ts`)),
  ...['shared', 'functions', 'cli'].flatMap((production) =>
    ['dynalite', 'fauxqs', 'vitest', 'vitest/node'].map((name) => imports(production, name)),
  ),
  ...['shared', 'shared/issuance', 'functions'].flatMap((issuing) =>
    ['@peculiar/x509', '@peculiar/asn1-schema'].map((name) => imports(issuing, name)),
  ),
  imports('shared/issuance', '../ledger/row.ts'),
  imports('shared/cluster/rules', '../../ledger/row.ts'),
  ...['functions', 'cli', 'local'].map((user) => imports(user, '../shared/ledger/row.ts')),
  imports('local/ca', '../../shared/signer/port.ts'),
  {
    what: 'a type imported against the direction',
    path: 'shared/probe-type.ts',
    text: `import type { Probe } from '../functions/thing.ts'; export type Used = Probe;`,
    rule: restricted,
  },
  {
    what: 'a re-export against the direction',
    path: 'shared/probe-export.ts',
    text: `export { probe } from '../functions/thing.ts';`,
    rule: restricted,
  },
  {
    what: 'a promise that nobody waits for',
    path: 'shared/probe-floating.ts',
    text: `const work = async (): Promise<void> => { await Promise.resolve(); }; export const probe = (): void => { work(); };`,
    rule: 'typescript(no-floating-promises)',
  },
  {
    what: 'a promise used as a condition',
    path: 'shared/probe-misused.ts',
    text: `export const probe = (work: Promise<boolean>): number => { if (work) return 1; return 2; };`,
    rule: 'typescript(no-misused-promises)',
  },
  {
    what: 'any',
    path: 'shared/probe-any.ts',
    text: `export const probe = (value: any): unknown => value;`,
    rule: 'typescript(no-explicit-any)',
  },
  {
    what: 'an error swallowed',
    path: 'shared/probe-swallowed.ts',
    text: `export const probe = (work: () => void): void => { try { work(); } catch {} };`,
    rule: 'eslint(no-empty)',
  },
  {
    what: 'a code of a closed set forgotten',
    path: 'shared/probe-switch.ts',
    text: `export const probe = (value: 'a' | 'b'): number => { switch (value) { case 'a': return 1; } return 2; };`,
    rule: 'typescript(switch-exhaustiveness-check)',
  },
];

const allowed = [
  imports('functions', '../shared/thing.ts'),
  imports('cli', '../shared/thing.ts'),
  imports('local', '../shared/thing.ts'),
  imports('local', 'dynalite'),
  imports('local', '@peculiar/x509'),
  imports('cli', '@peculiar/x509'),
  imports('shared/issuance', '../signer/index.ts'),
  imports('shared', './issuance/thing.ts'),
  ...['functions', 'cli', 'local', 'shared'].map((any) => imports('test/unit', `../../${any}/thing.ts`)),
];

describe('the lint rules', () => {
  const found = new Map<string, string[]>();

  beforeAll(() => {
    const copy = temporaryFolder('lint');
    for (const name of ['.oxlintrc.json', 'tsconfig.json', 'package.json'])
      cpSync(join(project, name), join(copy, name));
    symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'));
    for (const { path, text } of [...violations, ...allowed]) {
      mkdirSync(dirname(join(copy, path)), { recursive: true });
      writeFileSync(join(copy, path), text);
    }
    const { stdout } = run('oxlint', ['--type-aware', '--format=json', '--ignore-pattern=node_modules'], copy);
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: { filename: string; code: string }[] };
    for (const { filename, code } of diagnostics) found.set(filename, [...(found.get(filename) ?? []), code]);
  });

  it.each(violations)('refuse $what', ({ path, rule }) => {
    expect(found.get(path)).toContain(rule);
  });

  it.each(allowed)('allow $what', ({ path }) => {
    expect(found.get(path) ?? []).not.toContain(restricted);
  });

  it('count every development dependency as one', () => {
    const { devDependencies } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>;
    };
    const { overrides } = JSON.parse(readFileSync(join(project, '.oxlintrc.json'), 'utf8')) as {
      overrides: {
        files: string[];
        rules: { 'no-restricted-imports': [string, { patterns: { group?: string[] }[] }] };
      }[];
    };
    for (const folder of ['shared', 'functions', 'cli', 'deploy']) {
      const override = overrides.find(({ files }) => files.includes(`${folder}/**`));
      const groups = override?.rules['no-restricted-imports'][1].patterns.flatMap(({ group }) => group ?? []);
      for (const name of Object.keys(devDependencies)) {
        if (!name.startsWith('@types/')) expect(groups, folder).toContain(name);
      }
    }
  });
});
