import { execFileSync } from 'node:child_process';
import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  type SigningOptions,
  sign,
} from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  bitString,
  contextConstructed,
  nullValue,
  objectIdentifier,
  sequence,
  unsignedInteger,
} from '../../../shared/asn1/der-writer.ts';
import { objectIdentifiers } from '../../../shared/issuance/object-identifiers.ts';
import { type CsrOptions, generateKey, makeCsr } from '../../fixtures/csr/make.ts';
import { decode, type Tree } from '../../fixtures/csr/tree.ts';

/** How a CertificationRequestInfo is signed: the AlgorithmIdentifier that says so (DER), and the signature. */
export interface SignatureScheme {
  readonly algorithmIdentifier: Uint8Array;
  readonly sign: (info: Uint8Array) => Uint8Array;
}

export interface Signer {
  readonly name: string;
  readonly privateKey: KeyObject;
  readonly subjectPublicKeyInfo: Buffer;
  /** Of those that are taken; at least one. */
  readonly schemes: readonly SignatureScheme[];
  /** Signatures that verify, over hashes or with parameters that are not taken. */
  readonly refusedSchemes: readonly SignatureScheme[];
}

/** What mutants are made of. */
export interface Original {
  readonly name: string;
  /** CertificationRequestInfo. */
  readonly info: Tree;
  readonly signer: Signer;
}

/** A CertificationRequest round a CertificationRequestInfo of whatever form. */
export function signed(info: Uint8Array, scheme: SignatureScheme): Uint8Array {
  return sequence(info, scheme.algorithmIdentifier, bitString(scheme.sign(info)));
}

/** RSASSA-PSS-params (RFC 4055 section 3.1) of these octets each, whole. */
export const pssIdentifier = (...parameters: readonly Uint8Array[]): Uint8Array =>
  sequence(objectIdentifier(objectIdentifiers.idRsassaPss), sequence(...parameters));

const hashIdentifier = (oid: string): Uint8Array => sequence(objectIdentifier(oid), nullValue());
const tagged = (number: number, value: number): Uint8Array =>
  contextConstructed(number, unsignedInteger(Uint8Array.of(value)));

function scheme(
  algorithmIdentifier: Uint8Array,
  hash: string | null,
  privateKey: KeyObject,
  options: SigningOptions = {},
): SignatureScheme {
  return { algorithmIdentifier, sign: (info) => sign(hash, info, { key: privateKey, ...options }) };
}

function ecdsa(privateKey: KeyObject, hash: string, oid: string): SignatureScheme {
  return scheme(sequence(objectIdentifier(oid)), hash, privateKey);
}

function pkcs1(privateKey: KeyObject, hash: string, oid: string, ...parameters: readonly Uint8Array[]) {
  return scheme(sequence(objectIdentifier(oid), ...parameters), hash, privateKey);
}

/** The parameters may say something else than what is signed, where that is what is tried. */
function pss(privateKey: KeyObject, hash: string, saltLength: number, ...parameters: readonly Uint8Array[]) {
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return scheme(pssIdentifier(...parameters), hash, privateKey, { padding, saltLength });
}

const pssHash = contextConstructed(0, hashIdentifier(objectIdentifiers.idSha256));
const pssMask = (hash: string): Uint8Array =>
  contextConstructed(1, sequence(objectIdentifier(objectIdentifiers.idMgf1), hashIdentifier(hash)));
const sha256Mask = pssMask(objectIdentifiers.idSha256);

function ecSchemes(key: KeyObject): Pick<Signer, 'schemes' | 'refusedSchemes'> {
  return {
    schemes: [
      ecdsa(key, 'sha256', objectIdentifiers.ecdsaWithSha256),
      ecdsa(key, 'sha384', objectIdentifiers.ecdsaWithSha384),
      ecdsa(key, 'sha512', objectIdentifiers.ecdsaWithSha512),
    ],
    refusedSchemes: [
      ecdsa(key, 'sha1', objectIdentifiers.ecdsaWithSha1),
      ecdsa(key, 'sha224', objectIdentifiers.ecdsaWithSha224),
      ecdsa(key, 'sha3-256', objectIdentifiers.ecdsaWithSha3_256),
      ecdsa(key, 'sha3-384', objectIdentifiers.ecdsaWithSha3_384),
      scheme(sequence(objectIdentifier(objectIdentifiers.ecdsaWithSha256), nullValue()), 'sha256', key),
    ],
  };
}

