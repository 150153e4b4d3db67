import { AwsError } from './aws-error.ts';

const credentialForm = /Credential=[^/,\s]+\/\d{8}\/([^/,\s]+)\/([^/,\s]+)\/aws4_request/;

/**
 * Refuses what AWS would refuse before it looks at a signature: a request without one, or one signed for another
 * Region or service. The signature itself is not verified: any credentials will do.
 */
export function requireScope(
  authorization: string | undefined,
  expected: { readonly region: string; readonly signingName: string },
): void {
  if (authorization === undefined) {
    throw new AwsError('MissingAuthenticationTokenException', 'Missing Authentication Token');
  }
  const [, region, service] = credentialForm.exec(authorization) ?? [];
  if (region === undefined || service === undefined) {
    throw new AwsError('IncompleteSignatureException', "Authorization header requires 'Credential' parameter.");
  }
  if (region !== expected.region) {
    throw new AwsError('InvalidSignatureException', `Credential should be scoped to a valid region.`);
  }
  if (service !== expected.signingName) {
    throw new AwsError(
      'InvalidSignatureException',
      `Credential should be scoped to correct service: '${expected.signingName}'.`,
    );
  }
}
