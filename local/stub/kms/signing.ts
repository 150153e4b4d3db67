import { createHash } from 'node:crypto';
import * as z from 'zod';
import { digestLength, ecdsaSignatureToDer, type SignatureScheme } from '../../../shared/signer/index.ts';
import { AwsError } from '../aws-error.ts';
import type { Context } from '../context.ts';
import { blob, operation } from '../operation.ts';
import type { Key, KeyMaterial, StubState } from '../state.ts';
import { ecdsaFromDer } from './ecdsa-signature.ts';
import { refuseDryRun, requireUsage, unsupported, validation, validationError } from './errors.ts';
import { type SigningAlgorithm, signingKeySpecs, signingSchemes } from './key-specs.ts';
import { requireUsable } from './key-state.ts';
import { algorithms } from './keys.ts';
import { resolveKey } from './resolve.ts';

const keyId = z.string().min(1).max(2048);
const grantTokens = z.array(z.string().min(1).max(8192)).max(10).optional();

/** What Sign and Verify have in common. */
const request = {
  KeyId: keyId,
  Message: blob(1, 4096),
  MessageType: z.enum(['RAW', 'DIGEST', 'EXTERNAL_MU']).optional(),
  GrantTokens: grantTokens,
  SigningAlgorithm: z.enum([
    'RSASSA_PSS_SHA_256',
    'RSASSA_PSS_SHA_384',
    'RSASSA_PSS_SHA_512',
    'RSASSA_PKCS1_V1_5_SHA_256',
    'RSASSA_PKCS1_V1_5_SHA_384',
    'RSASSA_PKCS1_V1_5_SHA_512',
    'ECDSA_SHA_256',
    'ECDSA_SHA_384',
    'ECDSA_SHA_512',
    'SM2DSA',
    'ML_DSA_SHAKE_256',
    'ED25519_SHA_512',
    'ED25519_PH_SHA_512',
  ]),
  DryRun: z.boolean().optional(),
};
type Request = z.output<z.ZodObject<typeof request>>;

/** Sign (KMS API reference). Every signature is recorded before anybody sees it. */
export const sign = operation(validation, z.object(request), (state, input, context) => {
  const { key, algorithm, scheme, digest } = prepare(state, input, 'Sign', context);
  refuseDryRun(input.DryRun);
  const signature = context.token.sign(key.keyId, scheme, digest);
  state.signatures.push({
    at: context.now,
    keyId: key.keyId,
    signingAlgorithm: algorithm,
    digest: digest.toString('hex'),
  });
  const encoded = scheme.algorithm === 'ecdsa' ? Buffer.from(ecdsaSignatureToDer(signature)) : signature;
  return { KeyId: key.arn, Signature: encoded.toString('base64'), SigningAlgorithm: algorithm };
});

/** Verify (KMS API reference): true, or KMSInvalidSignatureException. */
export const verify = operation(
  validation,
  z.object({ ...request, Signature: blob(1, 6144) }),
  (state, input, context) => {
    const { key, algorithm, scheme, digest } = prepare(state, input, 'Verify', context);
    const raw = rawSignature(input.Signature, algorithm);
    if (raw === undefined || !context.token.verify(key.keyId, scheme, digest, raw)) {
      throw new AwsError('KMSInvalidSignatureException');
    }
    refuseDryRun(input.DryRun);
    return { KeyId: key.arn, SignatureValid: true, SigningAlgorithm: algorithm };
  },
);

/** @returns the signature as the token has it; undefined for bytes that cannot be one */
function rawSignature(signature: Buffer, algorithm: SigningAlgorithm): Buffer | undefined {
  switch (algorithm) {
    // One curve signs so at KMS; its order's bytes.
    case 'ECDSA_SHA_256':
      return ecdsaFromDer(signature, 32);
    case 'ECDSA_SHA_384':
      return ecdsaFromDer(signature, 48);
    case 'ECDSA_SHA_512':
      return ecdsaFromDer(signature, 66);
    default:
      return signature;
  }
}

interface Prepared {
  readonly key: Key;
  readonly algorithm: SigningAlgorithm;
  readonly scheme: SignatureScheme;
  readonly digest: Buffer;
}

/** @throws AwsError for a key that cannot do it, an algorithm that is not its, a message that does not fit */
function prepare(state: StubState, input: Request, operationName: 'Sign' | 'Verify', context: Context): Prepared {
  const key = resolveKey(state, input.KeyId, context);
  requireUsable(state, key);
  requireUsage(key, 'SIGN_VERIFY', operationName);
  const algorithm = algorithmOf(key.material, input.SigningAlgorithm);
  const scheme = signingSchemes[algorithm];
  return { key, algorithm, scheme, digest: digestOf(input, algorithm, scheme) };
}

function algorithmOf(material: KeyMaterial, wanted: string): SigningAlgorithm {
  const known: readonly SigningAlgorithm[] =
    material.keyUsage === 'SIGN_VERIFY' ? signingKeySpecs[material.keySpec] : [];
  const algorithm = known.find((each) => each === wanted);
  if (algorithm !== undefined) return algorithm;
  throw new AwsError(
    'InvalidKeyUsageException',
    `Algorithm ${wanted} is incompatible with key spec ${material.keySpec}.`,
  );
}

function digestOf(input: Request, algorithm: SigningAlgorithm, { hash }: SignatureScheme): Buffer {
  switch (input.MessageType ?? 'RAW') {
    case 'RAW':
      return createHash(hash).update(input.Message).digest();
    case 'DIGEST':
      if (input.Message.length === digestLength(hash)) return input.Message;
      throw validationError(`Digest is invalid length for algorithm ${algorithm}.`);
    case 'EXTERNAL_MU':
      throw validationError(`MessageType EXTERNAL_MU is not valid for algorithm ${algorithm}.`);
  }
}

/** GetPublicKey (KMS API reference). */
export const getPublicKey = operation(
  validation,
  z.object({ KeyId: keyId, GrantTokens: grantTokens }),
  (state, input, context) => {
    const key = resolveKey(state, input.KeyId, context);
    const { material } = key;
    if (material.keyUsage !== 'SIGN_VERIFY') {
      throw unsupported(`${key.arn} key spec is ${material.keySpec} which is not valid for GetPublicKey.`);
    }
    requireUsable(state, key);
    return {
      KeyId: key.arn,
      PublicKey: material.publicKey.toString('base64'),
      CustomerMasterKeySpec: material.keySpec,
      KeySpec: material.keySpec,
      KeyUsage: material.keyUsage,
      ...algorithms(material),
    };
  },
);
