import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

/*
 * What listens on loopback takes any credentials, so whoever can send it a request may do everything: every program of
 * this machine, which is meant, and every web page open in a browser here, which is not. A page has two ways in, and
 * each shows.
 */

/** Names that only this machine can mean. */
const hostnames: readonly string[] = ['127.0.0.1', 'localhost', '[::1]'];

/**
 * Whether Host (RFC 9110, section 7.2) is this machine and the port that the request came in by. It is not for a page
 * whose own name was rebound to 127.0.0.1: to its browser it is of one origin with what answers there, so nothing else
 * about its requests shows a page.
 */
export function isSentToThisMachine({ headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>): boolean {
  const host = headers.host?.toLowerCase();
  const { localPort } = socket;
  return hostnames.some((name) => host === `${name}:${localPort}` || (localPort === 80 && host === name));
}

/**
 * Whether a web page made the request, of whatever site: browsers say so with Origin in all that may change something
 * (Fetch, section 3.2) and with Sec-Fetch-Site in everything sent to loopback, where `none` is the user's own doing
 * (Fetch Metadata Request Headers, section 2.3). AWS SDKs and command-line tools send neither.
 */
export function isSentByPage(headers: IncomingHttpHeaders): boolean {
  const { origin, 'sec-fetch-site': site } = headers;
  return origin !== undefined || (site !== undefined && site !== 'none');
}