function rsaSchemes(key: KeyObject): Pick<Signer, 'schemes' | 'refusedSchemes'> {
  const { idSha1, idSha224, idSha384, idSha512 } = objectIdentifiers;
  const sha1 = contextConstructed(0, hashIdentifier(idSha1));
  return {
    schemes: [
      pkcs1(key, 'sha256', objectIdentifiers.sha256WithRsaEncryption, nullValue()),
      pkcs1(key, 'sha384', objectIdentifiers.sha384WithRsaEncryption, nullValue()),
      pkcs1(key, 'sha512', objectIdentifiers.sha512WithRsaEncryption, nullValue()),
      pkcs1(key, 'sha256', objectIdentifiers.sha256WithRsaEncryption),
      pss(key, 'sha256', 32, pssHash, sha256Mask, tagged(2, 32)),
      pss(key, 'sha256', 20, pssHash, sha256Mask),
      pss(key, 'sha256', 0, pssHash, sha256Mask, tagged(2, 0)),
      pss(key, 'sha384', 48, contextConstructed(0, hashIdentifier(idSha384)), pssMask(idSha384), tagged(2, 48)),
      pss(
        key,
        'sha512',
        64,
        contextConstructed(0, sequence(objectIdentifier(idSha512))),
        contextConstructed(
          1,
          sequence(objectIdentifier(objectIdentifiers.idMgf1), sequence(objectIdentifier(idSha512))),
        ),
        tagged(2, 64),
      ),
    ],
    refusedSchemes: [
      pkcs1(key, 'md5', objectIdentifiers.md5WithRsaEncryption, nullValue()),
      pkcs1(key, 'sha1', objectIdentifiers.sha1WithRsaEncryption, nullValue()),
      pkcs1(key, 'sha224', objectIdentifiers.sha224WithRsaEncryption, nullValue()),
      pkcs1(key, 'sha3-256', objectIdentifiers.rsassaPkcs1v1_5WithSha3_256, nullValue()),
      pkcs1(key, 'sha256', objectIdentifiers.sha256WithRsaEncryption, sequence()),
      pkcs1(key, 'sha256', objectIdentifiers.sha256WithRsaEncryption, nullValue(), nullValue()),
      pss(key, 'sha1', 20),
      pss(key, 'sha1', 20, sha1, pssMask(idSha1)),
      pss(key, 'sha224', 28, contextConstructed(0, hashIdentifier(idSha224)), pssMask(idSha224), tagged(2, 28)),
      pss(key, 'sha256', 20, pssHash, sha256Mask, tagged(2, 20)),
      pss(key, 'sha256', 32, pssHash, sha256Mask, tagged(2, 32), tagged(3, 1)),
      pss(key, 'sha256', 32, pssHash, sha256Mask, tagged(2, 32), tagged(3, 2)),
      pss(key, 'sha256', 32, pssHash, pssMask(idSha512), tagged(2, 32)),
      pss(key, 'sha256', 32, pssHash, sha256Mask, tagged(2, 33)),
    ],
  };
}

/** The schemes of any key that Node makes and OpenSSL signs with. */
function schemesOf(key: KeyObject): Pick<Signer, 'schemes' | 'refusedSchemes'> {
  switch (key.asymmetricKeyType) {
    case 'ec':
      return ecSchemes(key);
    case 'rsa':
      return rsaSchemes(key);
    case 'rsa-pss':
      return { schemes: [pss(key, 'sha256', 32, pssHash, sha256Mask, tagged(2, 32))], refusedSchemes: [] };
    case 'ed25519':
      return {
        schemes: [scheme(sequence(objectIdentifier(objectIdentifiers.idEd25519)), null, key)],
        refusedSchemes: [scheme(sequence(objectIdentifier(objectIdentifiers.idEd25519), nullValue()), null, key)],
      };
    case 'ed448':
      return {
        schemes: [scheme(sequence(objectIdentifier(objectIdentifiers.idEd448)), null, key)],
        refusedSchemes: [],
      };
    case 'dsa':
      return { schemes: [ecdsa(key, 'sha256', objectIdentifiers.dsaWithSha256)], refusedSchemes: [] };
    default:
      throw new Error(`no signature of a key of type ${key.asymmetricKeyType}`);
  }
}

export function signerOf(name: string, privateKey: KeyObject): Signer {
  const subjectPublicKeyInfo = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return { name, privateKey, subjectPublicKeyInfo, ...schemesOf(privateKey) };
}

export interface Signers {
  /** One of every kind that a profile may allow. */
  readonly allowed: readonly Signer[];
  /** Keys that sign as well and that no profile allows. */
  readonly refused: readonly Signer[];
}

const generateKeys = promisify(generateKeyPair);

type Made = Promise<{ readonly privateKey: KeyObject }>;

