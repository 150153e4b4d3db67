import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { beforeEach, describe, expect, it } from 'vitest';

import { build } from '../../local/build.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

describe('build', () => {
  let project = '';
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(project, path)), { recursive: true });
    writeFileSync(join(project, path), text);
  };
  const inDist = (path: string) => join(project, 'dist', path);

  beforeEach(() => {
    project = temporaryFolder('build');
    write(
      'functions/issue.ts',
      `import { answer } from '../shared/answer.ts'; export const handler = (): number => answer;`,
    );
    write('functions/check-cluster.ts', `export const handler = (): string => 'checked';`);
    write('shared/answer.ts', 'export const answer: number = 42;');
    write(
      'shared/signer/pkcs11-worker.ts',
      `import { createRequire } from 'node:module';
       const require = createRequire(import.meta.url);
       export const load = (): unknown => require('pkcs11js');`,
    );
    write('profiles/device-tls.yaml', readFileSync(new URL('../../profiles/device-tls.yaml', import.meta.url), 'utf8'));
    write('profiles/README.md', 'not a profile');
  });

  it('refuses a profile that would fail at cold start', async () => {
    write('profiles/broken.yaml', 'name: broken\nnonsense: true\n');
    await expect(build(project)).rejects.toThrow(/broken\.yaml.*nonsense/s);
  });

  it('refuses a profile that would refuse every request, with its file and the rule', async () => {
    const shipped = readFileSync(new URL('../../profiles/device-tls-server.yaml', import.meta.url), 'utf8');
    const commonName = shipped.replace("- serialNumber: '{deviceId}'", '- commonName: elsewhere.example.com');
    write('profiles/device-tls-server.yaml', commonName);
    await expect(build(project)).rejects.toThrow(
      /device-tls-server\.yaml:\d+:\d+: subject: no certificate .*common-name-of-a-server-among-its-names/,
    );
    expect(existsSync(inDist('issue'))).toBe(false);
  });

  it('bundles every function, and for those that need them the worker and the profiles', async () => {
    const built = await build(project);
    expect(built.map(({ name, bundles }) => [name, Object.keys(bundles).sort()])).toEqual([
      ['check-cluster', ['index.mjs', 'pkcs11-worker.mjs']],
      ['issue', ['index.mjs', 'pkcs11-worker.mjs']],
    ]);
    expect(readdirSync(inDist('check-cluster')).sort()).toEqual([
      'index.mjs',
      'index.mjs.map',
      'pkcs11-worker.mjs',
      'pkcs11-worker.mjs.map',
    ]);
    expect(readdirSync(inDist('issue/profiles'))).toEqual(['device-tls.yaml']);
    expect(built[1]?.bundles['index.mjs']).toBe(statSync(inDist('issue/index.mjs')).size);

    const issue = (await import(pathToFileURL(inDist('issue/index.mjs')).href)) as { handler: () => number };
    expect(issue.handler()).toBe(42);
  });

  it('gives bundled CommonJS packages a require, and leaves pkcs11js outside', async () => {
    write('node_modules/legacy/index.js', `exports.name = require('node:os').platform();`);
    write('functions/check-cluster.ts', `import legacy from 'legacy'; export const handler = () => legacy.name;`);
    write('node_modules/pkcs11js/index.js', `exports.found = 'beside the bundle';`);
    await build(project);
    const check = (await import(pathToFileURL(inDist('check-cluster/index.mjs')).href)) as { handler: () => string };
    expect(check.handler()).toBe(process.platform);
    const worker = (await import(pathToFileURL(inDist('issue/pkcs11-worker.mjs')).href)) as { load: () => unknown };
    expect(worker.load()).toEqual({ found: 'beside the bundle' });
    expect(readFileSync(inDist('issue/pkcs11-worker.mjs'), 'utf8')).not.toContain('beside the bundle');
  });

  it('leaves no file behind that nothing stands for any more', async () => {
    write('dist/retired/index.mjs', '');
    write('dist/check-cluster/old.mjs', '');
    write('dist/issue/profiles/retired.yaml', '');
    await build(project);
    expect(readdirSync(inDist('.')).sort()).toEqual(['check-cluster', 'issue']);
    expect(existsSync(inDist('check-cluster/old.mjs'))).toBe(false);
    expect(existsSync(inDist('issue/profiles/retired.yaml'))).toBe(false);
  });

  it('does not touch what stays the same', async () => {
    await build(project);
    const before = statSync(inDist('issue/index.mjs'));
    await build(project);
    const after = statSync(inDist('issue/index.mjs'));
    expect([after.ino, after.mtimeMs]).toEqual([before.ino, before.mtimeMs]);
  });

  it('refuses @peculiar on the issuing path, however it came there', async () => {
    write('node_modules/@peculiar/x509/index.js', `exports.slow = true;`);
    write('shared/answer.ts', `export const answer = async () => import('@peculiar/x509');`);
    await expect(build(project)).rejects.toThrow(/functions\/issue\.ts bundles .*@peculiar\/x509/);
  });

  it('allows @peculiar where nothing is issued', async () => {
    write('node_modules/@peculiar/x509/index.js', `exports.slow = true;`);
    write('functions/check-cluster.ts', `import x509 from '@peculiar/x509'; export const handler = () => x509;`);
    await expect(build(project)).resolves.toHaveLength(2);
  });

  it('has nothing to do where there are no functions', async () => {
    const empty = temporaryFolder('build');
    await expect(build(empty)).resolves.toEqual([]);
  });
});
