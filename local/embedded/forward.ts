import { Agent, type RequestOptions, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { Answer } from './aws-error.ts';
import type { Emulator } from './emulators.ts';
import type { GatewayRequest, Service } from './gateway.ts';

/** RFC 9110, section 7.6.1: what concerns one connection only. `expect` was answered when the body was read. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Without an end of its own: a long poll is open for as long as its client asked. */
const agent = new Agent({ keepAlive: true });

/** Passes requests on to a server, under its own address. Rejects when nothing answers there. */
export function forwardTo({ hostname, port, host }: URL): Service {
  return (incoming) => forward(incoming, { agent, host: hostname, port }, { host });
}

/** Passes requests on to an emulator of this process, with the Host they came with: emulators make URLs from it. */
export function forwardToEmulator(emulator: Emulator): Service {
  return (incoming) => forward(incoming, { createConnection: () => emulator.connect() });
}

function forward(
  { method, url, headers, body }: GatewayRequest,
  connection: RequestOptions,
  otherHeaders: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        ...connection,
        method,
        path: url,
        headers: { ...endToEnd(headers), ...otherHeaders, 'content-length': body.length },
      },
      (response) => {
        buffer(response).then(
          (content) =>
            resolve({ status: response.statusCode ?? 502, headers: endToEnd(response.headers), body: content }),
          reject,
        );
      },
    );
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

function endToEnd(headers: GatewayRequest['headers']): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !hopByHop.has(name)) kept[name] = value;
  }
  return kept;
}
