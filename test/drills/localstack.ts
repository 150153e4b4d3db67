import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { LocalCloud } from '../../local/local-cloud.ts';
import { installLocalStack } from '../../local/localstack/install.ts';
import { startLocalStack } from '../../local/localstack/start.ts';
import { type LocalStackCloud, startLocalStackLocalCloud } from '../../local/localstack-cloud.ts';
import { SetUpError } from '../../local/setup/machine.mjs';
import { processesWhose } from '../support/proc.ts';
import { type DrillOptions, untilInterrupted } from './drill.ts';

export type LocalStackDrillCloud = LocalCloud<LocalStackCloud>;

/**
 * The stage deployed to LocalStack for the time of `use`.
 * @throws SetUpError where LocalStack cannot run, with why; Interrupted
 */
export async function withLocalStack<Result>(
  parameters: Readonly<Record<string, string>>,
  { onProgress, signal }: Pick<DrillOptions, 'onProgress' | 'signal'>,
  use: (local: LocalStackDrillCloud) => Promise<Result>,
): Promise<Result> {
  const installation = await installLocalStack(signal);
  if (installation.kind === 'unavailable') throw new SetUpError(installation.sentence);
  const local = await startLocalStackLocalCloud({
    launch: (needs) => startLocalStack({ installation, signal, ...needs }),
    parameters,
    onStep: onProgress,
  });
  try {
    return await untilInterrupted(signal, use(local));
  } finally {
    await local.stop();
  }
}

/** The processes of a function now, by what Lambda puts into their environment; this cloud's, by the file of its shim. */
export function processesOf(local: LocalStackDrillCloud, functionName: string): number[] {
  const ours = [`AWS_LAMBDA_FUNCTION_NAME=${functionName}`, `PKCS11_SHIM_RECORD=${local.shim.record}`];
  return processesWhose((environment) => {
    const variables = environment.split('\0');
    return ours.every((variable) => variables.includes(variable));
  });
}

/**
 * Invokes functions at intervals that a schedule cannot have (a rate is a minute or more), while `use` runs.
 * @param every milliseconds, by the function's name
 */
export async function invokingEvery<Result>(
  local: LocalStackDrillCloud,
  every: Readonly<Record<string, number>>,
  use: () => Promise<Result>,
): Promise<Result> {
  const { endpoint, environment } = local.cloud;
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = environment;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new LambdaClient({ endpoint, region: environment['AWS_REGION'] ?? '', credentials, maxAttempts: 1 });
  const running = new Map<string, Promise<unknown>>();
  const invoke = (FunctionName: string): void => {
    if (running.has(FunctionName)) return;
    const invocation = client
      .send(new InvokeCommand({ FunctionName }))
      // As on a schedule: the next time it is invoked anew.
      .catch(() => undefined)
      .finally(() => running.delete(FunctionName));
    running.set(FunctionName, invocation);
  };
  const timers = Object.entries(every).map(([name, milliseconds]) => setInterval(() => invoke(name), milliseconds));
  try {
    return await use();
  } finally {
    for (const timer of timers) clearInterval(timer);
    await Promise.all(running.values());
    client.destroy();
  }
}
