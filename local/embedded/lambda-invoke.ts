import type { FunctionPool } from '../lambda/function-pool.ts';
import { type Answer, awsError } from './aws-error.ts';
import type { GatewayRequest } from './gateway.ts';

/** A payload of a synchronous invocation has at most 6 MB (AWS Lambda quotas). */
const maximumPayload = 6 * 1024 * 1024;

const refuse = (status: number, code: string, message: string): Answer => awsError('restJson', status, code, message);

/**
 * Invoke, with RequestResponse and DryRun (AWS Lambda API reference): what the function answers is the body, and how it
 * failed is one too, with X-Amz-Function-Error. A Node.js function has no other than `Unhandled`.
 *
 * @param nameOrArn as in the path: name, ARN or partial ARN, with or without `:$LATEST`
 */
export async function invoke(
  pools: readonly FunctionPool[],
  nameOrArn: string,
  { headers, url, body }: GatewayRequest,
): Promise<Answer> {
  const invocationType = String(headers['x-amz-invocation-type'] ?? 'RequestResponse');
  const qualifier = new URL(url, 'http://localhost').searchParams.get('Qualifier') ?? '$LATEST';
  const name = nameOrArn.replace(/:\$LATEST$/, '');
  const pool = pools.find(({ configuration: { functionArn } }) => isCalled(functionArn, name));
  if (pool === undefined || qualifier !== '$LATEST') {
    return refuse(404, 'ResourceNotFoundException', `Function not found: ${nameOrArn}`);
  }
  if (invocationType !== 'RequestResponse' && invocationType !== 'DryRun') {
    return refuse(
      501,
      'NotImplemented',
      `The embedded cloud does not implement the invocation type ${invocationType}.`,
    );
  }
  if (headers['x-amz-log-type'] === 'Tail') {
    return refuse(501, 'NotImplemented', 'The embedded cloud does not implement the log type Tail.');
  }
  if (body.length > maximumPayload) {
    const message = `${body.length} byte payload is too large for the RequestResponse invocation type (limit ${maximumPayload} bytes)`;
    return refuse(413, 'RequestTooLargeException', message);
  }
  const event = parseEvent(body);
  if (event === undefined) {
    return refuse(400, 'InvalidRequestContentException', 'Could not parse request body into json.');
  }
  if (invocationType === 'DryRun') return { status: 204, headers: {}, body: Buffer.alloc(0) };

  const outcome = await pool.invoke(event.value);
  const version = { 'content-type': 'application/json', 'x-amz-executed-version': '$LATEST' };
  return 'payload' in outcome
    ? { status: 200, headers: version, body: Buffer.from(outcome.payload) }
    : {
        status: 200,
        headers: { ...version, 'x-amz-function-error': 'Unhandled' },
        body: Buffer.from(JSON.stringify(outcome.error)),
      };
}

/** Whether a function is the one that a caller means: by its name, its ARN or the part of it from the account on. */
export function isCalled(functionArn: string, nameOrArn: string): boolean {
  return functionArn === nameOrArn || functionArn.endsWith(`:${nameOrArn}`);
}

/** Without a payload the event is an empty object. */
function parseEvent(body: Buffer): { readonly value: unknown } | undefined {
  if (body.length === 0) return { value: {} };
  try {
    return { value: JSON.parse(body.toString()) };
  } catch {
    // The caller answers for it.
    return undefined;
  }
}
