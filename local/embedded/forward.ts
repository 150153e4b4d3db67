import { Agent, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { Answer } from './aws-error.ts';
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

/**
 * Passes requests on to an emulator at `upstream`, with the Host they came with (emulators make URLs from it). Rejects
 * when nothing answers there.
 */
export function forwardTo(upstream: URL): Service {
  return (incoming: GatewayRequest) =>
    new Promise<Answer>((resolve, reject) => {
      const outgoing = request(
        {
          agent,
          host: upstream.hostname,
          port: upstream.port,
          method: incoming.method,
          path: incoming.url,
          headers: { ...endToEnd(incoming.headers), 'content-length': incoming.body.length },
        },
        (response) => {
          buffer(response).then(
            (body) => resolve({ status: response.statusCode ?? 502, headers: endToEnd(response.headers), body }),
            reject,
          );
        },
      );
      outgoing.once('error', reject);
      outgoing.end(incoming.body);
    });
}

function endToEnd(headers: GatewayRequest['headers']): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !hopByHop.has(name)) kept[name] = value;
  }
  return kept;
}
