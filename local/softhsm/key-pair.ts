import { createPublicKey, type KeyObject } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as Pkcs11js from 'pkcs11js';
import type { TokenSession } from './token.ts';

const pkcs11js = createRequire(import.meta.url)('pkcs11js') as typeof Pkcs11js;

export type KeyAlgorithm = 'P-256' | 'P-384' | 'P-521' | 'RSA-2048' | 'RSA-3072' | 'RSA-4096';

export interface KeyPairOptions {
  /** CKA_LABEL of both keys */
  readonly label: string;
  /** CKA_ID of both keys */
  readonly id: Uint8Array;
  readonly algorithm: KeyAlgorithm;
  /** CKA_EXTRACTABLE of the private key; a CA key is not. */
  readonly extractable?: boolean;
}

/** Kept on the token, as CKM_EC_KEY_PAIR_GEN and CKM_RSA_PKCS_KEY_PAIR_GEN return them. */
export interface TokenKeyPair {
  readonly privateKey: Buffer;
  readonly publicKey: KeyObject;
  readonly publicKeyObject: Buffer;
}

/** DER object identifiers for CKA_EC_PARAMS, and the bytes of a coordinate. */
const curves = {
  'P-256': { parameters: '06082a8648ce3d030107', size: 32 },
  'P-384': { parameters: '06052b81040022', size: 48 },
  'P-521': { parameters: '06052b81040023', size: 66 },
} as const;

/** A signing key pair on the token: the private key sensitive and, unless asked otherwise, not extractable. Blocks. */
export function generateKeyPair({ pkcs11, handle }: TokenSession, options: KeyPairOptions): TokenKeyPair {
  const { algorithm } = options;
  const shared: Pkcs11js.Template = [
    { type: pkcs11js.CKA_TOKEN, value: true },
    { type: pkcs11js.CKA_LABEL, value: options.label },
    { type: pkcs11js.CKA_ID, value: Buffer.from(options.id) },
  ];
  const publicTemplate: Pkcs11js.Template = [...shared, { type: pkcs11js.CKA_VERIFY, value: true }];
  const privateTemplate: Pkcs11js.Template = [
    ...shared,
    { type: pkcs11js.CKA_PRIVATE, value: true },
    { type: pkcs11js.CKA_SENSITIVE, value: true },
    { type: pkcs11js.CKA_EXTRACTABLE, value: options.extractable ?? false },
    { type: pkcs11js.CKA_SIGN, value: true },
  ];
  const attribute = (object: Buffer, type: number): Buffer => {
    const value = pkcs11.C_GetAttributeValue(handle, object, [{ type }])[0]?.value;
    if (value === undefined) throw new Error('SoftHSM2 does not tell an attribute of the key that it made');
    return value;
  };

  if (algorithm === 'P-256' || algorithm === 'P-384' || algorithm === 'P-521') {
    const { parameters, size } = curves[algorithm];
    publicTemplate.push({ type: pkcs11js.CKA_EC_PARAMS, value: Buffer.from(parameters, 'hex') });
    const mechanism = { mechanism: pkcs11js.CKM_EC_KEY_PAIR_GEN };
    const pair = pkcs11.C_GenerateKeyPair(handle, mechanism, publicTemplate, privateTemplate);
    const point = attribute(pair.publicKey, pkcs11js.CKA_EC_POINT).subarray(-2 * size);
    const jwk = {
      kty: 'EC',
      crv: algorithm,
      x: point.subarray(0, size).toString('base64url'),
      y: point.subarray(size).toString('base64url'),
    };
    return { ...handles(pair), publicKey: createPublicKey({ key: jwk, format: 'jwk' }) };
  }

  publicTemplate.push(
    { type: pkcs11js.CKA_MODULUS_BITS, value: Number(algorithm.slice('RSA-'.length)) },
    { type: pkcs11js.CKA_PUBLIC_EXPONENT, value: Buffer.from([1, 0, 1]) },
  );
  const mechanism = { mechanism: pkcs11js.CKM_RSA_PKCS_KEY_PAIR_GEN };
  const pair = pkcs11.C_GenerateKeyPair(handle, mechanism, publicTemplate, privateTemplate);
  const jwk = {
    kty: 'RSA',
    n: attribute(pair.publicKey, pkcs11js.CKA_MODULUS).toString('base64url'),
    e: attribute(pair.publicKey, pkcs11js.CKA_PUBLIC_EXPONENT).toString('base64url'),
  };
  return { ...handles(pair), publicKey: createPublicKey({ key: jwk, format: 'jwk' }) };
}

const handles = ({ privateKey, publicKey }: Pkcs11js.KeyPair) => ({ privateKey, publicKeyObject: publicKey });
