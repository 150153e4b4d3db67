import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { project } from '../setup/machine.mjs';

export interface DeploymentOptions {
  /** Where the copy is made that is deployed from. */
  readonly folder: string;
  readonly stage: string;
  /** What reaches the cloud (AWS_ENDPOINT_URL, credentials). */
  readonly environment: Readonly<Record<string, string>>;
  /** As after `--param`. */
  readonly parameters: Readonly<Record<string, string>>;
}

export interface Deployment {
  readonly stackName: string;
  /** With serverless.yml, deploy/ and dist/; what is changed there is what the next deployment brings. */
  readonly folder: string;
  /**
   * `serverless deploy`.
   * @throws Error with what serverless said
   * @throws the signal's reason
   */
  deploy(signal?: AbortSignal): Promise<void>;
}

const serverless = join(project, 'node_modules', 'serverless', 'bin', 'serverless.js');
const endWithParent = new URL('../setup/end-with-parent.mjs', import.meta.url).href;

/**
 * A copy of what is deployed, as it is now: serverless writes its packages beside it, where several deployments would
 * take them from each other, and the bundles may be built anew meanwhile.
 */
export function prepareDeployment({ folder, stage, environment, parameters }: DeploymentOptions): Deployment {
  const copy = join(folder, 'deployment');
  for (const path of ['serverless.yml', 'deploy', 'dist']) {
    cpSync(join(project, path), join(copy, path), { recursive: true });
  }
  // serverless warns when it is not the one that the project has installed.
  symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'));
  const given = Object.entries(parameters).map(([name, value]) => `--param=${name}=${value}`);
  return {
    stackName: `mintmark-${stage}`,
    folder: copy,
    deploy: (signal) => runServerless(['deploy', '--stage', stage, ...given], copy, environment, signal),
  };
}

async function runServerless(
  args: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  const child = spawn(process.execPath, ['--import', endWithParent, serverless, ...args], {
    cwd,
    env: {
      // The user's own AWS profile and serverless's own account are not for this.
      PATH: process.env.PATH,
      HOME: cwd,
      ...environment,
      SLS_NOTIFICATIONS_MODE: 'off',
      // Milliseconds between two looks at what CloudFormation does, of which a deployment waits for the last: 5000 by itself.
      SLS_AWS_MONITORING_FREQUENCY: '1000',
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const kill = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', kill);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  try {
    // 'close' comes after the last output.
    const [code] = (await once(child, 'close')) as [number | null];
    signal?.throwIfAborted();
    if (code !== 0) throw new Error(`serverless ${args[0]} failed:\n${output.trim()}`);
  } finally {
    signal?.removeEventListener('abort', kill);
  }
}
