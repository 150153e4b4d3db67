import type { SeededRandom } from '../../../local/embedded/seeded-random.ts';
import {
  bitString,
  nullValue,
  objectIdentifier,
  octetString,
  sequence,
  tlv,
  unsignedInteger,
} from '../../../shared/asn1/der-writer.ts';
import { objectIdentifiers } from '../../../shared/issuance/object-identifiers.ts';
import type { Signer } from './originals.ts';

/** A SubjectPublicKeyInfo in another form, of the same key as far as anybody reads it. */
export interface KeyForm {
  readonly what: string;
  readonly subjectPublicKeyInfo: Uint8Array;
  /** A signature that verifies with it whatever is signed, where the signer's own does not. */
  readonly signature?: Uint8Array;
}

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

const { idEcPublicKey, rsaEncryption, idEd25519, secp256r1, secp384r1 } = objectIdentifiers;

function spki(algorithm: readonly Uint8Array[], key: Uint8Array, unusedBits = 0): Uint8Array {
  return sequence(sequence(...algorithm), tlv(0x03, Uint8Array.of(unusedBits), key));
}

/** SEC 1 appendix C.2: P-256 spelled out. */
function specifiedP256(...cofactor: readonly Uint8Array[]): Uint8Array {
  const p = hex('ffffffff00000001000000000000000000000000ffffffffffffffffffffffff');
  const a = hex('ffffffff00000001000000000000000000000000fffffffffffffffffffffffc');
  const b = hex('5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b');
  const g = hex(`04 6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296
    4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5`);
  const n = hex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
  const field = sequence(objectIdentifier('1.2.840.10045.1.1'), unsignedInteger(p));
  const curve = sequence(octetString(a), octetString(b));
  return sequence(unsignedInteger(Uint8Array.of(1)), field, curve, octetString(g), unsignedInteger(n), ...cofactor);
}

/** Coordinates of a SubjectPublicKeyInfo's uncompressed point; whoever has a P-256 key has 32 octets each. */
function pointOf(signer: Signer): { point: Buffer; octets: number } {
  const { x, y } = signer.privateKey.export({ format: 'jwk' });
  const coordinates = [x, y].map((value) => Buffer.from(value ?? '', 'base64url'));
  return { point: Buffer.concat([Buffer.of(4), ...coordinates]), octets: coordinates[0]?.length ?? 0 };
}

function ecForms(signer: Signer): KeyForm[] {
  const { point, octets } = pointOf(signer);
  const algorithm = objectIdentifier(idEcPublicKey);
  const curve = { 32: secp256r1, 48: secp384r1, 66: objectIdentifiers.secp521r1 }[octets];
  if (curve === undefined) throw new Error(`no curve of ${octets} octets`);
  const named = objectIdentifier(curve);
  const parity = (point.at(-1) ?? 0) & 1;
  const off = Buffer.from(point);
  off.writeUInt8(off.readUInt8(off.length - 1) ^ 1, off.length - 1);
  const form = (what: string, parameters: readonly Uint8Array[], key: Uint8Array = point, unusedBits = 0): KeyForm => ({
    what,
    subjectPublicKeyInfo: spki([algorithm, ...parameters], key, unusedBits),
  });
  const all = [
    form('compressed point', [named], Buffer.concat([Buffer.of(2 + parity), point.subarray(1, 1 + octets)])),
    form('hybrid point', [named], Buffer.concat([Buffer.of(6 + parity), point.subarray(1)])),
    form('hybrid point of the other parity', [named], Buffer.concat([Buffer.of(7 - parity), point.subarray(1)])),
    form('point at infinity', [named], Buffer.of(0)),
    form('point off the curve', [named], off),
    form('point cut short', [named], point.subarray(0, -1)),
    form('point with an octet more', [named], Buffer.concat([point, Buffer.of(0)])),
    form(
      'coordinate not reduced',
      [named],
      Buffer.concat([Buffer.of(4), Buffer.alloc(octets, 255), point.subarray(1 + octets)]),
    ),
    form('empty point', [named], Buffer.alloc(0)),
    form('implicit curve', [nullValue()]),
    form('no parameters', []),
    form('NULL after the curve', [named, nullValue()]),
    form('another curve', [objectIdentifier(octets === 32 ? objectIdentifiers.secp256k1 : secp256r1)]),
    form('curve nobody knows', [objectIdentifier('1.3.6.1.4.1.32473.5')]),
    form('curve not in DER', [Uint8Array.of(0x06, 0x81, named.length - 2, ...named.subarray(2))]),
    form('unused bits', [named], point, 1),
  ];
  if (octets !== 32) return all;
  return [
    ...all,
    form('curve spelled out', [specifiedP256(unsignedInteger(Uint8Array.of(1)))]),
    form('curve spelled out without cofactor', [specifiedP256()]),
  ];
}

