import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32 } from 'node:zlib';
import { inject, vi } from 'vitest';
import type { LocalStackOptions } from '../../local/localstack/start.ts';
import { processesWhose } from '../support/proc.ts';

export const region = 'eu-central-1';

const found = inject('localStack');

/** Why tests that need LocalStack are skipped, for their names; undefined where they run. */
export const unavailable: string | undefined = found.kind === 'installed' ? undefined : found.sentence;

export function localStackOptions(functionEnvironment: Readonly<Record<string, string>> = {}): LocalStackOptions {
  if (found.kind !== 'installed') throw new Error(found.sentence);
  return { installation: found, region, functionEnvironment };
}

/** What the name of a suite that needs LocalStack ends with: why it does not run, where it does not. */
export const orWhyNot = unavailable === undefined ? '' : ` (skipped: ${unavailable})`;

/** A zip archive with its files as they are (PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16). */
export function zip(files: Readonly<Record<string, string>>): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [path, text] of Object.entries(files)) {
    const name = Buffer.from(path);
    const data = Buffer.from(text);
    // From "version needed to extract" to "file name length", which both headers have; stored, 1 January 1980.
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x0021, 8);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, name, data]);
    const rest = Buffer.alloc(14);
    // External attributes: a regular file, 0644, as Unix writes them.
    rest.writeUInt32LE((0o100644 << 16) >>> 0, 6);
    rest.writeUInt32LE(offset, 10);
    central.push(Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), common, rest, name);
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(locals.length, 4);
  end.writeUInt16LE(locals.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...locals, directory, Buffer.from('PK\x05\x06'), end]);
}

export interface Invocation {
  readonly payload: unknown;
  readonly functionError: string | null;
  readonly requestId: string;
  /** The log's last 4 KB. */
  readonly log: string;
}

/** Lambda's and CloudWatch Logs's own HTTP APIs, as far as these tests use them. */
export class Api {
  readonly #endpoint: string;

  constructor(endpoint: string) {
    this.#endpoint = endpoint;
  }

  /** Creates a Node.js function from the text of its module index.mjs, and waits until it is active. */
  async createFunction(
    name: string,
    source: string,
    settings: { timeout?: number; environment?: Record<string, string> } = {},
  ): Promise<void> {
    await this.#json('lambda', 'POST', '/2015-03-31/functions', {
      FunctionName: name,
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Role: 'arn:aws:iam::000000000000:role/none',
      Timeout: settings.timeout ?? 30,
      MemorySize: 256,
      Environment: { Variables: settings.environment ?? {} },
      Code: { ZipFile: zip({ 'index.mjs': source }).toString('base64') },
    });
    await this.#active(name);
  }

  async updateCode(name: string, source: string): Promise<void> {
    const ZipFile = zip({ 'index.mjs': source }).toString('base64');
    await this.#json('lambda', 'PUT', `/2015-03-31/functions/${name}/code`, { ZipFile });
    await this.#active(name);
  }

  async #active(name: string): Promise<void> {
    await vi.waitFor(
      async () => {
        const path = `/2015-03-31/functions/${name}/configuration`;
        const { State, LastUpdateStatus } = (await this.#json('lambda', 'GET', path)) as Record<string, string>;
        if (State !== 'Active' || LastUpdateStatus !== 'Successful') throw new Error(`${State}, ${LastUpdateStatus}`);
      },
      { timeout: 30_000, interval: 100 },
    );
  }

  async invoke(name: string, event: unknown): Promise<Invocation> {
    const path = `/2015-03-31/functions/${name}/invocations`;
    const response = await this.#send('lambda', 'POST', path, JSON.stringify(event), { 'x-amz-log-type': 'Tail' });
    const log = Buffer.from(response.headers.get('x-amz-log-result') ?? '', 'base64').toString();
    return {
      payload: JSON.parse(await response.text()),
      functionError: response.headers.get('x-amz-function-error'),
      requestId: response.headers.get('x-amzn-requestid') ?? '',
      log,
    };
  }

  /** The mapping's id. */
  async mapQueue(queueArn: string, functionName: string): Promise<string> {
    const { UUID } = (await this.#json('lambda', 'POST', '/2015-03-31/event-source-mappings/', {
      EventSourceArn: queueArn,
      FunctionName: functionName,
      BatchSize: 10,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    })) as { UUID: string };
    return UUID;
  }

  async updateMapping(uuid: string, enabled: boolean): Promise<void> {
    await this.#json('lambda', 'PUT', `/2015-03-31/event-source-mappings/${uuid}`, { Enabled: enabled });
  }

  /** Enabled, Disabled, or on the way. */
  async mappingState(uuid: string): Promise<string> {
    return (await this.mapping(uuid)).State;
  }

  async mapping(uuid: string): Promise<{ readonly State: string; readonly BatchSize: number }> {
    const path = `/2015-03-31/event-source-mappings/${uuid}`;
    return (await this.#json('lambda', 'GET', path)) as { State: string; BatchSize: number };
  }

  /** Every message in the function's log group, with the stream that it is in. */
  async logEvents(functionName: string): Promise<{ message: string; logStreamName: string }[]> {
    const body = JSON.stringify({ logGroupName: `/aws/lambda/${functionName}` });
    const response = await this.#send('logs', 'POST', '/', body, {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'Logs_20140328.FilterLogEvents',
    });
    return ((await response.json()) as { events: { message: string; logStreamName: string }[] }).events;
  }

  async #json(service: string, method: string, path: string, body?: unknown): Promise<unknown> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return (await this.#send(service, method, path, text, { 'content-type': 'application/json' })).json();
  }

  async #send(
    service: string,
    method: string,
    path: string,
    body: string | undefined,
    headers: Record<string, string>,
  ): Promise<Response> {
    // LocalStack verifies no signature; it reads from the scope which service is meant.
    const authorization = `AWS4-HMAC-SHA256 Credential=local/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=none`;
    const response = await fetch(new URL(path, this.#endpoint), {
      method,
      headers: { ...headers, authorization },
      ...(body === undefined ? {} : { body }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }
}

/** A door that functions knock on (`await fetch(url)`), and that keeps them waiting until it is opened. */
export class Door {
  readonly #waiting: ServerResponse[] = [];
  readonly #server = createServer((_, response) => {
    this.#waiting.push(response);
    this.#server.emit('knock');
  });

  /** @returns its URL */
  async hang(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves when so many stand before it. */
  async knockedBy(count: number): Promise<void> {
    while (this.#waiting.length < count) await once(this.#server, 'knock');
  }

  /** Lets in who stands before it. */
  open(): void {
    for (const response of this.#waiting.splice(0)) response.end();
  }

  remove(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** Ids of the processes that have `text` in their environment; LocalStack's and its functions' have its state folder. */
export const processesWith = (text: string): number[] => processesWhose((environment) => environment.includes(text));

export const hasProc = existsSync('/proc/self/environ');

/** What the name of a test or suite that looks into /proc ends with, where there is none. */
export const orNoProc = hasProc ? '' : ' (skipped: this system has no /proc to look into)';

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
