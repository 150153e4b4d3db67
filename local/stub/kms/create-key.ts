import * as z from 'zod';
import { AwsError } from '../aws-error.ts';
import { activeZones } from '../cloudhsm/cluster.ts';
import type { Context } from '../context.ts';
import { kmsArn, uuid } from '../identifiers.ts';
import { operation } from '../operation.ts';
import type { CustomKeyStore, Key, KeyMaterial, StubState } from '../state.ts';
import { unsupported, validation, validationError } from './errors.ts';
import { isSigningKeySpec, type SigningKeySpec } from './key-specs.ts';
import { keyMetadata } from './keys.ts';

const keySpec = z.enum([
  'RSA_2048',
  'RSA_3072',
  'RSA_4096',
  'ECC_NIST_P256',
  'ECC_NIST_P384',
  'ECC_NIST_P521',
  'ECC_SECG_P256K1',
  'SYMMETRIC_DEFAULT',
  'HMAC_224',
  'HMAC_256',
  'HMAC_384',
  'HMAC_512',
  'SM2',
  'ML_DSA_44',
  'ML_DSA_65',
  'ML_DSA_87',
  'ECC_NIST_EDWARDS25519',
]);

const createKeyRequest = z.object({
  Policy: z.string().min(1).max(131072).optional(),
  Description: z.string().max(8192).optional(),
  KeyUsage: z.enum(['SIGN_VERIFY', 'ENCRYPT_DECRYPT', 'GENERATE_VERIFY_MAC', 'KEY_AGREEMENT']).optional(),
  CustomerMasterKeySpec: keySpec.optional(),
  KeySpec: keySpec.optional(),
  Origin: z.enum(['AWS_KMS', 'EXTERNAL', 'AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE']).optional(),
  CustomKeyStoreId: z.string().min(1).max(64).optional(),
  BypassPolicyLockoutSafetyCheck: z.boolean().optional(),
  Tags: z.array(z.object({ TagKey: z.string().min(1).max(128), TagValue: z.string().max(256) })).optional(),
  MultiRegion: z.boolean().optional(),
  XksKeyId: z.string().min(1).max(128).optional(),
});
type CreateKeyRequest = z.output<typeof createKeyRequest>;
type KeySpec = z.output<typeof keySpec>;
type KeyUsage = NonNullable<CreateKeyRequest['KeyUsage']>;
type Origin = NonNullable<CreateKeyRequest['Origin']>;

/** CreateKey (KMS API reference): symmetric keys and signing key pairs, of KMS's own or in a CloudHSM key store. */
export const createKey = operation(validation, createKeyRequest, (state, input, context) => {
  const origin = input.Origin ?? 'AWS_KMS';
  if (input.KeySpec !== undefined && input.CustomerMasterKeySpec !== undefined) {
    throw validationError('You cannot specify KeySpec and CustomerMasterKeySpec in the same request.');
  }
  const spec = input.KeySpec ?? input.CustomerMasterKeySpec ?? 'SYMMETRIC_DEFAULT';
  if (input.CustomKeyStoreId !== undefined || origin === 'AWS_CLOUDHSM') requireAllowedInStore(input, spec, context);
  const store = input.CustomKeyStoreId === undefined ? undefined : storeFor(state, input.CustomKeyStoreId, origin);
  if (store === undefined && (origin === 'AWS_CLOUDHSM' || origin === 'EXTERNAL_KEY_STORE')) {
    throw validationError(`Origin ${origin} needs a CustomKeyStoreId.`);
  }
  const buildable = requireBuildable(spec, input.KeyUsage);
  if (origin === 'EXTERNAL') throw unsupported('The stub does not import key material.');
  if (input.MultiRegion === true) throw unsupported('The stub does not make multi-Region keys.');
  const key = addKey(
    state,
    { description: input.Description ?? '', spec: buildable, ...(store === undefined ? {} : { store }) },
    context,
  );
  return { KeyMetadata: keyMetadata(state, key, context) };
});

/**
 * What the key is comes before what state the store is in: "The KeySpec value must be SYMMETRIC_DEFAULT. [...] You
 * cannot create any other type of KMS key in a custom key store" (KMS API reference, CreateKey, Origin and
 * CustomKeyStoreId). Signing keys pass where the stub was started to let them.
 */
