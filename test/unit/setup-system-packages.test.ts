import { describe, expect, it } from 'vitest';

import { missingSentence } from '../../local/setup/system-packages.mjs';

describe('the sentence for what this machine lacks', () => {
  it('names the one apt-get command', () => {
    expect(missingSentence(['compiler', 'make', 'python'], 'apt')).toBe(
      'Mintmark needs a C++ compiler, make and Python 3, which this machine lacks: run `sudo apt-get update && sudo apt-get install -y g++ make python3`, then the same again.',
    );
  });

  it('names the one dnf command', () => {
    expect(missingSentence(['compiler', 'softhsm'], 'dnf')).toContain('`sudo dnf install -y gcc-c++ softhsm`');
  });

  it('names the one brew command', () => {
    expect(missingSentence(['softhsm'], 'brew')).toContain(
      'Mintmark needs SoftHSM2, which this machine lacks: run `brew install softhsm`',
    );
    expect(missingSentence(['compiler', 'make'], 'brew')).toContain('`xcode-select --install`');
    expect(missingSentence(['compiler', 'softhsm'], 'brew')).toContain(
      '`xcode-select --install; brew install softhsm`',
    );
  });

  it('leaves the command to the reader where the package manager is not known', () => {
    expect(missingSentence(['make'], 'unknown')).toContain('install it with its package manager');
  });
});
