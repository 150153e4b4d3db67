import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { withLog } from '../setup/log.mjs';
import { SetUpError } from '../setup/machine.mjs';
import { step } from '../setup/steps.mjs';
import type { HoldingOptions } from './lock.ts';
import { runHolding, underLock } from './lock.ts';
import type { Found, Unavailable } from './prerequisites.mjs';
import {
  findLocalStack,
  jarsAreWhole,
  localStackVersion,
  marker,
  pom,
  requirements,
  venvIsWhole,
} from './prerequisites.mjs';

/** LocalStack and what it runs, on this machine. Absolute paths. */
export interface LocalStackInstallation {
  readonly kind: 'installed';
  /** Python of the virtual environment that has LocalStack. */
  readonly python: string;
  readonly javaHome: string;
  /** Folder with DynamoDB Local's jars, and nothing else. */
  readonly dynamoDbLocalJars: string;
}

/**
 * Puts LocalStack and DynamoDB Local into the user's cache folder, where they are not there yet: with pip and Maven, as
 * the user has configured them, in versions that are pinned here, pip's by their hashes too. Says what it does on stderr, and nothing when there is
 * nothing to do. Of several at once, one installs; the others say for whom they
 * wait.
 *
 * @param signal gives it up; what is half-finished is made again the next time
 * @returns Unavailable when this machine cannot have it
 * @throws SetUpError when pip or Maven fail for another reason than the network
 */
export async function installLocalStack(signal?: AbortSignal): Promise<LocalStackInstallation | Unavailable> {
  const found = findLocalStack();
  if ('kind' in found) return found;
  const { folder, venv, venvPython, jars, python, javaHome, maven } = found;
  const installation = { kind: 'installed', python: venvPython, javaHome, dynamoDbLocalJars: jars } as const;
  if (python === venvPython && maven === '') return installation;

  mkdirSync(folder, { recursive: true });
  const install = async (lock: number): Promise<LocalStackInstallation | Unavailable> => {
    try {
      if (!venvIsWhole()) await makePart(venv, (part) => installWithPip(part, python, { lock, signal }));
      if (!jarsAreWhole()) await makePart(dirname(jars), (part) => fetchWithMaven(part, found, { lock, signal }));
    } catch (error) {
      if (error instanceof SetUpError && isNetworkFailure(error.message)) {
        const sentence = `LocalStack could not be downloaded: make sure that pip and Maven reach their registries (proxy, mirror, certificates), then run the same again. ${error.message}`;
        return { kind: 'unavailable', missing: ['network'], sentence };
      }
      throw error;
    }
    return installation;
  };
  return underLock(join(folder, 'lock'), python, install, signal);
}

/**
 * What pip, Maven and Java say when they do not get through, as against an answer that they do not like. pip's "from
 * versions: none" is no such word: it ends a lost connection as well as a pin that is wrong, and stands after the former's.
 */
const networkFailures = [
  /name resolution|Name or service not known|nodename nor servname|Unknown ?host/i,
  /NewConnectionError|ProxyError|Cannot connect to proxy|ReadTimeoutError|SSLError|PKIX path building failed/i,
  /Connection (?:refused|reset|timed out)|(?:connect|read) timed out|Network is unreachable|No route to host/i,
];

export function isNetworkFailure(text: string): boolean {
  return networkFailures.some((failure) => failure.test(text));
}

async function makePart(folder: string, make: (folder: string) => Promise<void>): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await make(folder);
  writeFileSync(join(folder, marker), '');
}

type Holding = Pick<HoldingOptions, 'lock' | 'signal'>;

async function installWithPip(folder: string, python: string, holding: Holding): Promise<void> {
  await step(`installing LocalStack ${localStackVersion} into the cache folder (pip)`, () =>
    withLog('localstack-pip.log', async (log) => {
      const made = await runHolding(python, ['-m', 'venv', folder], { ...holding, log });
      if (made !== 0) return { code: made, what: 'python -m venv' };
      const options = ['--disable-pip-version-check', '--no-input', '--progress-bar', 'off'];
      const args = ['-m', 'pip', 'install', ...options, '--require-hashes', '--requirement', requirements];
      return { code: await runHolding(join(folder, 'bin', 'python'), args, { ...holding, log }), what: 'pip install' };
    }),
  );
}

async function fetchWithMaven(
  folder: string,
  { maven, javaHome }: Pick<Found, 'maven' | 'javaHome'>,
  holding: Holding,
): Promise<void> {
  await step('fetching DynamoDB Local into the cache folder (mvn)', () =>
    withLog('localstack-maven.log', async (log) => {
      const args = ['--batch-mode', '--no-transfer-progress', '--strict-checksums', '--file', pom];
      const goal = [
        'dependency:copy-dependencies',
        '-DincludeScope=runtime',
        `-DoutputDirectory=${join(folder, 'jars')}`,
      ];
      const env = { ...process.env, JAVA_HOME: javaHome };
      return { code: await runHolding(maven, [...args, ...goal], { ...holding, log, env }), what: `mvn ${goal[0]}` };
    }),
  );
}
