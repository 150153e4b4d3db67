import { createPublicKey } from 'node:crypto';
import type * as Pkcs11js from 'pkcs11js';
import { type ErrorCode, MintmarkError } from '../errors.ts';
import { ecdsaSignatureToDer } from './ecdsa-signature.ts';
import { mechanismOf, signInput } from './pkcs11-mechanism.ts';
import type { Failure } from './pkcs11-messages.ts';
import { codeOfKind, refusesPin, returnValueOf } from './pkcs11-return-values.ts';
import type { Pkcs11Uri } from './pkcs11-uri.ts';
import type { SignatureScheme } from './port.ts';

/**
 * Logged-in sessions with the CA key at hand. All but signing blocks the thread for as long as the library likes; signing
 * blocks one of libuv's (UV_THREADPOOL_SIZE).
 */
export interface Pkcs11Sessions {
  /** One or more; no two signatures at a time in one of them (PKCS#11 v2.40 base specification, section 5.1.5). */
  readonly sessions: readonly Buffer[];
  /** Of every session of the token (PKCS#11 v2.40 base specification, section 2.6.5: handles are the application's). */
  readonly privateKey: Buffer;
  /** DER SubjectPublicKeyInfo */
  readonly publicKey: Uint8Array;
  /** Room that a signature needs. */
  readonly signatureLength: number;
}

export type Pkcs11Binding = typeof Pkcs11js;

/** Curves by the DER of their object identifier in CKA_EC_PARAMS, with the bytes of a coordinate. */
const curves = new Map([
  ['06082a8648ce3d030107', { crv: 'P-256', size: 32 }],
  ['06052b81040022', { crv: 'P-384', size: 48 }],
  ['06052b81040023', { crv: 'P-521', size: 66 }],
]);

/** @returns the slots whose token is the one that the URI names; no restriction in the URI, any token */
export function slotsOf(pkcs11: Pkcs11js.PKCS11, uri: Pkcs11Uri): Buffer[] {
  return pkcs11.C_GetSlotList(true).filter((slot) => {
    if (uri.slotId !== undefined && Number(slot.readBigUInt64LE()) !== uri.slotId) return false;
    const token = pkcs11.C_GetTokenInfo(slot);
    return (
      matches(uri.token, token.label) &&
      matches(uri.manufacturer, token.manufacturerID) &&
      matches(uri.serial, token.serialNumber) &&
      matches(uri.model, token.model)
    );
  });
}

/** Token information is padded with blanks to its field's width. */
function matches(wanted: string | undefined, padded: string): boolean {
  return wanted === undefined || padded.replace(/[ \0]+$/, '') === wanted;
}

/**
 * Read-write sessions (CloudHSM has no other), one login, which is theirs all, and the key, checked. Where the HSM gives fewer
 * than `count`, those that there are.
 *
 * @param pin UTF-8; overwritten with zeros before this returns. The binding takes a string, which JavaScript can
 *   neither erase nor keep the garbage collector from copying: a copy stays in this process's memory until it is
 *   reused. (CloudHSM: `user:password`.)
 * @throws MintmarkError, or the binding's own error with a CKR_ value
 */
export function openSessions(
  binding: Pkcs11Binding,
  pkcs11: Pkcs11js.PKCS11,
  slot: Buffer,
  uri: Pkcs11Uri,
  pin: Uint8Array,
  count: number,
): Pkcs11Sessions {
  const open = () => pkcs11.C_OpenSession(slot, binding.CKF_SERIAL_SESSION | binding.CKF_RW_SESSION);
  const sessions: Buffer[] = [];
  try {
    const first = open();
    sessions.push(first);
    logIn(binding, pkcs11, first, pin);
    const key = findKey(binding, pkcs11, first, uri);
    openMore(open, sessions, count);
    return { sessions, ...key };
  } catch (error) {
    for (const session of sessions) closeQuietly(pkcs11, session);
    throw error;
  } finally {
    pin.fill(0);
  }
}

/** Until the HSM has no more to give: too many clients may be connected to it. */
function openMore(open: () => Buffer, sessions: Buffer[], count: number): void {
  try {
    while (sessions.length < count) sessions.push(open());
  } catch (error) {
    const value = numberOf(error);
    if (value === undefined || returnValueOf(value).kind !== 'transient') throw error;
  }
}

