import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { findProgram, project, SetUpError } from '../setup/machine.mjs';
import type { End, LocalStackDied } from './died.ts';
import { diedOf } from './died.ts';
import { localStackVersion } from './prerequisites.mjs';
import { untilReady } from './ready.ts';
import { claimPort, clientEnvironment, executor, type LocalStack, packageVariables, sharedVariables } from './start.ts';

export interface DockerOptions {
  readonly region: string;
  /** Variables that every function gets over its own. */
  readonly functionEnvironment: Readonly<Record<string, string>>;
  /** Holds what the functions read and write (tokens, the record of signatures), and gets LocalStack's log. */
  readonly folder: string;
  /** What else the functions need of this machine (SoftHSM2): folders, mounted at the same path, to be read. */
  readonly libraries: readonly string[];
  /** Gives the start up. */
  readonly signal?: AbortSignal;
  /** As in LocalStackOptions. */
  readonly logKeptIn?: string;
  /** Milliseconds that the container has to end by itself. */
  readonly stopLimit?: number;
}

/** The image is built with its own virtual environment here. */
const python = '/opt/code/localstack/.venv/bin/python';

const image = `localstack/localstack:${localStackVersion}`;

/** What whoever starts it is to know: without Docker a stand-in for Java keeps it on loopback (executor/, dynamodb_local.py). */
export const openToTheNetwork =
  'DynamoDB Local, in the container, listens on all addresses of this machine: whoever reaches it over the network can read and write its tables. Start LocalStack without --docker, or behind a firewall, where that matters.';

/** Pulling the image takes longer than anything else. */
const startLimit = 600_000;

const defaultStopLimit = 10_000;

/**
 * `docker run` for LocalStack in a container: the image of the same version, the last that starts without an account.
 * Python, Java and DynamoDB Local are the image's; functions are the same processes as without Docker, in the
 * container, with the checkout's Node and libraries. It shares the machine's network, so that it reaches the stub on
 * loopback and listens there itself; but DynamoDB Local, started by the image's own Java, does not.
 *
 * @returns docker's arguments
 */
export function dockerArguments(port: number, identity: string, options: DockerOptions): string[] {
  const variables = {
    ...sharedVariables(port),
    ...packageVariables(identity, options.functionEnvironment, process.execPath),
  };
  const readOnly = [project, process.execPath, ...options.libraries];
  return [
    'run',
    '--rm',
    '--init',
    `--name=${containerName(identity)}`,
    // Its standard input is LocalStack's lifeline.
    '--interactive',
    '--network=host',
    `--volume=${options.folder}:${options.folder}`,
    ...readOnly.map((path) => `--volume=${path}:${path}:ro`),
    ...Object.entries(variables).map(([name, value]) => `--env=${name}=${value}`),
    `--env=PYTHONPATH=${executor}`,
    `--entrypoint=${python}`,
    image,
    '-m',
    'mintmark_localstack',
  ];
}

const containerName = (identity: string): string => `mintmark-${identity}`;

/** @throws SetUpError when there is no Docker, or it does not answer, or this is not Linux */
export function requireDocker(): string {
  const cure = 'start LocalStack without --docker';
  // The functions' libraries are this machine's, and a container's system is Linux.
  if (process.platform !== 'linux') throw new SetUpError(`LocalStack in Docker is for Linux: ${cure}.`);
  const orInstall = `${cure}, or install and start Docker (https://docs.docker.com/get-docker/).`;
  const docker = findProgram('docker');
  if (docker === undefined)
    throw new SetUpError(`LocalStack in Docker needs Docker, which this machine lacks: ${orInstall}`);
  const { status } = spawnSync(docker, ['version', '--format', '{{.Server.Version}}'], { stdio: 'ignore' });
  if (status !== 0)
    throw new SetUpError(`LocalStack in Docker needs Docker, whose service does not answer: ${orInstall}`);
  return docker;
}

/**
 * As `startLocalStack`, in Docker. Not tested by the project, whose test machine has no Docker.
 *
 * @throws SetUpError as requireDocker
 * @throws LocalStackDied when it does not come up
 * @throws the signal's reason
 */
export async function startLocalStackInDocker(options: DockerOptions): Promise<LocalStack> {
  const { signal } = options;
  signal?.throwIfAborted();
  const docker = requireDocker();
  const port = await claimPort(0);
  const identity = randomUUID();
  const logFile = join(options.folder, 'localstack.log');
  const log = openSync(logFile, 'a');
  const child = spawn(docker, dockerArguments(port, identity, options), {
    stdio: ['pipe', log, log],
    detached: true,
  });
  closeSync(log);
  // Of a container that has ended; its end is what `exited` tells.
  child.stdin?.on('error', () => {});

  const circumstances = { port, logFile, logKeptIn: options.logKeptIn, reinstall: `run \`docker pull ${image}\`` };
  const ended = new Promise<End>((resolve) => {
    child.once('error', ({ message }) => resolve({ kind: 'not started', why: message }));
    child.once('exit', (code, by) => {
      resolve(by === null ? { kind: 'exit', code: code ?? 0 } : { kind: 'signal', signal: by });
    });
  });
  let stopping = false;
  const exited: Promise<LocalStackDied | undefined> = ended.then((end) =>
    stopping ? undefined : diedOf(end, circumstances),
  );
  const stop = async () => {
    stopping = true;
    child.stdin?.destroy();
    const limit = options.stopLimit ?? defaultStopLimit;
    if (await within(ended, limit)) return;
    await removeContainer(docker, containerName(identity), limit);
    // Where docker's service hangs, its command line does too.
    child.kill('SIGKILL');
    await ended;
  };

  const endpoint = `http://127.0.0.1:${port}`;
  try {
    const isReady = await untilReady({ endpoint, identity, limit: startLimit, exited, signal });
    if (!isReady) throw diedOf({ kind: 'silent', seconds: startLimit / 1000 }, circumstances);
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint, environment: clientEnvironment(endpoint, options.region), logFile, exited, stop };
}

/** Gives up after as long as a container has to end by itself: what cannot be reached cannot be removed. */
async function removeContainer(docker: string, name: string, limit: number): Promise<void> {
  const remove = spawn(docker, ['rm', '--force', name], { stdio: 'ignore' });
  const done = new Promise<void>((resolve) => {
    remove.once('error', () => resolve());
    remove.once('exit', () => resolve());
  });
  if (!(await within(done, limit))) remove.kill('SIGKILL');
}

/** Whether it settles within so many milliseconds. */
async function within(promise: Promise<unknown>, limit: number): Promise<boolean> {
  const timer = new AbortController();
  try {
    const late = after(limit, false, { signal: timer.signal }).catch(() => false);
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    timer.abort();
  }
}
