import type { IncomingMessage } from 'node:http';

/** Who calls what, as the request's signature says (AWS Signature Version 4, credential scope). */
export interface Credential {
  readonly accessKeyId: string;
  readonly service: string;
}

/**
 * Reads the credential from the Authorization header, or from a presigned URL's query. The signature is not verified:
 * there are no secrets here, so an access key id is a name that a caller gives itself.
 */
export function credentialOf(request: Pick<IncomingMessage, 'headers' | 'url'>): Credential | undefined {
  const header = request.headers.authorization?.match(/^AWS4-[A-Z0-9-]+ +(?:.*,\s*)?Credential=([^,\s]+)/)?.[1];
  const scope = header ?? new URL(request.url ?? '/', 'http://localhost').searchParams.get('X-Amz-Credential');
  const [accessKeyId, , , service, terminator] = scope?.split('/') ?? [];
  if (accessKeyId === undefined || service === undefined || terminator !== 'aws4_request') return undefined;
  return { accessKeyId, service };
}
