import type { IncomingHttpHeaders } from 'node:http';

/** Who calls what, as the request's signature says (AWS Signature Version 4, credential scope). */
export interface Credential {
  readonly accessKeyId: string;
  readonly service: string;
}

/**
 * Reads the credential from the Authorization header. The signature is not verified: there are no secrets here, so an
 * access key id is a name that a caller gives itself. One in a presigned URL's query does not count: a form on any web
 * page can send that, and no page this header without asking first.
 */
export function credentialOf({ authorization }: IncomingHttpHeaders): Credential | undefined {
  const scope = authorization?.match(/^AWS4-[A-Z0-9-]+ +(?:.*,\s*)?Credential=([^,\s]+)/)?.[1];
  const [accessKeyId, , , service, terminator] = scope?.split('/') ?? [];
  if (accessKeyId === undefined || service === undefined || terminator !== 'aws4_request') return undefined;
  return { accessKeyId, service };
}
