import { CloudTrailClient } from '@aws-sdk/client-cloudtrail';

/**
 * As the clients of aws.ts, and apart from them: loading it takes a tenth of a second, and one command needs it. An account
 * has two lookups a second (LookupEvents, AWS CloudTrail API reference) and others may look, too, so it tries more often
 * than usual; a page of a long history takes its time. Milliseconds.
 */
export const makeCloudTrailClient = (): CloudTrailClient =>
  new CloudTrailClient({
    requestHandler: { connectionTimeout: 1_000, requestTimeout: 30_000, throwOnRequestTimeout: true },
    maxAttempts: 8,
  });
