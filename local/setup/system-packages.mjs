import { spawnSync } from 'node:child_process';

import { runToEnd } from './children.mjs';
import { withLog } from './log.mjs';
import { findProgram, packageManager, programsNamed, SetUpError } from './machine.mjs';
import { step } from './steps.mjs';

/**
 * What the operating system has to bring, by what it is for, and the packages that bring it.
 *
 * @typedef {'compiler' | 'make' | 'python' | 'softhsm'} Need
 * @type {Record<Need, { name: string, apt: string, dnf: string }>}
 */
const needs = {
  compiler: { name: 'a C++ compiler', apt: 'g++', dnf: 'gcc-c++' },
  make: { name: 'make', apt: 'make', dnf: 'make' },
  python: { name: 'Python 3', apt: 'python3', dnf: 'python3' },
  softhsm: { name: 'SoftHSM2', apt: 'softhsm2', dnf: 'softhsm' },
};

/**
 * What is needed to compile pkcs11js (node-gyp: all three) and the PKCS#11 shim (the compiler), and is not there.
 *
 * @returns {Need[]}
 */
export function missingForCompiling() {
  /** @type {Need[]} */
  const missing = [];
  if (findProgram('g++') === undefined || findProgram('cc') === undefined) missing.push('compiler');
  if (findProgram('make') === undefined) missing.push('make');
  if (findPython() === undefined) missing.push('python');
  return missing;
}

/**
 * A Python that node-gyp can use. Found ones are run, not only looked at: a version manager's stand-in may be on the
 * PATH with no Python behind it.
 */
export function findPython() {
  const enough = 'import sys; sys.exit(sys.version_info < (3, 8))';
  return programsNamed('python3').find((path) => spawnSync(path, ['-c', enough], { stdio: 'ignore' }).status === 0);
}

/**
 * Installs what is missing where set-up may, else stops with the one command that installs it.
 *
 * @param {readonly Need[]} missing
 */
export async function provide(missing) {
  if (missing.length === 0) return;
  const manager = packageManager();
  if (!manager.mayInstall) throw new SetUpError(missingSentence(missing, manager.kind));
  const packages = missing.map((need) => needs[need].apt);
  await step(`installing ${packages.join(', ')} (apt-get)`, () => aptInstall(packages));
}

/**
 * @param {readonly Need[]} missing
 * @param {'apt' | 'dnf' | 'brew' | 'unknown'} manager
 */
export function missingSentence(missing, manager) {
  const names = listed(missing.map((need) => needs[need].name));
  const what = `Mintmark needs ${names}, which this machine lacks`;
  if (manager === 'unknown')
    return `${what}: install ${missing.length === 1 ? 'it' : 'them'} with its package manager, then run the same again.`;
  return `${what}: run \`${installCommand(missing, manager)}\`, then the same again.`;
}

/**
 * @param {readonly Need[]} missing
 * @param {'apt' | 'dnf' | 'brew'} manager
 */
function installCommand(missing, manager) {
  if (manager === 'apt') {
    return `sudo apt-get update && sudo apt-get install -y ${missing.map((need) => needs[need].apt).join(' ')}`;
  }
  if (manager === 'dnf') return `sudo dnf install -y ${missing.map((need) => needs[need].dnf).join(' ')}`;
  // The compiler, make and Python come with Apple's own tools, which are no Homebrew package.
  const apple = missing.some((need) => need !== 'softhsm') ? ['xcode-select --install'] : [];
  const homebrew = missing.includes('softhsm') ? ['brew install softhsm'] : [];
  return [...apple, ...homebrew].join('; ');
}

/** @param {readonly string[]} words */
function listed(words) {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** @param {readonly string[]} packages */
async function aptInstall(packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '-y', '-q', '--no-install-recommends', ...packages];
  await withLog('apt-get.log', async (log) => {
    // The lists of a bare image are empty, those of an old one are stale: without fresh ones an install may not find,
    // or find what the mirror no longer has.
    const updated = await runToEnd('apt-get', ['update', '-q'], { env, stdio: log });
    if (updated !== 0) return { code: updated, what: 'apt-get update' };
    return { code: await runToEnd('apt-get', install, { env, stdio: log }), what: `apt-get ${install.join(' ')}` };
  });
}
