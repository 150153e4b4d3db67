import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { findProgram, SetUpError } from '../setup/machine.mjs';
import { localStackVersion } from './install.ts';
import { services } from './start.ts';

export interface DockerOptions {
  /** On the host's loopback address. */
  readonly port: number;
  /** As in start.ts; a loopback address in it is the container's own, so it is replaced by the host's name there. */
  readonly functionEnvironment: Readonly<Record<string, string>>;
  /** Folders and files of this machine that the functions need (SoftHSM2, its tokens, modules), at the same path. */
  readonly functionMounts: readonly string[];
}

/** By what name a container reaches the machine that it runs on. */
const host = 'host.docker.internal';

/**
 * `docker run` for LocalStack in a container, with functions in containers of their own: the image of the same version,
 * the last that starts without an account. Not tested by the project, whose test machine has no Docker.
 *
 * @returns docker's arguments
 */
export function dockerArguments(options: DockerOptions): string[] {
  const functionFlags = [
    `--add-host=${host}:host-gateway`,
    ...Object.entries(options.functionEnvironment).map(([name, value]) => `-e ${quoted(`${name}=${onHost(value)}`)}`),
    ...options.functionMounts.map((path) => `-v ${quoted(`${path}:${path}`)}`),
  ];
  const environment = {
    DISABLE_EVENTS: '1',
    LAMBDA_DOCKER_FLAGS: functionFlags.join(' '),
    SERVICES: services,
  };
  return [
    'run',
    '--rm',
    '--init',
    '--publish',
    `127.0.0.1:${options.port}:4566`,
    // LocalStack starts the functions' containers itself.
    '--volume',
    '/var/run/docker.sock:/var/run/docker.sock',
    ...Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    `localstack/localstack:${localStackVersion}`,
  ];
}

/** @throws SetUpError when there is no Docker, or it does not answer */
export function requireDocker(): string {
  const docker = findProgram('docker');
  const cure = 'start LocalStack without --docker, or install and start Docker (https://docs.docker.com/get-docker/).';
  if (docker === undefined)
    throw new SetUpError(`LocalStack in Docker needs Docker, which this machine lacks: ${cure}`);
  const { status } = spawnSync(docker, ['version', '--format', '{{.Server.Version}}'], { stdio: 'ignore' });
  if (status !== 0) throw new SetUpError(`LocalStack in Docker needs Docker, whose service does not answer: ${cure}`);
  return docker;
}

/**
 * Runs LocalStack in Docker in the foreground, until it ends; `docker` passes the terminal's signals on.
 *
 * @returns its exit code
 */
export async function runInDocker(options: DockerOptions): Promise<number> {
  const child = spawn(requireDocker(), dockerArguments(options), { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

function onHost(value: string): string {
  return value.replace(/^(https?:\/\/)(?:127\.0\.0\.1|localhost|\[::1\])(?=[:/]|$)/, `$1${host}`);
}

/** LocalStack splits LAMBDA_DOCKER_FLAGS as a shell would. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
