import type { KeyObject } from 'node:crypto';
import { MintmarkError } from '../../errors.ts';
import type { PublicKey } from '../public-key.ts';

/**
 * One text for all public keys whose private keys are computed from one another, so that who can sign with one can sign with
 * all: of a point (x, y), whose private key is d, (x, p - y) has n - d, so x decides; of Ed25519 y, for the same reason; of RSA
 * the modulus, whatever the exponent.
 */
export type KeyPair = string;

function keyPairOf(key: PublicKey): KeyPair {
  switch (key.kind) {
    case 'ec':
      return keyPair(key.curve, key.point.subarray(1, 1 + (key.point.length - 1) / 2));
    case 'rsa':
      return keyPair('RSA', key.modulus);
    case 'ed25519':
      return keyPair('Ed25519', withoutSignOfX(key.key));
  }
}

/**
 * As `keyPairOf`, whatever the encoding of an issuing CA's key: a certificate may have a compressed point, which a CSR must not.
 * Undefined for a key of a kind that no CSR can have.
 */
export function keyPairOfIssuer(issuer: KeyObject): KeyPair | undefined {
  const bytes = (value: string | undefined): Buffer => Buffer.from(value ?? '', 'base64url');
  switch (issuer.asymmetricKeyType) {
    case 'ec': {
      const { crv = '', x } = issuer.export({ format: 'jwk' });
      return keyPair(crv, bytes(x));
    }
    case 'rsa':
      return keyPair('RSA', bytes(issuer.export({ format: 'jwk' }).n));
    case 'ed25519':
      return keyPair('Ed25519', withoutSignOfX(bytes(issuer.export({ format: 'jwk' }).x)));
    default:
      return undefined;
  }
}

const keyPair = (kind: string, number: Uint8Array): KeyPair => `${kind} ${Buffer.from(number).toString('hex')}`;

/** The highest bit of the encoding (RFC 8032 section 5.1.2). */
function withoutSignOfX(key: Uint8Array): Uint8Array {
  const y = Uint8Array.from(key);
  y[y.length - 1] = (y.at(-1) ?? 0) & 0x7f;
  return y;
}

/**
 * Refuses a device key that is an issuing CA's own: its certificate would name the CA's key for another purpose, and whoever
 * could prove possession of it signs as the CA.
 * @param issuers of every issuing CA, those that are retired among them
 * @throws MintmarkError KEY_BELONGS_TO_ISSUER
 */
export function refuseIssuersKey(key: PublicKey, issuers: ReadonlySet<KeyPair>): void {
  if (!issuers.has(keyPairOf(key))) return;
  throw new MintmarkError('KEY_BELONGS_TO_ISSUER', "The public key in the CSR is an issuing CA's own.");
}
