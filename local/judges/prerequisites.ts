import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isExecutable, packageManager, programsNamed } from '../setup/machine.mjs';

/** Why a judge cannot be had. Nothing is wrong with the project: whoever wanted its verdict goes on without it, and says this. */
export interface Unavailable {
  readonly kind: 'unavailable';
  readonly missing: 'go' | 'python' | 'network';
  /** One sentence, with the cure. */
  readonly sentence: string;
}

type PackageManagerKind = ReturnType<typeof packageManager>['kind'];

/** Debian 12's own Go is 1.19; what go.dev has is the same everywhere. */
const cures: Readonly<Record<'go' | 'python', Readonly<Record<PackageManagerKind, string>>>> = {
  go: {
    apt: 'install it from https://go.dev/dl/, or from Debian 13 on with `sudo apt-get install -y golang-go`',
    dnf: 'run `sudo dnf install -y golang`',
    brew: 'run `brew install go`',
    unknown: 'install it from https://go.dev/dl/',
  },
  python: {
    apt: 'run `sudo apt-get install -y python3-venv`',
    dnf: 'run `sudo dnf install -y python3`',
    brew: 'run `brew install python3`',
    unknown: 'install it with its package manager',
  },
};

const needs = {
  go: 'zlint and the TLS server in Go need Go 1.24 or later',
  python: 'pkilint and pyca/cryptography need Python 3.11 or later (with its venv module)',
};

/** @param manager the machine's own by default */
export function missing(need: keyof typeof needs, manager = packageManager().kind): Unavailable {
  const sentence = `${needs[need]}, which this machine lacks: ${cures[need][manager]}, then run the same again.`;
  return { kind: 'unavailable', missing: need, sentence };
}

/**
 * Go as it is installed, not as it would download itself (GOTOOLCHAIN=local).
 * @returns the path of its program
 */
export function findGo(): string | undefined {
  return programsNamed('go').find((path) => {
    const { stdout, status } = spawnSync(path, ['env', 'GOVERSION'], { env: goEnvironment(), encoding: 'utf8' });
    const [, major, minor] = /^go(\d+)\.(\d+)/.exec(status === 0 ? stdout : '') ?? [];
    return Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 24);
  });
}

/** The user's own, with nothing that would download another Go. */
export const goEnvironment = (): NodeJS.ProcessEnv => ({ ...process.env, GOTOOLCHAIN: 'local' });

/**
 * A Python that can make virtual environments. Candidates are run, not only found: a version manager's stand-in may be
 * on the PATH with no Python behind it, and Debian's may come without venv.
 *
 * @returns the path of its program
 */
export function findPython(): string | undefined {
  const works = 'import ensurepip, fcntl, sys, venv; sys.exit(sys.version_info < (3, 11))';
  const candidates = [...pyenvPythons(), ...programsNamed('python3')];
  return candidates.find((path) => spawnSync(path, ['-c', works], { stdio: 'ignore' }).status === 0);
}

function pyenvPythons(): string[] {
  const versions = join(process.env.PYENV_ROOT || join(homedir(), '.pyenv'), 'versions');
  if (!existsSync(versions)) return [];
  return readdirSync(versions)
    .filter((name) => /^3\.\d+\.\d+$/.test(name))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
    .map((name) => join(versions, name, 'bin', 'python3'))
    .filter(isExecutable);
}
