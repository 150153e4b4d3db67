import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout's root folder. */
export const project = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where set-up keeps what belongs to the user and not to the checkout. Not created until it is needed. */
export const userCache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'mintmark');

/** Where set-up keeps what it made for this checkout: it goes when node_modules goes. */
export const projectCache = join(project, 'node_modules', '.cache', 'mintmark');

/**
 * Where Node keeps what it compiled, and the JavaScript that it made of TypeScript, for the next process: loading the AWS
 * clients anew costs more than most of what is then done with them. Where it may not write, Node does without; a variable
 * that is set already wins.
 */
export const compileCache = { NODE_COMPILE_CACHE: join(projectCache, 'compiled') };

/** A reason to stop that is the user's to mend: one sentence, which names the cure. */
export class SetUpError extends Error {
  /** @param {string} sentence */
  constructor(sentence) {
    super(sentence);
    this.name = 'SetUpError';
  }
}

/**
 * @param {string} name
 * @returns {string | undefined} the path of an executable file on the PATH
 */
export function findProgram(name) {
  return programsNamed(name)[0];
}

/** @param {string} name */
export function programsNamed(name) {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .filter(isExecutable);
}

/** @param {string} path */
export function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
  } catch {
    return false;
  }
  return statSync(path).isFile();
}

/**
 * @typedef {object} PackageManager
 * @property {'apt' | 'dnf' | 'brew' | 'unknown'} kind
 * @property {boolean} mayInstall whether set-up itself may install: as root on Debian and its kin only, since there
 *   nobody is asked for a password and nothing outside the package manager's own care is touched
 */

/** @returns {PackageManager} */
export function packageManager() {
  if (process.platform === 'darwin') return { kind: 'brew', mayInstall: false };
  if (findProgram('apt-get') !== undefined && findProgram('dpkg') !== undefined && isDebianKin()) {
    return { kind: 'apt', mayInstall: process.getuid?.() === 0 };
  }
  if (findProgram('dnf') !== undefined) return { kind: 'dnf', mayInstall: false };
  return { kind: 'unknown', mayInstall: false };
}

function isDebianKin() {
  let release;
  try {
    release = readFileSync('/etc/os-release', 'utf8');
  } catch {
    return false;
  }
  return /^(?:ID|ID_LIKE)=.*\b(?:debian|ubuntu)\b/m.test(release);
}
