import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';

/** What a browser says with a request that a page of another site makes. */
export const fromPage: Readonly<Record<string, string>> = {
  origin: 'https://page.example',
  'sec-fetch-site': 'cross-site',
};

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A request with these headers and no others but Host (unless given) and Content-Length, which fetch would not send. */
export async function ask(
  endpoint: string,
  {
    body = '',
    ...options
  }: {
    readonly method: string;
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  },
): Promise<Answer> {
  const { hostname, port } = new URL(endpoint);
  const headers = { 'content-length': Buffer.byteLength(body), ...options.headers };
  const outgoing = request({ ...options, host: hostname, port, headers });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) };
}
