import type { Answer } from './aws-error.ts';
import type { Around, GatewayRequest } from './gateway.ts';

/** A call of AWS's API, as it is on its way to the service. */
export interface ApiCall {
  /** As in the credential scope: `dynamodb`, `sqs`, `sns`, `kms`, `monitoring` (CloudWatch), ... */
  readonly service: string;
  /** `UpdateItem`; for the services whose operations are paths (Lambda, S3), the method: `PUT`. */
  readonly operation: string;
  readonly request: GatewayRequest;
  /** The execution environment that makes the call; undefined where it is somebody else. */
  readonly caller: Caller | undefined;
}

export interface Caller {
  /** Logical id of the function. */
  readonly function: string;
  /** SIGKILL, to its process and all that it started; resolves when that has ended. */
  kill(): Promise<void>;
}

/**
 * What stands between callers and services: it may perform the call or not, answer something else, or nothing at all
 * (undefined: the connection is closed). Composed of several by calling the next as `perform`.
 */
export type AroundCall = (call: ApiCall, perform: () => Promise<Answer>) => Promise<Answer | undefined>;

/** @param callerOf whose session token this is */
export function aroundCalls(around: AroundCall, callerOf: (sessionToken: string) => Caller | undefined): Around {
  return (service, request, perform) => {
    const token = request.headers['x-amz-security-token'];
    const caller = typeof token === 'string' ? callerOf(token) : undefined;
    return around({ service, operation: operationOf(request), request, caller }, perform);
  };
}

/** By the protocol that the request is in (Smithy, "AWS protocols"). */
function operationOf({ method, url, headers, body }: GatewayRequest): string {
  const target = headers['x-amz-target'];
  if (typeof target === 'string') return target.slice(target.lastIndexOf('.') + 1);
  if (headers['content-type']?.includes('x-www-form-urlencoded') === true) {
    return new URLSearchParams(body.toString()).get('Action') ?? method;
  }
  if (headers['smithy-protocol'] === 'rpc-v2-cbor') return url.slice(url.lastIndexOf('/') + 1);
  return method;
}
