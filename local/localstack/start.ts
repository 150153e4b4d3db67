import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { project, SetUpError } from '../setup/machine.mjs';
import { removeAbandonedState, statePrefix } from '../state-folder.ts';
import { diedOf, type End, LocalStackDied } from './died.ts';
import type { LocalStackInstallation } from './install.ts';
import { untilReady } from './ready.ts';

export { LocalStackDied } from './died.ts';

export interface LocalStackOptions {
  readonly installation: LocalStackInstallation;
  readonly region: string;
  /** Variables that every function gets over its own: endpoints of what LocalStack does not have, SOFTHSM2_CONF, ... */
  readonly functionEnvironment: Readonly<Record<string, string>>;
  /** The port to listen on; a free one by default. */
  readonly port?: number;
  /** Node 24, which the functions run in; the Node that runs this by default. */
  readonly node?: string;
  /** Milliseconds until it must answer. */
  readonly startLimit?: number;
  /** Gives the start up. */
  readonly signal?: AbortSignal;
  /** Folder for the log of a LocalStack that ends by itself; in the user's cache folder by default. */
  readonly logKeptIn?: string;
}

export interface LocalStack {
  readonly endpoint: string;
  /** What an AWS client, or Serverless, needs in its environment to reach it; any credentials would do. */
  readonly environment: Readonly<Record<string, string>>;
  /** Removed with everything else by `stop`. */
  readonly logFile: string;
  /** Resolves when LocalStack has ended: with undefined after `stop`, else with what happened. Never rejects. */
  readonly exited: Promise<LocalStackDied | undefined>;
  /** Ends LocalStack with all it started, and removes its state. */
  stop(): Promise<void>;
}

/** What the project uses; the rest would only take time and memory if something asked for it. */
const services =
  'sqs,kms,dynamodb,dynamodbstreams,lambda,s3,iam,sts,logs,cloudwatch,events,sns,secretsmanager,cloudformation,ssm';

/** The folder that Python is to find the executor's package in. */
export const executor = fileURLToPath(new URL('./executor', import.meta.url));
const runtime = fileURLToPath(new URL('../lambda/runtime.ts', import.meta.url));

/** On two busy cores it has taken 20 seconds. */
const defaultStartLimit = 120_000;

/**
 * LocalStack in a process of its own, on loopback, with functions as Node processes and DynamoDB Local in a JVM. All of
 * its state is in a temporary folder of its own. Several may run at once. All of it ends with this process, whatever
 * ends that, SIGKILL included. Where no port was asked for, one that another program took meanwhile is no reason to fail:
 * it is started once more, on another.
 *
 * @throws SetUpError when the port is taken
 * @throws LocalStackDied when it does not come up
 * @throws the signal's reason
 */
export async function startLocalStack(options: LocalStackOptions): Promise<LocalStack> {
  options.signal?.throwIfAborted();
  removeAbandonedState();
  if (options.port !== undefined) return startOn(await claimPort(options.port), options);
  try {
    return await startOn(await claimPort(0), options);
  } catch (error) {
    if (!(error instanceof LocalStackDied && error.portWasLost)) throw error;
  }
  return startOn(await claimPort(0), options);
}

async function startOn(port: number, options: LocalStackOptions): Promise<LocalStack> {
  const { signal } = options;
  const folder = mkdtempSync(join(tmpdir(), statePrefix()));
  const logFile = join(folder, 'localstack.log');
  const identity = randomUUID();
  layOut(folder, options.installation);

  const log = openSync(logFile, 'a');
  const child = spawn(options.installation.python, ['-m', 'mintmark_localstack'], {
    cwd: folder,
    env: variables(folder, port, identity, options),
    // The first is the lifeline (executor/mintmark_localstack/lifeline.py).
    stdio: ['pipe', log, log],
    detached: true,
  });
  closeSync(log);

  const circumstances = {
    port,
    logFile,
    logKeptIn: options.logKeptIn,
    reinstall: `remove ${folderOf(options.installation)}, and LocalStack is installed anew`,
  };
  let stopping = false;
  const exited = endOf(child).then((end) => {
    // What LocalStack itself started and has not ended holds the lifeline too.
    child.stdin?.destroy();
    return stopping ? undefined : diedOf(end, circumstances);
  });
  const stop = async () => {
    stopping = true;
    // One that has ended has no group any more (endOf), and its id may be another's.
    if (child.exitCode === null && child.signalCode === null) killGroup(child);
    await exited;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };

  const endpoint = `http://127.0.0.1:${port}`;
  const limit = options.startLimit ?? defaultStartLimit;
  try {
    const isReady = await untilReady({ endpoint, identity, limit, exited, signal });
    if (!isReady) throw diedOf({ kind: 'silent', seconds: limit / 1000 }, circumstances);
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint, environment: clientEnvironment(endpoint, options.region), logFile, exited, stop };
}

/** The installation's own (install.ts), with all that belongs to it. */
const folderOf = ({ python }: LocalStackInstallation): string => dirname(dirname(dirname(python)));

