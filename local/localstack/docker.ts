import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, project, SetUpError } from '../setup/machine.mjs';
import { localStackVersion } from './install.ts';
import {
  claimPort,
  clientEnvironment,
  executor,
  executorVariables,
  type LocalStack,
  LocalStackDied,
  sharedVariables,
  untilReady,
} from './start.ts';

export interface DockerOptions {
  readonly region: string;
  /** Variables that every function gets over its own. */
  readonly functionEnvironment: Readonly<Record<string, string>>;
  /** Holds what the functions read and write (tokens, the record of signatures), and gets LocalStack's log. */
  readonly folder: string;
  /** What else the functions need of this machine (SoftHSM2): folders, mounted at the same path, to be read. */
  readonly libraries: readonly string[];
}

/** The image is built with its own virtual environment here. */
const python = '/opt/code/localstack/.venv/bin/python';

/** Pulling the image takes longer than anything else. */
const startLimit = 600_000;

/**
 * `docker run` for LocalStack in a container: the image of the same version, the last that starts without an account.
 * Python, Java and DynamoDB Local are the image's; functions are the same processes as without Docker, in the
 * container, with the checkout's Node and libraries. It shares the machine's network, so that it reaches the stub on
 * loopback and listens there itself.
 *
 * @returns docker's arguments
 */
export function dockerArguments(port: number, options: DockerOptions): string[] {
  const variables = {
    ...sharedVariables(port),
    ...executorVariables(options.functionEnvironment, process.execPath),
  };
  const readOnly = [project, process.execPath, ...options.libraries];
  return [
    'run',
    '--rm',
    '--init',
    // Its standard input is LocalStack's lifeline.
    '--interactive',
    '--network=host',
    `--volume=${options.folder}:${options.folder}`,
    ...readOnly.map((path) => `--volume=${path}:${path}:ro`),
    ...Object.entries(variables).map(([name, value]) => `--env=${name}=${value}`),
    `--env=PYTHONPATH=${executor}`,
    `--entrypoint=${python}`,
    `localstack/localstack:${localStackVersion}`,
    '-m',
    'mintmark_localstack',
  ];
}

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
 */
export async function startLocalStackInDocker(options: DockerOptions): Promise<LocalStack> {
  const docker = requireDocker();
  const port = await claimPort(0);
  const logFile = join(options.folder, 'localstack.log');
  const log = openSync(logFile, 'a');
  const child = spawn(docker, dockerArguments(port, options), { stdio: ['pipe', log, log], detached: true });
  closeSync(log);

  let stopping = false;
  const exited = once(child, 'exit').then(([code]) =>
    stopping ? undefined : new LocalStackDied(`docker run ended by itself (${code}).`, readFileSync(logFile, 'utf8')),
  );
  const stop = async () => {
    stopping = true;
    child.stdin?.destroy();
    await exited;
  };
  const endpoint = `http://127.0.0.1:${port}`;
  try {
    await untilReady(endpoint, startLimit, exited, logFile);
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint, environment: clientEnvironment(endpoint, options.region), logFile, exited, stop };
}
