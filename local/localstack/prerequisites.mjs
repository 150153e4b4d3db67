import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isExecutable, packageManager, programsNamed, userCache } from '../setup/machine.mjs';

/**
 * What LocalStack needs of this machine. Plain JavaScript without dependencies: set-up asks before it installs anything.
 *
 * @typedef {'python' | 'java' | 'maven'} Need
 *
 * @typedef {object} Unavailable why LocalStack cannot run here. Nothing is wrong with the project: whoever wanted LocalStack
 *   goes on without it, or stops, and says this.
 * @property {'unavailable'} kind
 * @property {readonly (Need | 'network')[]} missing what this machine, or its network, does not give
 * @property {string} sentence with the cure
 *
 * @typedef {object} Found LocalStack's place on this machine, and what there is to install it with; absolute paths
 * @property {string} folder
 * @property {string} venv folder of the virtual environment
 * @property {string} venvPython its Python, which has LocalStack when the environment is whole
 * @property {string} jars folder with DynamoDB Local's jars, and nothing else
 * @property {string} python that venvs are made with; the venv's own when that is whole
 * @property {string} javaHome
 * @property {string} maven empty where there is nothing to fetch
 */

export const localStackVersion = '4.14.0';

export const requirements = fileURLToPath(new URL('./requirements.txt', import.meta.url));
export const pom = fileURLToPath(new URL('./dynamodb-local.pom.xml', import.meta.url));

/** Written into a part's folder when the part is whole; a folder without it is what an interrupted set-up left. */
export const marker = 'complete';

/** @returns {Found | Unavailable} everything that is missing at once */
export function findLocalStack() {
  const { folder, venv, venvPython, jars } = places();
  const python = venvIsWhole() ? venvPython : findPython();
  const javaHome = findJavaHome();
  // Any Java will do to see whether there is a Maven at all.
  const maven = jarsAreWhole() ? '' : findMaven(javaHome);
  /** @type {Need[]} */
  const lacking = [];
  if (python === undefined) lacking.push('python');
  if (javaHome === undefined) lacking.push('java');
  if (maven === undefined) lacking.push('maven');
  if (python === undefined || javaHome === undefined || maven === undefined) return missing(lacking);
  return { folder, venv, venvPython, jars, python, javaHome, maven };
}

/** Whether LocalStack itself is installed; the Python behind its virtual environment can be taken away. */
export function venvIsWhole() {
  const { venv, venvPython } = places();
  return existsSync(join(venv, marker)) && spawnSync(venvPython, ['-c', ''], { stdio: 'ignore' }).status === 0;
}

/** Whether DynamoDB Local is. */
export const jarsAreWhole = () => existsSync(join(places().jars, '..', marker));

/** In the user's cache folder, by what is installed: another version has another place. */
function places() {
  const hash = createHash('sha256');
  for (const file of [requirements, pom]) hash.update(readFileSync(file)).update('\0');
  const folder = join(userCache, `localstack-${localStackVersion}-${hash.digest('hex').slice(0, 12)}`);
  const venv = join(folder, 'venv');
  return { folder, venv, venvPython: join(venv, 'bin', 'python'), jars: join(folder, 'dynamodb-local', 'jars') };
}

/**
 * How each is installed, where a package manager has it. Debian 12 and Ubuntu up to 24.10 have no Python 3.13.
 *
 * @type {Readonly<Record<Need, Readonly<Record<import('../setup/machine.mjs').PackageManager['kind'], string>>>>}
 */
const cures = {
  python: {
    apt: 'install Python with pyenv (`pyenv install 3.13`), or from Debian 13 on with `sudo apt-get install -y python3-venv`',
    dnf: 'run `sudo dnf install -y python3.13`',
    brew: 'run `brew install python@3.13`',
    unknown: 'install Python with pyenv (`pyenv install 3.13`)',
  },
  java: {
    apt: 'run `sudo apt-get install -y default-jre-headless`',
    dnf: 'run `sudo dnf install -y java-21-openjdk-headless`',
    brew: 'run `brew install openjdk@21`, and set JAVA_HOME as it says',
    unknown: 'install a Java and set JAVA_HOME',
  },
  maven: {
    apt: 'run `sudo apt-get install -y maven`',
    dnf: 'run `sudo dnf install -y maven`',
    brew: 'run `brew install maven`',
    unknown: 'install Maven from https://maven.apache.org/',
  },
};

/** @type {Readonly<Record<Need, string>>} */
const names = {
  python: 'Python 3.13 (with its venv module)',
  java: 'Java 17 or later',
  maven: 'Maven (once, to download DynamoDB Local)',
};

/**
 * @param {readonly Need[]} lacking at least one
 * @param {keyof typeof cures['python']} manager the machine's own by default
 * @param {boolean} isRoot likewise
 * @returns {Unavailable}
 */
export function missing(lacking, manager = packageManager().kind, isRoot = process.getuid?.() === 0) {
  const listed = new Intl.ListFormat('en').format(lacking.map((need) => names[need]));
  const cure = lacking.map((need) => cures[need][manager]).join('; ');
  const sentence = `LocalStack needs ${listed}, which this machine lacks: ${cure}; then run the same again.`;
  return { kind: 'unavailable', missing: lacking, sentence: isRoot ? sentence.replaceAll('sudo ', '') : sentence };
}

/**
 * A Python 3.13 that can make virtual environments. Candidates are run, not only found: a version manager's stand-in may
 * be on the PATH with no Python behind it, and Debian's may come without venv.
 *
 * @returns {string | undefined} the path of its program
 */
export function findPython() {
  const works = 'import ensurepip, fcntl, sys, venv; sys.exit(sys.version_info[:2] != (3, 13))';
  const candidates = [...pyenvPythons(), ...programsNamed('python3.13'), ...programsNamed('python3')];
  return candidates.find((path) => spawnSync(path, ['-c', works], { stdio: 'ignore' }).status === 0);
}

function pyenvPythons() {
  const versions = join(process.env['PYENV_ROOT'] || join(homedir(), '.pyenv'), 'versions');
  if (!existsSync(versions)) return [];
  return readdirSync(versions)
    .filter((name) => /^3\.13(\.|$)/.test(name))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
    .map((name) => join(versions, name, 'bin', 'python3.13'))
    .filter(isExecutable);
}

/** @returns {string | undefined} the home folder of a Java 17 or later, as it says itself */
export function findJavaHome() {
  const own = process.env['JAVA_HOME'];
  const candidates = [...(own ? [join(own, 'bin', 'java')].filter(isExecutable) : []), ...programsNamed('java')];
  for (const path of candidates) {
    const { stderr, status } = spawnSync(path, ['-XshowSettings:properties', '-version'], { encoding: 'utf8' });
    const home = status === 0 ? javaHomeIn(stderr) : undefined;
    if (home !== undefined) return home;
  }
  return undefined;
}

/** @param {string} settings what `java -XshowSettings:properties` prints */
export function javaHomeIn(settings) {
  const version = /^\s*java\.specification\.version = (\d+)$/m.exec(settings)?.[1];
  if (Number(version ?? 0) < 17) return undefined;
  return /^\s*java\.home = (.+)$/m.exec(settings)?.[1];
}

/**
 * The path of Maven's program. Without a Java it does not run, and is only looked for.
 *
 * @param {string | undefined} javaHome that it is to run with
 */
function findMaven(javaHome) {
  const candidates = programsNamed('mvn');
  if (javaHome === undefined) return candidates[0];
  const env = { ...process.env, JAVA_HOME: javaHome };
  return candidates.find((path) => spawnSync(path, ['--version'], { env, stdio: 'ignore' }).status === 0);
}
