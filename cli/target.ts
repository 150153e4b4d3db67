import { UsageError } from './errors.ts';

/** A stage, and the names of what is in it (deploy/tables.yml, messaging.yml, functions.yml). */
export interface Target {
  readonly stage: string;
  readonly tables: {
    readonly issuance: string;
    readonly revocations: string;
    readonly devices: string;
    readonly senders: string;
    readonly keys: string;
    readonly issuers: string;
    readonly failures: string;
  };
  readonly requestsQueue: string;
  readonly redriveQueue: string;
  readonly issueFunction: string;
  readonly reconcileFunction: string;
  readonly checkClusterFunction: string;
  readonly checkSignerFunction: string;
}

export interface TargetOptions {
  readonly stage?: string;
  readonly prefix?: string;
}

/** The stage that the local clouds deploy. */
const localStage = 'local';

/**
 * The stage is named by --stage or MINTMARK_STAGE. It is not guessed, but for one case: with AWS_ENDPOINT_URL set it is an
 * emulator that is spoken to, and its stage is `local`. The names begin with `mintmark-<stage>` (deploy/parameters.yml,
 * `prefix`) unless --prefix or MINTMARK_PREFIX says otherwise; functions are named by serverless, which has no prefix.
 *
 * @throws UsageError
 */
export function targetOf(options: TargetOptions, environment: NodeJS.ProcessEnv): Target {
  const stage =
    options.stage || environment['MINTMARK_STAGE'] || (environment['AWS_ENDPOINT_URL'] ? localStage : undefined);
  if (stage === undefined) {
    throw new UsageError(
      'It is not said which stage is meant.',
      'Name it with --stage, set MINTMARK_STAGE, or, for a local cloud, paste the variables that npm start prints.',
    );
  }
  const prefix = options.prefix || environment['MINTMARK_PREFIX'] || `mintmark-${stage}`;
  return {
    stage,
    tables: {
      issuance: `${prefix}-issuance`,
      revocations: `${prefix}-revocations`,
      devices: `${prefix}-devices`,
      senders: `${prefix}-senders`,
      keys: `${prefix}-keys`,
      issuers: `${prefix}-issuers`,
      failures: `${prefix}-failures`,
    },
    requestsQueue: `${prefix}-requests`,
    redriveQueue: `${prefix}-redrive`,
    issueFunction: `mintmark-${stage}-issue`,
    reconcileFunction: `mintmark-${stage}-reconcile`,
    checkClusterFunction: `mintmark-${stage}-checkCluster`,
    checkSignerFunction: `mintmark-${stage}-checkSigner`,
  };
}
