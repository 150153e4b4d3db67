import { IAMClient } from '@aws-sdk/client-iam';

/**
 * As the clients of aws.ts, and apart from them: two commands need it. IAM is one for all Regions of a partition, so an
 * answer may come from far away. Milliseconds.
 */
export const makeIAMClient = (): IAMClient =>
  new IAMClient({ requestHandler: { connectionTimeout: 3_000, requestTimeout: 10_000, throwOnRequestTimeout: true } });