function logIn(binding: Pkcs11Binding, pkcs11: Pkcs11js.PKCS11, session: Buffer, pin: Uint8Array): void {
  try {
    pkcs11.C_Login(session, binding.CKU_USER, Buffer.from(pin.buffer, pin.byteOffset, pin.length).toString('utf8'));
  } catch (error) {
    // The login belongs to the process and the token, not to the session: another signer's holds for this one too.
    if (numberOf(error) !== binding.CKR_USER_ALREADY_LOGGED_IN) throw error;
  }
}

/** The error that made us close is what the caller must see, not what closing a broken session says. */
function closeQuietly(pkcs11: Pkcs11js.PKCS11, session: Buffer): void {
  try {
    pkcs11.C_CloseSession(session);
  } catch (error) {
    if (numberOf(error) === undefined) throw error;
  }
}

function findKey(
  binding: Pkcs11Binding,
  pkcs11: Pkcs11js.PKCS11,
  session: Buffer,
  uri: Pkcs11Uri,
): Omit<Pkcs11Sessions, 'sessions'> {
  const privateKey = findOne(pkcs11, session, 'private key', [
    { type: binding.CKA_CLASS, value: binding.CKO_PRIVATE_KEY },
    ...nameTemplate(binding, uri),
  ]);
  const attribute = (object: Buffer, type: number) => attributeOf(pkcs11, session, object, type);

  // CloudHSM reports both for private keys (AWS CloudHSM User Guide, "Supported key attributes for the PKCS #11
  // library"): CKA_SENSITIVE is always true there, CKA_EXTRACTABLE is true unless the key was made otherwise.
  if (attribute(privateKey, binding.CKA_SENSITIVE)[0] !== 1) {
    throw misconfigured('The CA key can be read out of the HSM in the clear (CKA_SENSITIVE is false).');
  }
  if (attribute(privateKey, binding.CKA_EXTRACTABLE)[0] !== 0) {
    throw misconfigured('The CA key can be taken out of the HSM (CKA_EXTRACTABLE is true).');
  }

  // Attributes of a private key are not enough: an EC one has no point, and not every library tells an RSA modulus.
  const publicKey = findOne(pkcs11, session, 'public key', [
    { type: binding.CKA_CLASS, value: binding.CKO_PUBLIC_KEY },
    ...nameTemplate(binding, uri),
  ]);
  const keyType = Number(attribute(publicKey, binding.CKA_KEY_TYPE).readBigUInt64LE());
  if (keyType === binding.CKK_RSA) {
    const modulus = attribute(publicKey, binding.CKA_MODULUS);
    const exponent = attribute(publicKey, binding.CKA_PUBLIC_EXPONENT);
    const jwk = { kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') };
    return { privateKey, publicKey: subjectPublicKeyInfo(jwk), signatureLength: modulus.length };
  }
  if (keyType === binding.CKK_EC) {
    const curve = curves.get(attribute(publicKey, binding.CKA_EC_PARAMS).toString('hex'));
    if (curve === undefined) throw misconfigured('The CA key is on a curve that is none of P-256, P-384 and P-521.');
    const { x, y } = coordinates(attribute(publicKey, binding.CKA_EC_POINT), curve.size);
    const jwk = { kty: 'EC', crv: curve.crv, x, y };
    return { privateKey, publicKey: subjectPublicKeyInfo(jwk), signatureLength: 2 * curve.size };
  }
  throw misconfigured('The CA key is neither an EC nor an RSA key.');
}

function nameTemplate(binding: Pkcs11Binding, uri: Pkcs11Uri): Pkcs11js.Template {
  const template: Pkcs11js.Template = [];
  if (uri.object !== undefined) template.push({ type: binding.CKA_LABEL, value: uri.object });
  if (uri.id !== undefined) template.push({ type: binding.CKA_ID, value: Buffer.from(uri.id) });
  return template;
}

function findOne(pkcs11: Pkcs11js.PKCS11, session: Buffer, what: string, template: Pkcs11js.Template): Buffer {
  pkcs11.C_FindObjectsInit(session, template);
  let found: Buffer[];
  try {
    found = pkcs11.C_FindObjects(session, 2);
  } finally {
    pkcs11.C_FindObjectsFinal(session);
  }
  const [first, second] = found;
  if (first === undefined) {
    throw misconfigured(`The ${what} that the signer URI names is not on the token, or this user may not use it.`);
  }
  if (second !== undefined) throw misconfigured(`The signer URI names more than one ${what}; add its id.`);
  return first;
}

/** One attribute in a call, so that one that a library does not know spoils no other. */
function attributeOf(pkcs11: Pkcs11js.PKCS11, session: Buffer, object: Buffer, type: number): Buffer {
  const value = pkcs11.C_GetAttributeValue(session, object, [{ type }])[0]?.value;
  if (value === undefined) throw misconfigured('The CA key lacks an attribute that must be checked.');
  return value;
}

/** CKA_EC_POINT is a DER OCTET STRING holding the point (PKCS#11 v2.40 section 2.3.3); some libraries leave it bare. */
function coordinates(ecPoint: Buffer, size: number): { x: string; y: string } {
  const pointLength = 1 + 2 * size;
  // Past 127 bytes (P-521) the length takes the long form, X.690 section 8.1.3.5.
  const header = Buffer.from(pointLength < 0x80 ? [0x04, pointLength] : [0x04, 0x81, pointLength]);
  const wrapped = ecPoint.length === pointLength + header.length && ecPoint.subarray(0, header.length).equals(header);
  const point = wrapped ? ecPoint.subarray(header.length) : ecPoint;
  if (point.length !== pointLength || point[0] !== 0x04) {
    throw misconfigured("The public key's CKA_EC_POINT is not an uncompressed point of its curve.");
  }
  return {
    x: point.subarray(1, 1 + size).toString('base64url'),
    y: point.subarray(1 + size).toString('base64url'),
  };
}

function subjectPublicKeyInfo(jwk: { [member: string]: string }): Uint8Array {
  return createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' });
}

/**
 * One signature, as X.509 carries it.
 * @param session one of `of`, in which nothing else goes on
 * @throws the binding's own error with a CKR_ value
 */
export async function signDigest(
  binding: Pkcs11Binding,
  pkcs11: Pkcs11js.PKCS11,
  { privateKey, signatureLength }: Pkcs11Sessions,
  session: Buffer,
  scheme: SignatureScheme,
  digest: Uint8Array,
): Promise<Uint8Array> {
  const { mechanism, pss } = mechanismOf(scheme);
  const parameter = pss === undefined ? {} : { parameter: { type: binding.CK_PARAMS_RSA_PSS, ...pss } };
  pkcs11.C_SignInit(session, { mechanism, ...parameter }, privateKey);
  const input = Buffer.from(signInput(scheme, digest));
  buffersInUse.add(input);
  try {
    const signature = await pkcs11.C_SignAsync(session, input, Buffer.alloc(signatureLength));
    return scheme.algorithm === 'ecdsa' ? ecdsaSignatureToDer(signature) : Uint8Array.from(signature);
  } finally {
    buffersInUse.delete(input);
  }
}

/**
 * What C_SignAsync was given and the library reads while JavaScript goes on: the binding (pkcs11js 2.1.7, worker.cpp) keeps
 * the address alone, and a buffer that nobody holds is garbage. It holds the one for the signature itself.
 */
const buffersInUse = new Set<Buffer>();

/** What the binding threw, as a failure that may cross to another thread. */
export function failureOf(error: unknown): Failure {
  if (error instanceof MintmarkError) return { code: error.code, message: error.message };
  const value = numberOf(error);
  if (value === undefined) {
    return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
  }
  const returnValue = returnValueOf(value);
  const code: ErrorCode = refusesPin(returnValue) ? 'SIGNER_PIN_REFUSED' : codeOfKind[returnValue.kind];
  return { code, message: `${returnValue.sentence} (${returnValue.name})`, returnValue };
}

/** The CKR_ number in an error of the binding, which mostly has it as `code`, but C_FindObjects only in its message. */
export function numberOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.name === 'Pkcs11Error' && 'code' in error && typeof error.code === 'number') return error.code;
  const written = /^CKR_\w+:(\d+)$/.exec(error.message)?.[1];
  return written === undefined ? undefined : Number(written);
}

function misconfigured(message: string): MintmarkError {
  return new MintmarkError('SIGNER_MISCONFIGURED', message);
}
