import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isSentByPage, isSentToThisMachine } from '../browser-guard.ts';
import type { Answer } from './aws-error.ts';
import { awsError, protocolOf } from './aws-error.ts';
import { credentialOf } from './credential.ts';

export interface GatewayRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Undefined for an anonymous request. */
  readonly accessKeyId: string | undefined;
}

/** Performs a request, or does something else about it; undefined: the connection is closed without an answer. */
export type Around = (
  service: string,
  request: GatewayRequest,
  perform: () => Promise<Answer>,
) => Promise<Answer | undefined>;

export type Service = (request: GatewayRequest) => Promise<Answer>;

export interface Gateway {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  close(): Promise<void>;
}

/** DynamoDB's largest request, and more than SQS, SNS and our objects need. */
const maximumBody = 16 * 1024 * 1024;

/**
 * One address for every service, as AWS_ENDPOINT_URL wants it: a request goes to the service that its signature is
 * scoped to, an anonymous GET of an object to S3. Listens on loopback, for programs and not for web pages, which can have
 * objects only.
 *
 * Requests and answers are passed on whole, not streamed: a client killed halfway must not leave half a request with an
 * emulator (dynalite throws on it, and would take this process down).
 *
 * @param services by the name in the credential scope (`sqs`, `dynamodb`, ...); may be filled after the start
 * @param around what stands between a request that is let in and its service
 */
export async function startGateway(
  services: ReadonlyMap<string, Service>,
  around: Around = (_service, _request, perform) => perform(),
): Promise<Gateway> {
  const server = createServer((request, response) => {
    void serve(request, services, around).then(
      (answer) => (answer === undefined ? request.socket.destroy() : end(response, answer)),
      (error: unknown) => {
        // A client that went away hears nothing; whatever else is ours to answer for.
        if (!request.destroyed || request.complete) end(response, failed(request, error));
      },
    );
  });
  // Longer than the clients keep theirs, or a request meets a connection that is just being closed.
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

async function serve(
  request: IncomingMessage,
  services: ReadonlyMap<string, Service>,
  around: Around,
): Promise<Answer | undefined> {
  const { headers, method = 'GET', url = '/' } = request;
  const credential = credentialOf(headers);
  const refuse = (status: number, code: string, message: string): Answer =>
    awsError(protocolOf(credential?.service, headers), status, code, message);

  const body = await bodyOf(request);
  if (!isSentToThisMachine(request)) {
    return refuse(
      403,
      'AccessDenied',
      'Use the address 127.0.0.1 or localhost and its port, with buckets in the path.',
    );
  }
  const isPublic = credential === undefined && isObject(method, url);
  if (!isPublic && isSentByPage(headers)) {
    return refuse(403, 'AccessDenied', 'A web page can have objects only, without a signature, by GET /bucket/key.');
  }
  if (body === undefined) return refuse(413, 'RequestEntityTooLarge', `A request has at most ${maximumBody} bytes.`);
  if (credential === undefined && !isPublic) {
    return refuse(
      403,
      'MissingAuthenticationToken',
      'Without a signature in the Authorization header only objects can be had, by GET /bucket/key.',
    );
  }
  const name = credential?.service ?? 's3';
  const service = services.get(name);
  if (service === undefined) {
    return refuse(501, 'NotImplemented', `The embedded cloud has no service "${name}".`);
  }
  const asked = { method, url, headers, body, accessKeyId: credential?.accessKeyId };
  return around(name, asked, () => service(asked));
}

/** Whether an anonymous request asks for one object and nothing else (no listing, none of an emulator's own pages). */
function isObject(method: string, url: string): boolean {
  return (method === 'GET' || method === 'HEAD') && /^\/[a-z0-9][a-z0-9.-]{2,62}\/[^?]+$/.test(url);
}

async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    // Read to its end all the same: a client that is still writing does not see an answer.
    if (length <= maximumBody) chunks.push(chunk);
  }
  return length <= maximumBody ? Buffer.concat(chunks) : undefined;
}

function failed(request: IncomingMessage, error: unknown): Answer {
  const service = credentialOf(request.headers)?.service;
  const message = error instanceof Error ? error.message : String(error);
  return awsError(protocolOf(service, request.headers), 503, 'ServiceUnavailable', `${service ?? 's3'}: ${message}`);
}

function end(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { ...headers, ...(hasBody(response, status) ? { 'content-length': body.length } : {}) });
  response.end(body);
}

/** An answer to HEAD keeps the length of what GET would give. */
function hasBody(response: ServerResponse, status: number): boolean {
  return response.req.method !== 'HEAD' && status !== 204 && status !== 304;
}
