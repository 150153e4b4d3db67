import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isExecutable, packageManager, programsNamed } from '../setup/machine.mjs';

/** What LocalStack needs and this machine, or its network, does not give. */
export type Need = 'python' | 'java' | 'maven' | 'network' | 'docker';

/** Why LocalStack cannot run here. Nothing is wrong with the project: whoever wanted LocalStack goes on without it, or
 * stops, and says this. */
export interface Unavailable {
  readonly kind: 'unavailable';
  readonly missing: Need;
  /** One sentence, with the cure. */
  readonly sentence: string;
}

type PackageManagerKind = ReturnType<typeof packageManager>['kind'];

/** How each is installed, where a package manager has it. Debian 12 and Ubuntu up to 24.10 have no Python 3.13. */
const cures: Readonly<Record<'python' | 'java' | 'maven', Readonly<Record<PackageManagerKind, string>>>> = {
  python: {
    apt: 'install it with pyenv (`pyenv install 3.13`), or from Debian 13 on with `sudo apt-get install -y python3-venv`',
    dnf: 'run `sudo dnf install -y python3.13`',
    brew: 'run `brew install python@3.13`',
    unknown: 'install it with pyenv (`pyenv install 3.13`)',
  },
  java: {
    apt: 'run `sudo apt-get install -y default-jre-headless`',
    dnf: 'run `sudo dnf install -y java-21-openjdk-headless`',
    brew: 'run `brew install openjdk@21`, and set JAVA_HOME as it says',
    unknown: 'install one and set JAVA_HOME',
  },
  maven: {
    apt: 'run `sudo apt-get install -y maven`',
    dnf: 'run `sudo dnf install -y maven`',
    brew: 'run `brew install maven`',
    unknown: 'install it from https://maven.apache.org/',
  },
};

const names = {
  python: 'Python 3.13 (with its venv module)',
  java: 'Java 17 or later',
  maven: 'Maven, once, to download DynamoDB Local',
};

/** @param manager the machine's own by default */
export function missing(need: keyof typeof cures, manager = packageManager().kind): Unavailable {
  const sentence = `LocalStack needs ${names[need]}, which this machine lacks: ${cures[need][manager]}, then run the same again.`;
  return { kind: 'unavailable', missing: need, sentence };
}

/**
 * A Python 3.13 that can make virtual environments. Candidates are run, not only found: a version manager's stand-in may
 * be on the PATH with no Python behind it, and Debian's may come without venv.
 *
 * @returns the path of its program
 */
export function findPython(): string | undefined {
  const works = 'import ensurepip, fcntl, sys, venv; sys.exit(sys.version_info[:2] != (3, 13))';
  const candidates = [...pyenvPythons(), ...programsNamed('python3.13'), ...programsNamed('python3')];
  return candidates.find((path) => spawnSync(path, ['-c', works], { stdio: 'ignore' }).status === 0);
}

function pyenvPythons(): string[] {
  const versions = join(process.env.PYENV_ROOT || join(homedir(), '.pyenv'), 'versions');
  if (!existsSync(versions)) return [];
  return readdirSync(versions)
    .filter((name) => /^3\.13(\.|$)/.test(name))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
    .map((name) => join(versions, name, 'bin', 'python3.13'))
    .filter(isExecutable);
}

/** @returns the home folder of a Java 17 or later, as it says itself */
export function findJavaHome(): string | undefined {
  const own = process.env.JAVA_HOME;
  const candidates = [...(own ? [join(own, 'bin', 'java')].filter(isExecutable) : []), ...programsNamed('java')];
  for (const path of candidates) {
    const { stderr, status } = spawnSync(path, ['-XshowSettings:properties', '-version'], { encoding: 'utf8' });
    const home = status === 0 ? javaHomeIn(stderr) : undefined;
    if (home !== undefined) return home;
  }
  return undefined;
}

/** @param settings what `java -XshowSettings:properties` prints */
export function javaHomeIn(settings: string): string | undefined {
  const version = /^\s*java\.specification\.version = (\d+)$/m.exec(settings)?.[1];
  if (Number(version ?? 0) < 17) return undefined;
  return /^\s*java\.home = (.+)$/m.exec(settings)?.[1];
}

/** @returns the path of Maven's program, run with that Java */
export function findMaven(javaHome: string): string | undefined {
  const env = { ...process.env, JAVA_HOME: javaHome };
  return programsNamed('mvn').find((path) => spawnSync(path, ['--version'], { env, stdio: 'ignore' }).status === 0);
}
