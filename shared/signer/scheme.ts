import type { KeyObject } from 'node:crypto';
import { MintmarkError } from '../errors.ts';
import type { SignatureScheme } from './port.ts';

type Hash = SignatureScheme['hash'];

/** FIPS 180-4 */
const digestLengths = { sha256: 32, sha384: 48, sha512: 64 } as const satisfies Record<Hash, number>;

/** The hash of the curve's size (RFC 5480 section 4), by OpenSSL's names of the curves that a CA may use here. */
const curveHashes = new Map<string | undefined, Hash>([
  ['prime256v1', 'sha256'],
  ['secp384r1', 'sha384'],
  ['secp521r1', 'sha512'],
]);

/** Bytes in a digest of this hash. */
export function digestLength(hash: Hash): number {
  return digestLengths[hash];
}

/** @returns the error of a digest that is none of this hash */
export function refuseDigest(hash: Hash, digest: Uint8Array): MintmarkError | undefined {
  const length = digestLength(hash);
  if (digest.length === length) return undefined;
  return new MintmarkError('INTERNAL', `A ${hash} digest has ${length} bytes, not ${digest.length}.`);
}

/** As an issuer's row names it: the algorithm and the hash, such as `rsa-pss-sha256`. */
export type SchemeName = `${'rsa-pkcs1-v1_5' | 'rsa-pss'}-${Hash}` | `ecdsa-${Hash}`;

const schemes: ReadonlyMap<string, SignatureScheme> = new Map(
  (['ecdsa', 'rsa-pkcs1-v1_5', 'rsa-pss'] as const).flatMap((algorithm) =>
    (['sha256', 'sha384', 'sha512'] as const).map((hash): [SchemeName, SignatureScheme] => [
      `${algorithm}-${hash}`,
      { algorithm, hash },
    ]),
  ),
);

/** @throws MintmarkError SIGNER_MISCONFIGURED */
export function parseScheme(name: string): SignatureScheme {
  const scheme = schemes.get(name);
  if (scheme !== undefined) return scheme;
  throw new MintmarkError(
    'SIGNER_MISCONFIGURED',
    `The issuer's signatureAlgorithm is ${JSON.stringify(name)}, and none of ${[...schemes.keys()].join(', ')}.`,
  );
}

/**
 * How a CA key signs: as asked for, by default ECDSA with the hash of the curve's size, RSA PKCS#1 v1.5 with SHA-256.
 * @throws MintmarkError SIGNER_MISCONFIGURED for a key that cannot sign so
 */
export function schemeOf(publicKey: KeyObject, asked: SignatureScheme | undefined): SignatureScheme {
  const kind = publicKey.asymmetricKeyType;
  if (kind !== 'ec' && kind !== 'rsa') {
    throw new MintmarkError(
      'SIGNER_MISCONFIGURED',
      `The issuer's key is of the kind ${kind}: a CA key is RSA, or on the curve P-256, P-384 or P-521.`,
    );
  }
  const scheme = asked ?? defaultScheme(publicKey);
  const keyType = scheme.algorithm === 'ecdsa' ? 'ec' : 'rsa';
  if (kind !== keyType) {
    throw new MintmarkError('SIGNER_MISCONFIGURED', `The issuer's key cannot sign with ${scheme.algorithm}.`);
  }
  if (keyType === 'ec') {
    const hash = curveHash(publicKey);
    if (hash === undefined)
      throw new MintmarkError('SIGNER_MISCONFIGURED', "The issuer's curve is not P-256, P-384 or P-521.");
    // How a digest longer than the curve's order is cut is left to the token by PKCS#11 v2.40.
    if (digestLength(scheme.hash) > digestLength(hash)) {
      throw new MintmarkError('SIGNER_MISCONFIGURED', `${scheme.hash} is longer than the order of the issuer's curve.`);
    }
  }
  return scheme;
}

function defaultScheme(publicKey: KeyObject): SignatureScheme {
  if (publicKey.asymmetricKeyType === 'rsa') return { algorithm: 'rsa-pkcs1-v1_5', hash: 'sha256' };
  return { algorithm: 'ecdsa', hash: curveHash(publicKey) ?? 'sha256' };
}

function curveHash(publicKey: KeyObject): Hash | undefined {
  return curveHashes.get(publicKey.asymmetricKeyDetails?.namedCurve);
}
