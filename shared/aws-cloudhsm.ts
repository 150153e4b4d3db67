import { CloudHSMV2Client } from '@aws-sdk/client-cloudhsm-v2';

/**
 * A client of CloudHSM's control plane, made as those of aws.ts; its package brings an older SDK of its own, which takes
 * longer to load than all of theirs. The newest of it is older than endpoint variables, so it alone is handed its endpoint.
 */
export function makeCloudHSMV2Client(environment: NodeJS.ProcessEnv = process.env): CloudHSMV2Client {
  const endpoint = environment.AWS_ENDPOINT_URL_CLOUDHSM_V2 ?? environment.AWS_ENDPOINT_URL;
  return new CloudHSMV2Client(endpoint === undefined ? {} : { endpoint });
}