function requireAllowedInStore(input: CreateKeyRequest, spec: KeySpec, context: Context): void {
  const symmetric = spec === 'SYMMETRIC_DEFAULT' && (input.KeyUsage ?? 'ENCRYPT_DECRYPT') === 'ENCRYPT_DECRYPT';
  const allowed = symmetric || (context.allowAsymmetricKeysInCustomKeyStores && isSigningKeySpec(spec));
  if (!allowed) throw unsupported(`KeySpec ${spec} is not supported for Origin ${input.Origin ?? 'AWS_KMS'}`);
  if (input.MultiRegion === true) throw unsupported('Multi-Region keys are not supported in a custom key store');
}

/** The custom key store that a key may be created in now (KMS Developer Guide, "Create a KMS key in a CloudHSM key store"). */
function storeFor(state: StubState, id: string, origin: Origin): CustomKeyStore {
  if (origin === 'EXTERNAL_KEY_STORE') throw unsupported('The stub has no external key stores.');
  if (origin !== 'AWS_CLOUDHSM') throw validationError(`Origin ${origin} is not valid with a CustomKeyStoreId.`);
  const store = state.customKeyStores.get(id);
  if (store === undefined) {
    throw new AwsError('CustomKeyStoreNotFoundException', `Custom key store ${id} is not found.`);
  }
  if (store.connectionState !== 'CONNECTED') {
    throw new AwsError(
      'CustomKeyStoreInvalidStateException',
      `Custom key store ${id} is ${store.connectionState}; it must be CONNECTED.`,
    );
  }
  const cluster = state.clusters.get(store.cloudHsmClusterId);
  if (cluster === undefined || activeZones(cluster).size < 2) {
    throw new AwsError(
      'CloudHsmClusterInvalidConfigurationException',
      `Cluster ${store.cloudHsmClusterId} needs at least two active HSMs in different Availability Zones.`,
    );
  }
  return store;
}

/** @throws AwsError ValidationException for a usage that the key spec does not have; UnsupportedOperationException for what the stub has not */
function requireBuildable(spec: KeySpec, usage: KeyUsage | undefined): 'SYMMETRIC_DEFAULT' | SigningKeySpec {
  if (spec === 'SYMMETRIC_DEFAULT') {
    if (usage === undefined || usage === 'ENCRYPT_DECRYPT') return spec;
    throw validationError(`KeyUsage ${usage} is not compatible with KeySpec ${spec}.`);
  }
  if (usage === undefined) {
    throw validationError('You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.');
  }
  if (!isSigningKeySpec(spec)) throw unsupported(`The stub does not make keys of KeySpec ${spec}.`);
  if (usage === 'SIGN_VERIFY') return spec;
  if (usage === (spec.startsWith('RSA') ? 'ENCRYPT_DECRYPT' : 'KEY_AGREEMENT')) {
    throw unsupported(`The stub does not make keys of KeySpec ${spec} with KeyUsage ${usage}.`);
  }
  throw validationError(`KeyUsage ${usage} is not compatible with KeySpec ${spec}.`);
}

/** Makes the key in the token and lists it. */
export function addKey(
  state: StubState,
  request: {
    readonly description: string;
    readonly spec: 'SYMMETRIC_DEFAULT' | SigningKeySpec;
    readonly store?: CustomKeyStore;
  },
  context: Context,
): Key {
  const { description, spec, store } = request;
  const id = uuid(context.randomBytes);
  const place =
    store === undefined
      ? ({ origin: 'AWS_KMS' } as const)
      : ({
          origin: 'AWS_CLOUDHSM',
          customKeyStoreId: store.customKeyStoreId,
          cloudHsmClusterId: store.cloudHsmClusterId,
        } as const);
  const key: Key = {
    keyId: id,
    arn: kmsArn(context, `key/${id}`),
    createdAt: context.now,
    description,
    ...place,
    material: makeMaterial(id, spec, place.origin, context),
    enabled: true,
  };
  state.keys.set(id, key);
  return key;
}

function makeMaterial(
  id: string,
  keySpec: 'SYMMETRIC_DEFAULT' | SigningKeySpec,
  origin: Key['origin'],
  context: Context,
): KeyMaterial {
  if (keySpec === 'SYMMETRIC_DEFAULT') {
    context.token.generateKey(id);
    const keyMaterialId = context.randomBytes(32).toString('hex');
    return { keySpec, keyUsage: 'ENCRYPT_DECRYPT', ...(origin === 'AWS_KMS' ? { keyMaterialId } : {}) };
  }
  const publicKey = context.token.generateKeyPair(id, keySpec).export({ type: 'spki', format: 'der' });
  return { keySpec, keyUsage: 'SIGN_VERIFY', publicKey };
}
