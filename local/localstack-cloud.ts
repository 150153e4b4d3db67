import { type Cloud, type Ground, type LocalCloud, type SigningChoice, startOnThisMachine } from './local-cloud.ts';
import { type Deployment, prepareDeployment } from './localstack/deployment.ts';
import { stackResources } from './localstack/stack-resources.ts';
import type { LocalStack, LocalStackOptions } from './localstack/start.ts';

/** What may differ from one local cloud on LocalStack to the next; the rest is the deployment's. */
export interface LocalStackLocalCloudOptions {
  /** LocalStack by itself. */
  launch(needs: LocalStackNeeds): Promise<LocalStack>;
  /** Values of `${param:x}` in serverless.yml and deploy/*.yml, as after `--param`. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Default: through PKCS#11. */
  readonly signing?: SigningChoice;
  /** What is being done, for whoever waits. */
  readonly onStep: (what: string) => void;
  /** Ends a deployment that is under way. */
  readonly signal?: AbortSignal;
}

export interface LocalStackNeeds extends Pick<LocalStackOptions, 'region' | 'functionEnvironment'> {
  /** With the tokens; it goes when the cloud stops. */
  readonly folder: string;
}

export interface LocalStackCloud extends Cloud {
  /** Its functions write to CloudWatch Logs, LocalStack itself here. */
  readonly logFile: string;
  /** What is deployed, and deploys it again. */
  readonly deployment: Deployment;
}

/**
 * The local cloud on LocalStack: the same stage, deployed by serverless as to AWS, in about half a minute.
 *
 * @throws what `launch` throws
 * @throws Error with serverless's own words when it does not deploy
 */
export function startLocalStackLocalCloud(options: LocalStackLocalCloudOptions): Promise<LocalCloud<LocalStackCloud>> {
  return startOnThisMachine((ground) => startLocalStackCloud(ground, options), options.signing);
}

async function startLocalStackCloud(ground: Ground, options: LocalStackLocalCloudOptions): Promise<LocalStackCloud> {
  const { region, stage, stub } = ground;
  // LocalStack has neither custom key stores nor CloudHSM; its CloudTrail hears nothing of the stub's KMS.
  const stubEnvironment = {
    AWS_ENDPOINT_URL_KMS: stub.endpoint,
    AWS_ENDPOINT_URL_CLOUDHSM_V2: stub.endpoint,
    AWS_ENDPOINT_URL_CLOUDTRAIL: stub.endpoint,
  };
  options.onStep('starting LocalStack');
  const functionEnvironment = { ...ground.functionEnvironment, ...stubEnvironment };
  const localStack = await options.launch({ region, functionEnvironment, folder: ground.folder });
  const died = localStack.exited.then((death) => death ?? new Promise<never>(() => undefined));
  try {
    options.onStep('deploying to LocalStack (serverless deploy --stage local)');
    const deployment = prepareDeployment({
      folder: ground.folder,
      stage,
      environment: localStack.environment,
      parameters: {
        ...ground.parameters,
        sealingKeyArn: stub.sealingKeyArn,
        architecture: process.arch === 'arm64' ? 'arm64' : 'x86_64',
        ...options.parameters,
      },
    });
    // LocalStack's end says more than what serverless makes of it.
    const death = died.then((error) => Promise.reject(error));
    await Promise.race([deployment.deploy(options.signal), death]);
    return {
      endpoint: localStack.endpoint,
      environment: { ...localStack.environment, ...stubEnvironment },
      // Whoever sends, SenderId is the account's id.
      sender: { principalId: ground.accountId },
      resources: await stackResources(localStack.endpoint, region, deployment.stackName),
      died,
      stop: () => localStack.stop(),
      logFile: localStack.logFile,
      deployment,
    };
  } catch (error) {
    await localStack.stop();
    throw error;
  }
}
