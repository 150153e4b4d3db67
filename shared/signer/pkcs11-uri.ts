import { MintmarkError } from '../errors.ts';

/**
 * Which key on which token, as RFC 7512 writes it: `pkcs11:token=fleet;object=issuing-ca;type=private`.
 *
 * Only what names the token and the key. A PIN never stands in a URI, and which library to load is the deployment's
 * configuration, not the issuer's row: both attributes are refused.
 */
export interface Pkcs11Uri {
  /** CK_TOKEN_INFO label */
  readonly token?: string;
  readonly manufacturer?: string;
  readonly serial?: string;
  readonly model?: string;
  readonly slotId?: number;
  /** CKA_LABEL */
  readonly object?: string;
  /** CKA_ID */
  readonly id?: Uint8Array;
  readonly type?: Pkcs11ObjectType;
}

export type Pkcs11ObjectType = 'public' | 'private' | 'cert' | 'secret-key' | 'data';

const objectTypes: readonly string[] = ['public', 'private', 'cert', 'secret-key', 'data'];

/** Text attributes, by their name in the URI. */
const textAttributes = ['token', 'manufacturer', 'serial', 'model', 'object'] as const;
type TextAttribute = (typeof textAttributes)[number];

/** pk11-pchar without percent-encoding: unreserved, and what a path may hold as it is (RFC 7512 section 2.3). */
const plainCharacters = /^[A-Za-z0-9\-._~:[\]@!$'()*+,=&]*$/;

/**
 * @throws MintmarkError SIGNER_MISCONFIGURED; the message never repeats an attribute's value, which may be a PIN
 */
export function parsePkcs11Uri(uri: string): Pkcs11Uri {
  if (!uri.startsWith('pkcs11:')) throw misconfigured('must start with "pkcs11:"');
  const [path, query] = splitOnce(uri.slice('pkcs11:'.length), '?');
  if (query !== undefined) throw queryRefused(query);

  const attributes = new Map<string, string>();
  for (const attribute of path === '' ? [] : path.split(';')) {
    const [name, value] = splitOnce(attribute, '=');
    if (!/^[a-z][a-z0-9-]*$/.test(name) || value === undefined) {
      throw misconfigured('must be attributes of the form name=value, separated by ";"');
    }
    if (attributes.has(name)) throw misconfigured(`has the attribute ${name} twice`);
    attributes.set(name, value);
  }

  const parsed: { -readonly [Name in keyof Pkcs11Uri]: Pkcs11Uri[Name] } = {};
  for (const [name, encoded] of attributes) {
    const bytes = percentDecode(name, encoded);
    if (isTextAttribute(name)) {
      parsed[name] = utf8(name, bytes);
    } else if (name === 'id') {
      if (bytes.length === 0) throw misconfigured('has an empty id');
      parsed.id = bytes;
    } else if (name === 'type') {
      const type = utf8(name, bytes);
      if (!isObjectType(type)) throw misconfigured(`has a type that is none of ${objectTypes.join(', ')}`);
      parsed.type = type;
    } else if (name === 'slot-id') {
      const slotId = utf8(name, bytes);
      if (!/^(0|[1-9][0-9]{0,14})$/.test(slotId)) throw misconfigured('has a slot-id that is not a decimal number');
      parsed.slotId = Number(slotId);
    } else {
      throw misconfigured(
        `has an attribute that is not supported; these are: ${[...textAttributes, 'id', 'type', 'slot-id'].join(', ')}`,
      );
    }
  }
  return parsed;
}

/** The URI with its attributes in a fixed order and nothing encoded that need not be; parsing gives the same back. */
export function formatPkcs11Uri(uri: Pkcs11Uri): string {
  const attributes: string[] = [];
  const add = (name: string, value: string | undefined) => {
    if (value !== undefined) attributes.push(`${name}=${value}`);
  };
  add('token', uri.token === undefined ? undefined : encodeText(uri.token));
  add('manufacturer', uri.manufacturer === undefined ? undefined : encodeText(uri.manufacturer));
  add('serial', uri.serial === undefined ? undefined : encodeText(uri.serial));
  add('model', uri.model === undefined ? undefined : encodeText(uri.model));
  add('slot-id', uri.slotId?.toString());
  add('object', uri.object === undefined ? undefined : encodeText(uri.object));
  // RFC 7512 section 2.3 advises to encode every byte of an id.
  add('id', uri.id === undefined ? undefined : [...uri.id].map(percentEncode).join(''));
  add('type', uri.type);
  return `pkcs11:${attributes.join(';')}`;
}

function isTextAttribute(name: string): name is TextAttribute {
  return (textAttributes as readonly string[]).includes(name);
}

function isObjectType(type: string): type is Pkcs11ObjectType {
  return objectTypes.includes(type);
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

function queryRefused(query: string): MintmarkError {
  const names = query.split('&').map((attribute) => splitOnce(attribute, '=')[0]);
  if (names.includes('pin-value') || names.includes('pin-source')) {
    return misconfigured('must not hold a PIN or say where one is: the PIN is sealed in the issuers table');
  }
  if (names.includes('module-path') || names.includes('module-name')) {
    return misconfigured('must not name a library: that is PKCS11_LIBRARY in the configuration of the function');
  }
  return misconfigured('must not have a query part');
}

function percentDecode(name: string, encoded: string): Uint8Array {
  const bytes: number[] = [];
  for (let at = 0; at < encoded.length; ) {
    const character = encoded.charAt(at);
    if (character === '%') {
      const digits = encoded.slice(at + 1, at + 3);
      if (!/^[0-9A-Fa-f]{2}$/.test(digits)) throw misconfigured(`has a "%" without two hex digits in ${name}`);
      bytes.push(Number.parseInt(digits, 16));
      at += 3;
    } else {
      if (!plainCharacters.test(character)) {
        throw misconfigured(`has a character in ${name} that must be percent-encoded`);
      }
      bytes.push(character.charCodeAt(0));
      at += 1;
    }
  }
  return Uint8Array.from(bytes);
}

function utf8(name: string, bytes: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw misconfigured(`has bytes in ${name} that are not UTF-8`, error);
  }
  if (text === '') throw misconfigured(`has an empty ${name}`);
  return text;
}

function encodeText(text: string): string {
  return [...new TextEncoder().encode(text)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return plainCharacters.test(character) ? character : percentEncode(byte);
    })
    .join('');
}

function percentEncode(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

function misconfigured(what: string, cause?: unknown): MintmarkError {
  return new MintmarkError('SIGNER_MISCONFIGURED', `The signer URI ${what}.`, { cause });
}
