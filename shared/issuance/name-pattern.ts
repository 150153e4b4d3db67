import { authorityOf, isHostName, isPathSegment } from './name-forms.ts';
import { deviceIdPlaceholder, labelPlaceholder } from './profile/texts.ts';

/** Kinds of names whose templates are texts with a structure. */
export type TextKind = 'dNSName' | 'uniformResourceIdentifier' | 'rfc822Name';

interface Piece {
  readonly text: string;
  /** A piece of a host name: compared without case, and a device id in it is one label. */
  readonly ofHost: boolean;
}

interface Matched {
  /** Absent where the template has no device id. */
  readonly deviceId?: string;
}

/**
 * A text in its pieces: the labels of a host name, the segments of a URI, the local part of a mailbox. A host that is
 * nothing but the device id is one piece, since such an id may have dots.
 */
function piecesOf(kind: TextKind, text: string, wholeHost: boolean): readonly Piece[] {
  const host = (name: string): readonly Piece[] =>
    (wholeHost ? [name] : name.split('.')).map((label) => ({ text: label, ofHost: true }));
  const plain = (parts: readonly string[]): readonly Piece[] => parts.map((part) => ({ text: part, ofHost: false }));
  if (kind === 'dNSName') return host(text);
  if (kind === 'rfc822Name') {
    const at = text.lastIndexOf('@');
    return [...plain([text.slice(0, Math.max(at, 0))]), ...host(text.slice(at + 1))];
  }
  const authority = authorityOf(text);
  if (authority === undefined) return plain(text.split('/'));
  const start = text.indexOf('//') + 2;
  const rest = text.slice(start + authority.length);
  return [...plain([text.slice(0, start)]), ...host(authority), ...plain(rest.split('/'))];
}

const hostOf = (kind: TextKind, text: string): string | undefined => {
  if (kind === 'dNSName') return text;
  return kind === 'rfc822Name' ? text.slice(text.lastIndexOf('@') + 1) : authorityOf(text);
};

const hasWholeHost = (kind: TextKind, template: string): boolean => hostOf(kind, template) === deviceIdPlaceholder;

const placeholders = /\{deviceId\}|\{label\}/g;

/** What is wrong with where a template has its placeholders, for a sentence; undefined where nothing is. */
export function misplacedPlaceholder(kind: TextKind, template: string): string | undefined {
  const pieces = piecesOf(kind, template, hasWholeHost(kind, template));
  if (pieces.some(({ text }) => (text.match(placeholders) ?? []).length > 1)) {
    return 'must have one placeholder at most in each label of a host and each segment of a URI';
  }
  const authority = kind === 'uniformResourceIdentifier' ? authorityOf(template) : undefined;
  if (authority?.includes(labelPlaceholder) === true) return `must not have ${labelPlaceholder} in its authority`;
  return authority?.includes(deviceIdPlaceholder) === true && /[@:]/.test(authority)
    ? `must not have ${deviceIdPlaceholder} beside a user or a port`
    : undefined;
}

/**
 * Whether a device id can stand where a template has it. In a host it is one label, of lower-case letters, digits and
 * hyphens, or all of the host. So no two device ids make one host name: `mqtt.pump-7` is no label under a domain of
 * `pump-7`'s, and `PUMP-7`, which is the same to the DNS, is none at all.
 */
export function takesDeviceId(kind: TextKind, template: string, deviceId: string): boolean {
  if (hostOf(kind, template)?.includes(deviceIdPlaceholder) !== true) return true;
  return hasWholeHost(kind, template)
    ? isHostName(deviceId) && deviceId === deviceId.toLowerCase()
    : /^[a-z0-9-]+$/.test(deviceId);
}

/**
 * Whether a name is one of the template's, and of which device: piece by piece, each looked at once.
 * @param value as a CSR asks for it
 * @returns undefined where it is none of the template's
 */
export function matchTemplate(kind: TextKind, template: string, value: string): Matched | undefined {
  const wholeHost = hasWholeHost(kind, template);
  const expected = piecesOf(kind, template, wholeHost);
  const found = piecesOf(kind, value, wholeHost);
  if (expected.length !== found.length) return undefined;
  const deviceIds = new Set<string>();
  for (const [index, piece] of expected.entries()) {
    const filling = fillingOf(piece, found[index]?.text ?? '');
    if (filling === undefined) return undefined;
    if (filling.placeholder === deviceIdPlaceholder) deviceIds.add(filling.text);
    if (filling.placeholder === labelPlaceholder && !isPathSegment(filling.text)) return undefined;
  }
  if (deviceIds.size > 1) return undefined;
  const [deviceId] = deviceIds;
  return deviceId === undefined ? {} : { deviceId };
}

/** What stands in the place of a piece's placeholder; of several in one, which schema refuses, nobody could say. */
function fillingOf(
  { text, ofHost }: Piece,
  value: string,
): { readonly placeholder?: string; readonly text: string } | undefined {
  const written = ofHost ? value.toLowerCase() : value;
  const [placeholder, ...others] = text.match(placeholders) ?? [];
  if (others.length > 0) return undefined;
  if (placeholder === undefined) return written === (ofHost ? text.toLowerCase() : text) ? { text: '' } : undefined;
  const [before = '', after = ''] = text.split(placeholder).map((part) => (ofHost ? part.toLowerCase() : part));
  const isIt = written.length > before.length + after.length && written.startsWith(before) && written.endsWith(after);
  return isIt ? { placeholder, text: written.slice(before.length, written.length - after.length) } : undefined;
}