/** LocalStack looks at no credentials. */
export function clientEnvironment(endpoint: string, region: string): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: 'local',
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: region,
    AWS_SECRET_ACCESS_KEY: 'local',
  };
}

/**
 * @param wanted 0: any
 * @returns a port that was free a moment ago
 */
export async function claimPort(wanted: number): Promise<number> {
  const server = createServer();
  try {
    return await new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(wanted, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'EADDRINUSE'
        ? 'is taken by another program: end that one, or choose another port'
        : 'cannot be listened on';
    throw new SetUpError(`Port ${wanted} on 127.0.0.1 ${why} (${code}).`);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Where LocalStack looks for what it would otherwise download (FILESYSTEM_ROOT). */
function layOut(folder: string, { dynamoDbLocalJars }: LocalStackInstallation): void {
  for (const name of ['tmp', 'cache', 'config']) mkdirSync(join(folder, name));
  const libraries = join(folder, 'root', 'var', 'lib', 'localstack', 'lib');
  const dynamoDb = join(libraries, 'dynamodb-local', '2');
  mkdirSync(dynamoDb, { recursive: true });
  symlinkSync(dynamoDbLocalJars, join(dynamoDb, 'DynamoDBLocal_lib'));
  // LocalStack takes it for installed when this is there; dynamodb_local.py only looks at what is beside it.
  writeFileSync(join(dynamoDb, 'DynamoDBLocal.jar'), '');

  const java = process.platform === 'darwin' ? join('21', 'Contents', 'Home', 'bin') : join('21', 'bin');
  mkdirSync(join(libraries, 'java', java), { recursive: true });
  const standIn = '#!/bin/sh\nexec "$MINTMARK_PYTHON" -m mintmark_localstack.dynamodb_local "$@"\n';
  writeFileSync(join(libraries, 'java', java, 'java'), standIn, { mode: 0o755 });
}

/** All of LocalStack's variables: the user's own (a profile, DEBUG, a proxy) would make it another LocalStack. */
function variables(folder: string, port: number, identity: string, options: LocalStackOptions): Record<string, string> {
  const { installation } = options;
  return {
    HOME: process.env.HOME ?? folder,
    LANG: 'C.UTF-8',
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    TMPDIR: join(folder, 'tmp'),
    XDG_CACHE_HOME: join(folder, 'cache'),
    PYTHONPATH: executor,
    // The checkout stays as it is; what pip installed came compiled.
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONUNBUFFERED: '1',

    CONFIG_DIR: join(folder, 'config'),
    FILESYSTEM_ROOT: join(folder, 'root'),
    OVERRIDE_IN_DOCKER: '0',
    SKIP_SSL_CERT_DOWNLOAD: '1',

    ...sharedVariables(port),
    ...packageVariables(identity, options.functionEnvironment, options.node ?? process.execPath),
    MINTMARK_JAVA_HOME: installation.javaHome,
    MINTMARK_PYTHON: installation.python,
  };
}

/** How LocalStack is configured, wherever it runs. */
export function sharedVariables(port: number): Record<string, string> {
  return {
    DISABLE_EVENTS: '1',
    DNS_ADDRESS: '0',
    DYNAMODB_IN_MEMORY: '1',
    EAGER_SERVICE_LOADING: '0',
    GATEWAY_LISTEN: `127.0.0.1:${port}`,
    // LocalStack's default server listens on all addresses, whatever GATEWAY_LISTEN says.
    GATEWAY_SERVER: 'hypercorn',
    // Seconds. A mapping whose queue was empty would look again only after up to ten; AWS's look all the time.
    LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC: '1',
    LAMBDA_RUNTIME_EXECUTOR: 'process',
    // Queue URLs with a host that needs no name server.
    LOCALSTACK_HOST: `127.0.0.1:${port}`,
    SERVICES: services,
    SQS_ENDPOINT_STRATEGY: 'path',
  };
}

/** What the Python package in executor/ reads. */
export function packageVariables(
  identity: string,
  functionEnvironment: Readonly<Record<string, string>>,
  node: string,
): Record<string, string> {
  return {
    MINTMARK_FUNCTION_ENVIRONMENT: JSON.stringify({
      // Where a layer's modules would be found: the bundles leave pkcs11js, which is native, out.
      NODE_PATH: join(project, 'node_modules'),
      ...functionEnvironment,
    }),
    MINTMARK_IDENTITY: identity,
    MINTMARK_NODE: node,
    MINTMARK_RUNTIME: runtime,
  };
}

/** How a process ended; then none of its group is left. Never rejects. */
function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve) => {
    child.once('error', ({ message }) => resolve({ kind: 'not started', why: message }));
    child.once('exit', (code, signal) => {
      killGroup(child);
      resolve(signal === null ? { kind: 'exit', code: code ?? 0 } : { kind: 'signal', signal });
    });
  });
}

/** LocalStack and its children; DynamoDB Local's JVM and the functions lead groups of their own, and have lifelines. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // ESRCH: nothing of the group is left, which is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
