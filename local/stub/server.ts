import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { isSentByPage, isSentToThisMachine } from '../browser-guard.ts';
import { type Admin, commands, describeState } from './admin.ts';
import { AdminError } from './admin-error.ts';
import { requireScope } from './authorization.ts';
import { AwsError } from './aws-error.ts';
import { callerOf } from './cloudtrail/index.ts';
import { uuid } from './identifiers.ts';
import { ConnectionDropped, findTarget, perform, services, shortTarget } from './services.ts';
import { Turns } from './turns.ts';

/** One line about one request; holds no input and no output. */
export interface LogEntry {
  readonly requestId: string;
  /** X-Amz-Target, or the path of an admin request. */
  readonly target: string;
  /** 0 where the connection was dropped. */
  readonly httpStatus: number;
  readonly errorCode?: string;
  /** What broke, where the stub itself is at fault. */
  readonly defect?: string;
}

export type Log = (entry: LogEntry) => void;

/** A status of 0 is no answer: the connection is closed. */
interface Answer {
  readonly httpStatus: number;
  readonly contentType: string;
  /** `undefined` is an empty body. */
  readonly body: object | undefined;
  readonly errorCode?: string;
  readonly defect?: string;
}

/** No request of these services comes near it. Bytes. */
const bodyLimit = 1024 * 1024;
const awsJson = 'application/x-amz-json-1.1';

/**
 * KMS, CloudHSM v2 and CloudTrail at `/` in AWS's JSON 1.1 protocol, told apart by X-Amz-Target; the stub's own API at
 * `/_stub/`. For programs of this machine: what a web page sends is refused.
 */
export function createStubServer(admin: Admin, log: Log, stopped: AbortSignal): Server {
  const stub: Serving = { admin, stopped, turns: new Turns() };
  return createServer((request, response) => {
    const requestId = uuid(admin.context().randomBytes);
    const path = (request.url ?? '/').replace(/\?.*$/, '');
    void answer(stub, request, requestId, path).then((result) => {
      send(response, requestId, result);
      log({
        requestId,
        target: isAdmin(path) ? path : (headerOf(request, 'x-amz-target') ?? path),
        httpStatus: result.httpStatus,
        ...(result.errorCode === undefined ? {} : { errorCode: result.errorCode }),
        ...(result.defect === undefined ? {} : { defect: result.defect }),
      });
    });
  });
}

interface Serving {
  readonly admin: Admin;
  /** From then on nothing is carried out. */
  readonly stopped: AbortSignal;
  readonly turns: Turns;
}

function isAdmin(path: string): boolean {
  return path.startsWith('/_stub/');
}

/** Never rejects: whatever happens has an answer. */
async function answer(stub: Serving, request: IncomingMessage, requestId: string, path: string): Promise<Answer> {
  const contentType = 'application/json';
  let body: Buffer;
  try {
    body = await readBody(request);
  } catch (error) {
    // Either too large, or the client is gone and reads no answer.
    return error instanceof BodyTooLarge
      ? { httpStatus: 413, contentType, body: undefined, errorCode: 'BodyTooLarge' }
      : { httpStatus: 400, contentType, body: undefined, errorCode: 'RequestAborted' };
  }
  if (!isSentToThisMachine(request) || isSentByPage(request.headers)) return refusal;
  try {
    return isAdmin(path)
      ? answerAdmin(stub.admin, request, path, body)
      : await answerAws(stub, request, requestId, body);
  } catch (error) {
    return { httpStatus: 500, contentType, body: undefined, defect: describeDefect(error) };
  }
}

/** In a form that both APIs' clients understand. */
const refusal: Answer = {
  httpStatus: 403,
  contentType: awsJson,
  body: {
    __type: 'AccessDeniedException',
    message: 'The stub serves programs, at 127.0.0.1 or localhost and its port; no web pages.',
  },
  errorCode: 'AccessDeniedException',
};

