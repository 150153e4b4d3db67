import { domainToASCII, domainToUnicode } from 'node:url';

/** The forms that names must have to stand in a subjectAltName (RFC 5280 section 4.2.1.6). */

/** The preferred name syntax of RFC 1034 section 3.5, without a trailing dot; internationalised labels as A-labels. */
export const isHostName = (text: string): boolean =>
  text.length <= 253 &&
  // What ends in a number is an address to some readers (RFC 1123 section 2.1).
  !/(^|\.)[0-9]+$/.test(text) &&
  text.split('.').every(isLabel);

/** As isHostName; its first label may be the wildcard, before two others at least (RFC 9525 section 6.3). */
export const isWildcardName = (text: string): boolean => /^\*\.[^.]+\../.test(text) && isHostName(text.slice(2));

const isLabel = (label: string): boolean =>
  /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label) && (label.slice(2, 4) !== '--' || isALabel(label));

/**
 * RFC 5890 section 2.3.2.1: what begins with xn-- decodes to a label that encodes to it again. Other labels with hyphens
 * in the third and fourth place are reserved (section 2.3.1).
 */
function isALabel(label: string): boolean {
  const lowerCase = label.toLowerCase();
  if (!lowerCase.startsWith('xn--')) return false;
  const unicode = domainToUnicode(lowerCase);
  return unicode !== lowerCase && domainToASCII(unicode) === lowerCase;
}

/** An absolute URI (RFC 3986 section 4.3) in its own characters, each escape whole. */
export const isUri = (text: string): boolean =>
  /^[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+$/.test(text);

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
