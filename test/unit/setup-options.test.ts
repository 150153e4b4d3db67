import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { parseStartOptions, startUsage, swallowedByNpm } from '../../local/setup/options.mjs';
import { temporaryFolder } from '../support/temporary-folder.ts';

describe('the options of npm start', () => {
  const folder = temporaryFolder('options');

  it('has defaults for all', () => {
    expect(parseStartOptions([])).toEqual({
      kind: 'run',
      options: {
        csr: undefined,
        out: 'out',
        exit: false,
        signer: 'pkcs11',
        allowAsymmetric: false,
        cloud: 'embedded',
      },
    });
  });

  it('takes each', () => {
    const parsed = parseStartOptions(['--csr', folder, '--out', 'elsewhere', '--exit', '--cloud', 'localstack']);
    const options = { csr: folder, out: 'elsewhere', exit: true, cloud: 'localstack' };
    expect(parsed).toMatchObject({ kind: 'run', options });
    expect(parseStartOptions(['--signer', 'awskms'])).toMatchObject({ options: { signer: 'awskms' } });
    expect(parseStartOptions(['--signer', 'awskms-cloudhsm', '--allow-asymmetric'])).toMatchObject({
      options: { signer: 'awskms-cloudhsm', allowAsymmetric: true },
    });
    expect(parseStartOptions(['--docker', '--cloud', 'localstack'])).toMatchObject({
      options: { cloud: 'localstack-docker' },
    });
  });

  it('shows help whatever else is asked for', () => {
    expect(parseStartOptions(['--csr', join(folder, 'absent'), '--help'])).toEqual({ kind: 'help' });
  });

  it.each([
    { args: ['--nonsense'], sentence: /^Unknown option '--nonsense'\.$/ },
    { args: ['folder'], sentence: /^Unexpected argument 'folder'\.$/ },
    { args: ['--csr'], sentence: /^Option '--csr <value>' argument missing\.$/ },
    { args: ['--exit=yes'], sentence: /'--exit' does not take an argument\.$/ },
    { args: ['--csr', join(folder, 'absent')], sentence: /absent is not a folder\.$/ },
    { args: ['--csr', ''], sentence: /is not a folder\.$/ },
    { args: ['--cloud', 'aws'], sentence: /^--cloud is embedded or localstack, not 'aws'\.$/ },
    { args: ['--signer', 'kms'], sentence: /^--signer is pkcs11, awskms or awskms-cloudhsm, not 'kms'\.$/ },
    { args: ['--allow-asymmetric'], sentence: /^--allow-asymmetric goes with --signer awskms-cloudhsm only\.$/ },
    { args: ['--docker'], sentence: /^--docker goes with --cloud localstack only\.$/ },
    { args: ['--out', ''], sentence: /^--out needs the name of a folder\.$/ },
  ])('refuses $args in one sentence', ({ args, sentence }) => {
    expect(parseStartOptions(args)).toEqual({ kind: 'wrong', sentence: expect.stringMatching(sentence) });
  });

  it('refuses a file where a folder is needed', () => {
    const file = join(folder, 'device.csr');
    writeFileSync(file, '');
    expect(parseStartOptions(['--csr', file])).toEqual({ kind: 'wrong', sentence: `--csr ${file} is not a folder.` });
  });

  it('names every option in the usage', () => {
    for (const option of ['--csr DIR', '--out DIR', '--exit', '--cloud NAME', '--docker', '--help'])
      expect(startUsage).toContain(option);
  });
});

describe('an option without the -- before it', () => {
  it('is noticed, although npm keeps it', () => {
    expect(swallowedByNpm({ npm_config_exit: 'true', npm_config_yes: 'true' })).toBe(
      'npm took --exit for itself: put -- before it, as in npm start -- --exit.',
    );
    expect(swallowedByNpm({ npm_config_yes: 'true', npm_config_cache: '/tmp' })).toBeUndefined();
  });
});