class BodyTooLarge extends Error {}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bodyLimit) throw new BodyTooLarge(`The body is above ${bodyLimit} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

async function answerAws(stub: Serving, request: IncomingMessage, requestId: string, body: Buffer): Promise<Answer> {
  const name = shortTarget(headerOf(request, 'x-amz-target') ?? '');
  const service = services[name.split('.')[0] ?? ''];
  try {
    if (request.method !== 'POST' || mediaType(request) !== awsJson) throw new AwsError('UnknownOperationException');
    const target = findTarget(name);
    requireScope(headerOf(request, 'authorization'), {
      region: stub.admin.context().region,
      signingName: target.service.signingName,
    });
    const input = parseJson(body);
    const result = await stub.turns.take(name, () => {
      stub.stopped.throwIfAborted();
      return perform(target, input, surroundings(stub, request, requestId));
    });
    return { httpStatus: 200, contentType: awsJson, body: result };
  } catch (error) {
    if (error instanceof ConnectionDropped) {
      return { httpStatus: 0, contentType: awsJson, body: undefined, errorCode: 'ConnectionDropped' };
    }
    const known = error instanceof AwsError;
    const fault = known ? error : new AwsError(service?.internalError ?? 'InternalFailure', 'The stub failed.', 500);
    return {
      httpStatus: fault.httpStatus,
      contentType: awsJson,
      body: {
        __type: fault.code,
        ...(fault.hasMessage ? { [service?.messageMember ?? 'message']: fault.message } : {}),
      },
      errorCode: fault.code,
      ...(known ? {} : { defect: describeDefect(error) }),
    };
  }
}

function surroundings(
  { admin, stopped }: Serving,
  { headers, socket }: IncomingMessage,
  requestId: string,
): Parameters<typeof perform>[2] {
  const wait = (milliseconds: number): Promise<void> => setTimeout(milliseconds, undefined, { signal: stopped });
  const caller = callerOf(headers, socket.remoteAddress);
  return { state: admin.state, context: admin.context, wait, caller, requestId };
}

function mediaType(request: IncomingMessage): string | undefined {
  return headerOf(request, 'content-type')?.split(';')[0]?.trim().toLowerCase();
}

/** @throws AwsError SerializationException for what is no JSON object */
function parseJson(body: Buffer): object {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    // The parser's message quotes the input, which may be secret.
    throw new AwsError('SerializationException');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AwsError('SerializationException');
  }
  return value;
}

function answerAdmin(admin: Admin, request: IncomingMessage, path: string, body: Buffer): Answer {
  const name = path.slice('/_stub/'.length);
  const contentType = 'application/json';
  try {
    if (request.method === 'GET' && name === 'state') {
      return { httpStatus: 200, contentType, body: describeState(admin) };
    }
    if (request.method === 'GET' && name === 'signatures') {
      return { httpStatus: 200, contentType, body: { signatures: admin.state.signatures } };
    }
    const run = Object.hasOwn(commands, name) ? commands[name] : undefined;
    // A web page cannot send this content type to another origin without asking first.
    if (request.method !== 'POST' || run === undefined || mediaType(request) !== contentType) {
      throw new AdminError(
        `GET /_stub/state, GET /_stub/signatures, or POST application/json to one of ${Object.keys(commands).join(', ')}`,
      );
    }
    return { httpStatus: 200, contentType, body: run(admin, parseAdminJson(body)) };
  } catch (error) {
    if (!(error instanceof AdminError)) throw error;
    return { httpStatus: 400, contentType, body: { message: error.message } };
  }
}

function parseAdminJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new AdminError('The body is not JSON', { cause: error });
  }
}

function describeDefect(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : 'a value that is no Error was thrown';
}

function send(response: ServerResponse, requestId: string, result: Answer): void {
  if (result.httpStatus === 0) {
    response.destroy();
    return;
  }
  const body = result.body === undefined ? '' : JSON.stringify(result.body);
  response.writeHead(result.httpStatus, {
    'content-type': result.contentType,
    'content-length': Buffer.byteLength(body),
    'x-amzn-requestid': requestId,
    'cache-control': 'no-store',
    // What is left of a refused body must not be taken for the next request.
    ...(result.httpStatus === 413 ? { connection: 'close' } : {}),
  });
  response.end(body);
}