function rsaForms(signer: Signer): KeyForm[] {
  const { n, e } = signer.privateKey.export({ format: 'jwk' });
  const modulus = Buffer.from(n ?? '', 'base64url');
  const exponent = Buffer.from(e ?? '', 'base64url');
  const algorithm = objectIdentifier(rsaEncryption);
  const key = sequence(unsignedInteger(modulus), unsignedInteger(exponent));
  const form = (what: string, contents: Uint8Array, identifier = [algorithm, nullValue()]): KeyForm => ({
    what,
    subjectPublicKeyInfo: spki(identifier, contents),
  });
  const withExponent = (...octets: readonly number[]): Uint8Array =>
    sequence(unsignedInteger(modulus), unsignedInteger(Uint8Array.from(octets)));
  return [
    form('no NULL', key, [algorithm]),
    form('NULL twice', key, [algorithm, nullValue(), nullValue()]),
    form('a SEQUENCE for NULL', key, [algorithm, sequence()]),
    form('id-RSASSA-PSS', key, [objectIdentifier(objectIdentifiers.idRsassaPss)]),
    form('id-RSAES-OAEP', key, [objectIdentifier(objectIdentifiers.idRsaesOaep)]),
    form('padded modulus', sequence(tlv(0x02, Buffer.concat([Buffer.alloc(2), modulus])), unsignedInteger(exponent))),
    form('negative modulus', sequence(tlv(0x02, modulus), unsignedInteger(exponent))),
    form('padded exponent', sequence(unsignedInteger(modulus), tlv(0x02, Buffer.of(0), exponent))),
    form('negative exponent', sequence(unsignedInteger(modulus), tlv(0x02, Buffer.of(0xff)))),
    form('exponent 1', withExponent(1)),
    form('even exponent', withExponent(1, 0, 0)),
    form('exponent of 33 bits', withExponent(1, 0, 0, 0, 1)),
    form(
      'even modulus',
      sequence(unsignedInteger(Buffer.concat([modulus.subarray(0, -1), Buffer.of(0)])), unsignedInteger(exponent)),
    ),
    form('no exponent', sequence(unsignedInteger(modulus))),
    form('something after the exponent', sequence(unsignedInteger(modulus), unsignedInteger(exponent), nullValue())),
    form('something after the key', Buffer.concat([key, Buffer.of(5, 0)])),
    form('key not in DER', Buffer.concat([Buffer.of(0x30, 0x83, 0), key.subarray(2)])),
    form('empty key', Buffer.alloc(0)),
  ];
}

/** The neutral element as key and as R, and S = 0, verify whatever is signed (RFC 8032 section 5.1.7). */
const neutral = Uint8Array.of(1, ...new Uint8Array(31));
const signatureOfNobody = Uint8Array.from([...neutral, ...new Uint8Array(32)]);

function ed25519Forms(signer: Signer): KeyForm[] {
  const key = signer.subjectPublicKeyInfo.subarray(-32);
  const algorithm = objectIdentifier(idEd25519);
  const form = (what: string, contents: Uint8Array, identifier = [algorithm]): KeyForm => ({
    what,
    subjectPublicKeyInfo: spki(identifier, contents),
  });
  return [
    form('NULL parameters', key, [algorithm, nullValue()]),
    form('31 octets', key.subarray(1)),
    form('33 octets', Buffer.concat([key, Buffer.of(0)])),
    { ...form('neutral element', neutral), signature: signatureOfNobody },
    form('y not reduced', Buffer.concat([Buffer.of(0xf0), Buffer.alloc(30, 255), Buffer.of(0x7f)])),
    form('no point', Buffer.concat([Buffer.of(2), Buffer.alloc(31)])),
    form('X25519', key, [objectIdentifier(objectIdentifiers.idX25519)]),
  ];
}

const formsOf = new WeakMap<Signer, readonly KeyForm[]>();

/** Of keys that a profile may allow. */
export function keyForm(random: SeededRandom, signer: Signer): KeyForm {
  let forms = formsOf.get(signer);
  if (forms === undefined) {
    const type = signer.privateKey.asymmetricKeyType;
    forms = type === 'ec' ? ecForms(signer) : type === 'rsa' ? rsaForms(signer) : ed25519Forms(signer);
    formsOf.set(signer, forms);
  }
  return random.pick(forms);
}

/** An ECDSA signature (RFC 3279 section 2.2.3) in another form, whose numbers are the same unless it says otherwise. */
export function ecdsaSignatureForms(signature: Buffer): Uint8Array[] {
  const contents = signature.subarray(signature[1] === 0x81 ? 3 : 2);
  const rEnd = 2 + (contents[1] ?? 0);
  const r = contents.subarray(2, rEnd);
  const s = contents.subarray(rEnd + 2);
  const integer = (octets: Uint8Array): Uint8Array => tlv(0x02, octets);
  const padded = (octets: Uint8Array): Uint8Array => tlv(0x02, Uint8Array.of(0), octets);
  return [
    sequence(padded(r), integer(s)),
    sequence(integer(r), padded(s)),
    sequence(integer(r), integer(s), nullValue()),
    Buffer.concat([signature, Buffer.of(0)]),
    Buffer.concat([Buffer.of(0x30, 0x82, 0, contents.length), contents]),
    Buffer.concat([Buffer.of(0x30, 0x80), contents, Buffer.of(0, 0)]),
    Buffer.concat([r, s]),
    sequence(integer(Uint8Array.of(0)), integer(Uint8Array.of(0))),
    Buffer.alloc(0),
  ];
}

/** `[BIT STRING]` round a signature: as it belongs, and in other forms. */
export const signatureBits = (random: SeededRandom, signature: Uint8Array): Uint8Array =>
  random.pick([
    bitString(signature),
    tlv(0x03, Uint8Array.of(1), signature),
    tlv(0x03, signature),
    Buffer.concat([bitString(signature), Buffer.of(5, 0)]),
    octetString(signature),
    Buffer.concat([Buffer.of(0x03, 0x83, 0, (signature.length + 1) >> 8, (signature.length + 1) & 255, 0), signature]),
    Buffer.concat([Buffer.of(0x23, 0x80), bitString(signature), Buffer.of(0, 0)]),
    tlv(0x23, bitString(signature)),
  ]);
