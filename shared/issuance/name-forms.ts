import { isIPv6 } from 'node:net';
import { domainToASCII, domainToUnicode } from 'node:url';
import { isAddress } from './ip-addresses.ts';

/** The forms that names must have to stand in a subjectAltName (RFC 5280 section 4.2.1.6). */

/** The preferred name syntax of RFC 1034 section 3.5, without a trailing dot; internationalised labels as A-labels. */
export const isHostName = (text: string): boolean =>
  text.length <= 253 &&
  // What ends in a number is an address to some readers (RFC 1123 section 2.1; WHATWG URL, "ends in a number": 0x7f too).
  !/(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/i.test(text) &&
  text.split('.').every(isLabel);

/** As isHostName; its first label may be the wildcard, before two others at least (RFC 9525 section 6.3). */
export const isWildcardName = (text: string): boolean => /^\*\.[^.]+\../.test(text) && isHostName(text.slice(2));

const isLabel = (label: string): boolean =>
  /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label) && (label.slice(2, 4) !== '--' || isALabel(label));

/**
 * What begins with xn-- decodes to a label that encodes to it again, by UTS 46 as browsers process it (WHATWG URL,
 * non-transitional), which allows some code points that RFC 5892 does not. Other labels with hyphens in the third and
 * fourth place are reserved (RFC 5890 section 2.3.1).
 */
function isALabel(label: string): boolean {
  const lowerCase = label.toLowerCase();
  if (!lowerCase.startsWith('xn--')) return false;
  const unicode = domainToUnicode(lowerCase);
  return unicode !== lowerCase && domainToASCII(unicode) === lowerCase;
}

/**
 * An absolute URI (RFC 3986 section 4.3) in its own characters, each escape whole, of 2048 octets at most. Where it has an
 * authority, its host is a host name or an address (RFC 5280 section 4.2.1.6); one of the scheme spiffe is a SPIFFE ID.
 */
export const isUri = (text: string): boolean =>
  text.length <= longestUri &&
  /^[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+$/.test(text) &&
  (hasSpiffeScheme(text) ? isSpiffeId(text) : hasNamedHost(text));

/** SPIFFE-ID section 2.3 asks for no more; other URIs of this length are in nobody's certificates. */
export const longestUri = 2048;

/** What stands between `//` and the path; undefined where a URI has no authority (RFC 3986 section 3.2). */
export const authorityOf = (uri: string): string | undefined => /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/.exec(uri)?.[1];

function hasNamedHost(uri: string): boolean {
  const authority = authorityOf(uri);
  if (authority === undefined) return true;
  const [, host = '', port = ''] = /^(?:[^@]*@)?(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(authority) ?? [];
  const isBracketed = host.startsWith('[');
  const address = isBracketed ? host.slice(1, -1) : host;
  const isIpAddress = isAddress(address) && isIPv6(address) === isBracketed;
  return (isIpAddress || isHostName(host)) && Number(port) <= 65_535;
}

/** A scheme is the same in any case (RFC 3986 section 3.1): `SPIFFE:` is looked at, and is no SPIFFE ID. */
export const hasSpiffeScheme = (uri: string): boolean => /^spiffe:/i.test(uri);

/**
 * SPIFFE-ID section 2: scheme and trust domain in lower case, no userinfo, port, query or fragment, and segments of letters,
 * digits, dots, hyphens and underscores, none of them empty or a relative one.
 */
export function isSpiffeId(uri: string): boolean {
  const [scheme, empty, trustDomain = '', ...path] = uri.split('/');
  return (
    uri.length <= longestUri &&
    scheme === 'spiffe:' &&
    empty === '' &&
    /^[a-z0-9._-]{1,255}$/.test(trustDomain) &&
    path.every(isPathSegment)
  );
}

/** A Mailbox (RFC 5321 section 4.1.2) with a dot-string before the at sign: no quotes, comments or addresses. */
export function isMailbox(text: string): boolean {
  const at = text.lastIndexOf('@');
  const local = text.slice(0, Math.max(at, 0));
  return (
    local.length <= 64 &&
    /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*$/.test(local) &&
    isHostName(text.slice(at + 1))
  );
}

/** One segment of a SPIFFE ID's path (SPIFFE-ID section 2.2). */
export const isPathSegment = (text: string): boolean => /^[A-Za-z0-9._-]+$/.test(text) && text !== '.' && text !== '..';
