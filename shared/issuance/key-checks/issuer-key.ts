import type { KeyObject } from 'node:crypto';
import { MintmarkError } from '../../errors.ts';
import type { PublicKey } from '../public-key.ts';

/**
 * Whether both are the same key pair, whatever the encoding of the issuer's: of RSA keys the modulus decides, since
 * whoever has the private key to one exponent has it to all.
 */
function isSameKey(key: PublicKey, issuer: KeyObject): boolean {
  if (issuer.asymmetricKeyType !== key.kind) return false;
  const { n, crv, x, y } = issuer.export({ format: 'jwk' });
  const bytes = (value: string | undefined): Buffer => Buffer.from(value ?? '', 'base64url');
  switch (key.kind) {
    case 'ec':
      return crv === key.curve && Buffer.concat([Buffer.of(4), bytes(x), bytes(y)]).equals(key.point);
    case 'rsa':
      return bytes(n).equals(key.modulus);
    case 'ed25519':
      return bytes(x).equals(key.key);
  }
}

/**
 * Refuses a device key that is the issuing CA's own: its certificate would name the CA's key for another purpose, and
 * whoever could prove possession of it signs as the CA.
 * @throws MintmarkError KEY_BELONGS_TO_ISSUER
 */
export function refuseIssuersKey(key: PublicKey, issuer: KeyObject): void {
  if (!isSameKey(key, issuer)) return;
  throw new MintmarkError('KEY_BELONGS_TO_ISSUER', "The public key in the CSR is the issuing CA's own.");
}
