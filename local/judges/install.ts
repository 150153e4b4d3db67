import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isNetworkFailure } from '../localstack/install.ts';
import { runHolding, underLock } from '../localstack/lock.ts';
import { runToEnd } from '../setup/children.mjs';
import { withLog } from '../setup/log.mjs';
import { SetUpError, userCache } from '../setup/machine.mjs';
import { step } from '../setup/steps.mjs';
import { findGo, findPython, goEnvironment, missing, type Unavailable } from './prerequisites.ts';

/** Judges that need Go. Absolute paths. */
export interface GoJudges {
  readonly kind: 'installed';
  /** The go command itself, for what is built at the time. */
  readonly go: string;
  readonly zlint: string;
}

/** Judges that need Python. */
export interface PythonJudges {
  readonly kind: 'installed';
  /** Python of the virtual environment that has pkilint and pyca/cryptography. */
  readonly python: string;
}

export interface Judges {
  readonly go: GoJudges | Unavailable;
  readonly python: PythonJudges | Unavailable;
}

/** The last that builds through the module proxy: later ones need a version of publicsuffix-go that it refuses. */
const zlint = {
  version: 'v3.6.8',
  module: 'github.com/zmap/zlint/v3',
  /** Of the module's files, as in a go.sum; its own go.sum holds those of what it needs. */
  checksum: 'h1:ZvdfwSgqPxeD2Sb0yhH/7jzrpFHBKAjPhzKr1vVev9c=',
} as const;

const requirements = fileURLToPath(new URL('./requirements.txt', import.meta.url));

/** Written into the virtual environment when it is whole; one without it is what an interrupted set-up left. */
const marker = 'complete';

/**
 * Puts the outside judges of our certificates into the user's cache folder, where they are not there yet: with go and
 * pip, as the user has configured them, in versions that are pinned here. Says what it does on stderr, and nothing when
 * there is nothing to do.
 *
 * @returns Unavailable for those that this machine cannot have
 * @throws SetUpError when go or pip fail for another reason than the network
 */
export async function installJudges(): Promise<Judges> {
  return { go: await installGoJudges(), python: await installPythonJudges() };
}

async function installGoJudges(): Promise<GoJudges | Unavailable> {
  const go = findGo();
  if (go === undefined) return missing('go');
  const program = join(userCache, `zlint-${zlint.version}`, 'zlint');
  if (!runs(program, ['-version'])) {
    const failure = await unlessOffline('zlint', () => installZlint(program, go));
    if (failure !== undefined) return failure;
  }
  return { kind: 'installed', go, zlint: program };
}

/** Built aside, then renamed to its place: it is whole or not there, and of several at once each makes the same. */
async function installZlint(program: string, go: string): Promise<void> {
  mkdirSync(join(program, '..'), { recursive: true });
  const aside = mkdtempSync(join(program, '..', 'building-'));
  try {
    await step(`installing zlint ${zlint.version} into the cache folder (go install)`, () =>
      withLog('zlint-go.log', async (log) => {
        const env = { ...goEnvironment(), GOBIN: aside };
        const what = `${zlint.module}/cmd/zlint@${zlint.version}`;
        return { code: await runToEnd(go, ['install', what], { env, stdio: log }), what: `go install ${what}` };
      }),
    );
    requireChecksum(join(aside, 'zlint'), go);
    renameSync(join(aside, 'zlint'), program);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** What the binary says it was built from: go.sum's own word, which a proxy without checksum database cannot change. */
function requireChecksum(binary: string, go: string): void {
  const { stdout } = spawnSync(go, ['version', '-m', binary], { env: goEnvironment(), encoding: 'utf8' });
  const expected = ['mod', zlint.module, zlint.version, zlint.checksum];
  const isBuiltFromIt = stdout.split('\n').some((line) => line.trim().split(/\s+/).join(' ') === expected.join(' '));
  if (!isBuiltFromIt) {
    throw new SetUpError(
      `${zlint.module} ${zlint.version} is not what was published (${zlint.checksum}): look at GOPROXY, then run the same again.`,
    );
  }
}

async function installPythonJudges(): Promise<PythonJudges | Unavailable> {
  const hash = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const folder = join(userCache, `judges-${hash}`);
  const venv = join(folder, 'venv');
  const installed = { kind: 'installed', python: join(venv, 'bin', 'python') } as const;
  const isWhole = () => existsSync(join(venv, marker)) && runs(installed.python, ['-c', '']);
  if (isWhole()) return installed;

  const python = findPython();
  if (python === undefined) return missing('python');
  mkdirSync(folder, { recursive: true });
  const failure = await unlessOffline('pkilint and pyca/cryptography', () =>
    underLock(join(folder, 'lock'), python, async (lock) => {
      if (isWhole()) return;
      rmSync(venv, { recursive: true, force: true });
      await installWithPip(venv, python, lock);
      writeFileSync(join(venv, marker), '');
    }),
  );
  return failure ?? installed;
}

async function installWithPip(venv: string, python: string, lock: number): Promise<void> {
  await step('installing pkilint and pyca/cryptography into the cache folder (pip)', () =>
    withLog('judges-pip.log', async (log) => {
      const made = await runHolding(python, ['-m', 'venv', venv], { log, lock });
      if (made !== 0) return { code: made, what: 'python -m venv' };
      const options = [
        '--disable-pip-version-check',
        '--no-input',
        '--progress-bar',
        'off',
        '--no-deps',
        '--require-hashes',
      ];
      const args = ['-m', 'pip', 'install', ...options, '--requirement', requirements];
      return { code: await runHolding(join(venv, 'bin', 'python'), args, { log, lock }), what: 'pip install' };
    }),
  );
}

const runs = (program: string, args: readonly string[]): boolean =>
  spawnSync(program, args, { stdio: 'ignore' }).status === 0;

async function unlessOffline(what: string, install: () => Promise<void>): Promise<Unavailable | undefined> {
  try {
    await install();
    return undefined;
  } catch (error) {
    if (!(error instanceof SetUpError) || !isOffline(error.message)) throw error;
    const sentence = `The judges ${what} could not be downloaded: make sure that go and pip reach their registries (proxy, mirror, certificates), then run the same again. ${error.message}`;
    return { kind: 'unavailable', missing: 'network', sentence };
  }
}

/** What pip says when it does not get through, and what go does. */
export const isOffline = (text: string): boolean =>
  isNetworkFailure(text) || /\bdial tcp\b|no such host|i\/o timeout|proxyconnect|TLS handshake timeout/.test(text);