async function signersOf(made: Readonly<Record<string, Made>>): Promise<Signer[]> {
  const each = Object.entries(made).map(async ([name, pair]) => signerOf(name, (await pair).privateKey));
  return Promise.all(each);
}

/** Node's own generator has exponents of at most 32 bits. */
async function largeExponent(): Promise<{ readonly privateKey: KeyObject }> {
  const options = ['-pkeyopt', 'rsa_keygen_bits:2048', '-pkeyopt', `rsa_keygen_pubexp:${2 ** 32 + 15}`];
  return { privateKey: createPrivateKey(generateKey('-algorithm', 'RSA', ...options)) };
}

/** New keys, at once. */
export async function makeSigners(): Promise<Signers> {
  const ec = (namedCurve: string): Made => generateKeys('ec', { namedCurve });
  const rsa = (modulusLength: number, publicExponent = 65537): Made =>
    generateKeys('rsa', { modulusLength, publicExponent });
  const [allowed, refused] = await Promise.all([
    signersOf({
      'P-256': ec('P-256'),
      'P-384': ec('P-384'),
      'P-521': ec('P-521'),
      'RSA 2048': rsa(2048),
      'RSA 3072': rsa(3072),
      'RSA 2048, exponent 65539': rsa(2048, 65539),
      Ed25519: generateKeys('ed25519', {}),
    }),
    signersOf({
      secp256k1: ec('secp256k1'),
      'P-224': ec('P-224'),
      brainpoolP256r1: ec('brainpoolP256r1'),
      'RSA 1536': rsa(1536),
      'RSA 2040': rsa(2040),
      'RSA 4104': rsa(4104),
      'RSA 2048, exponent 3': rsa(2048, 3),
      'RSA 2048, exponent 65535': rsa(2048, 65535),
      'RSA 2048, exponent 2^32 + 15': largeExponent(),
      Ed448: generateKeys('ed448', {}),
      'RSASSA-PSS': generateKeys('rsa-pss', { modulusLength: 2048 }),
      DSA: generateKeys('dsa', { modulusLength: 1024, divisorLength: 160 }),
    }),
  ]);
  return { allowed, refused };
}

function infoOf(der: Uint8Array): Tree {
  const request = decode(Buffer.from(der));
  const info = 'children' in request ? request.children[0] : undefined;
  if (info === undefined) throw new Error('no certification request');
  return info;
}

/** What pyca/cryptography makes of keys of its own. */
export function pycaOriginals(python: string): Original[] {
  const script = fileURLToPath(new URL('../python/make_requests.py', import.meta.url));
  const made = JSON.parse(execFileSync(python, ['-W', 'ignore', script], { encoding: 'utf8' })) as {
    readonly name: string;
    readonly privateKey: string;
    readonly der: string;
  }[];
  return made.map(({ name, privateKey, der }) => ({
    name,
    info: infoOf(Buffer.from(der, 'base64')),
    signer: signerOf(name, createPrivateKey(privateKey)),
  }));
}

const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

const subjectAltName = 'subjectAltName = DNS:device-1.example.com, URI:spiffe://example.com/device-1, IP:192.0.2.1';

/** What `openssl req` makes of keys of each kind. */
export function opensslOriginals({ allowed }: Signers): Original[] {
  const everyKind = allowed.map((signer) => ({ signer, options: {} satisfies CsrOptions }));
  const [p256, ed25519] = ['P-256', 'Ed25519'].map((wanted) => allowed.find(({ name }) => name === wanted));
  if (p256 === undefined || ed25519 === undefined) throw new Error('no P-256 or Ed25519 key');
  const extensions = ['basicConstraints = critical, CA:FALSE', 'keyUsage = critical, digitalSignature', subjectAltName];
  const attributes = ['challengePassword = longer than short', 'unstructuredName = x'];
  const multivalued = { subject: '/O=Example/CN=device-1+serialNumber=42+OU=Pumps', options: ['-multivalue-rdn'] };
  const more: readonly { signer: Signer; options: CsrOptions }[] = [
    { signer: p256, options: { extensions } },
    { signer: ed25519, options: { extensions, attributes } },
    { signer: ed25519, options: { subject: '/', extensions: [subjectAltName] } },
    { signer: p256, options: { subject: '/C=DE/O=Gerätebau Größe/CN=девайс 設備 🚰' } },
    { signer: ed25519, options: multivalued },
  ];
  return [...everyKind, ...more].map(({ signer, options }) => {
    const name = `openssl: ${signer.name} ${Object.keys(options).join(', ')}`.trim();
    return { name, info: infoOf(makeCsr(pem(signer.privateKey), options)), signer };
  });
}
