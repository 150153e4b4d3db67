import * as z from 'zod';
import { AwsError } from '../aws-error.ts';
import { activeZones } from '../cloudhsm/cluster.ts';
import type { Context } from '../context.ts';
import { kmsArn, uuid } from '../identifiers.ts';
import { operation, timestamp } from '../operation.ts';
import { page } from '../paging.ts';
import type { CustomKeyStore, Key, StubState } from '../state.ts';
import { unsupported, validation, validationError } from './errors.ts';
import { invalidState, keyStateOf } from './key-state.ts';
import { resolveKey } from './resolve.ts';

const day = 24 * 60 * 60 * 1000;
const keyId = z.string().min(1).max(2048);

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

/** CreateKey (KMS API reference): symmetric keys, of KMS's own or in a CloudHSM key store. */
export const createKey = operation(validation, createKeyRequest, (state, input, context) => {
  const origin = input.Origin ?? 'AWS_KMS';
  if (input.KeySpec !== undefined && input.CustomerMasterKeySpec !== undefined) {
    throw validationError('You cannot specify KeySpec and CustomerMasterKeySpec in the same request.');
  }
  const spec = input.KeySpec ?? input.CustomerMasterKeySpec ?? 'SYMMETRIC_DEFAULT';
  const store = input.CustomKeyStoreId === undefined ? undefined : storeFor(state, input.CustomKeyStoreId, input, spec);
  if (store === undefined && (origin === 'AWS_CLOUDHSM' || origin === 'EXTERNAL_KEY_STORE')) {
    throw validationError(`Origin ${origin} needs a CustomKeyStoreId.`);
  }
  if (spec !== 'SYMMETRIC_DEFAULT') throw unsupported(`The stub does not make keys of KeySpec ${spec}.`);
  if ((input.KeyUsage ?? 'ENCRYPT_DECRYPT') !== 'ENCRYPT_DECRYPT') {
    throw validationError(`KeyUsage ${input.KeyUsage} is not compatible with KeySpec ${spec}.`);
  }
  if (origin === 'EXTERNAL') throw unsupported('The stub does not import key material.');
  if (input.MultiRegion === true) throw unsupported('The stub does not make multi-Region keys.');
  const key = addKey(
    state,
    { description: input.Description ?? '', ...(store === undefined ? {} : { store }) },
    context,
  );
  return { KeyMetadata: keyMetadata(state, key, context) };
});

/**
 * The custom key store that a key may be created in. What the key is comes before what state the store is in: an
 * asymmetric key is refused in any store (KMS Developer Guide, "Create a KMS key in a CloudHSM key store").
 */
function storeFor(state: StubState, id: string, input: CreateKeyRequest, spec: string): CustomKeyStore {
  const origin = input.Origin ?? 'AWS_KMS';
  if (spec !== 'SYMMETRIC_DEFAULT' || (input.KeyUsage ?? 'ENCRYPT_DECRYPT') !== 'ENCRYPT_DECRYPT') {
    throw unsupported(`KeySpec ${spec} is not supported for Origin ${origin}`);
  }
  if (input.MultiRegion === true) throw unsupported('Multi-Region keys are not supported in a custom key store');
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

/** Makes the key in the token and lists it. */
export function addKey(
  state: StubState,
  request: { readonly description: string; readonly store?: CustomKeyStore },
  context: Context,
): Key {
  const id = uuid(context.randomBytes);
  context.token.generateKey(id);
  const key: Key = {
    keyId: id,
    arn: kmsArn(context, `key/${id}`),
    createdAt: context.now,
    description: request.description,
    origin: request.store === undefined ? 'AWS_KMS' : 'AWS_CLOUDHSM',
    keySpec: 'SYMMETRIC_DEFAULT',
    keyUsage: 'ENCRYPT_DECRYPT',
    ...(request.store === undefined
      ? {}
      : { customKeyStoreId: request.store.customKeyStoreId, cloudHsmClusterId: request.store.cloudHsmClusterId }),
    enabled: true,
  };
  state.keys.set(id, key);
  return key;
}

/** KeyMetadata (KMS API reference). */
function keyMetadata(state: StubState, key: Key, context: Context): object {
  const keyState = keyStateOf(state, key);
  return {
    AWSAccountId: context.accountId,
    KeyId: key.keyId,
    Arn: key.arn,
    CreationDate: timestamp(key.createdAt),
    Enabled: keyState === 'Enabled',
    Description: key.description,
    KeyUsage: key.keyUsage,
    KeyState: keyState,
    ...(key.deletionDate === undefined ? {} : { DeletionDate: timestamp(key.deletionDate) }),
    Origin: key.origin,
    ...(key.customKeyStoreId === undefined ? {} : { CustomKeyStoreId: key.customKeyStoreId }),
    ...(key.cloudHsmClusterId === undefined ? {} : { CloudHsmClusterId: key.cloudHsmClusterId }),
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: key.keySpec,
    KeySpec: key.keySpec,
    EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
    MultiRegion: false,
  };
}

/** DescribeKey (KMS API reference). */
export const describeKey = operation(validation, z.object({ KeyId: keyId }), (state, input, context) => {
  return { KeyMetadata: keyMetadata(state, resolveKey(state, input.KeyId, context), context) };
});

/** ListKeys (KMS API reference). */
export const listKeys = operation(
  validation,
  z.object({ Limit: z.int().min(1).max(1000).optional(), Marker: z.string().min(1).max(1024).optional() }),
  (state, input) => {
    const found = page([...state.keys.values()], (key) => key.keyId, {
      list: 'keys',
      limit: input.Limit ?? 100,
      marker: input.Marker,
    });
    if (found === undefined) throw new AwsError('InvalidMarkerException', 'The marker is not valid.');
    return {
      Keys: found.items.map((key) => ({ KeyId: key.keyId, KeyArn: key.arn })),
      Truncated: found.next !== undefined,
      ...(found.next === undefined ? {} : { NextMarker: found.next }),
    };
  },
);

/** EnableKey and DisableKey (KMS API reference): what they set shows once the key is available. */
export const enableKey = setEnabled(true);
export const disableKey = setEnabled(false);

function setEnabled(enabled: boolean) {
  return operation(validation, z.object({ KeyId: keyId }), (state, input, context) => {
    const key = ownKey(state, input.KeyId, context);
    if (key.deletionDate !== undefined) throw invalidState(`${key.arn} is pending deletion.`);
    key.enabled = enabled;
    return undefined;
  });
}

/** ScheduleKeyDeletion (KMS API reference); the key is gone when its date comes. */
export const scheduleKeyDeletion = operation(
  validation,
  z.object({ KeyId: keyId, PendingWindowInDays: z.int().min(7).max(30).optional() }),
  (state, input, context) => {
    const key = ownKey(state, input.KeyId, context);
    if (key.deletionDate !== undefined) throw invalidState(`${key.arn} is pending deletion.`);
    const days = input.PendingWindowInDays ?? 30;
    key.deletionDate = context.now + days * day;
    return {
      KeyId: key.arn,
      DeletionDate: timestamp(key.deletionDate),
      KeyState: 'PendingDeletion',
      PendingWindowInDays: days,
    };
  },
);

/** CancelKeyDeletion (KMS API reference); the key comes back disabled. */
export const cancelKeyDeletion = operation(validation, z.object({ KeyId: keyId }), (state, input, context) => {
  const key = ownKey(state, input.KeyId, context);
  if (key.deletionDate === undefined) throw invalidState(`${key.arn} is not pending deletion.`);
  delete key.deletionDate;
  key.enabled = false;
  return { KeyId: key.arn };
});

/** Operations that manage a key take its id or ARN, and no alias. */
function ownKey(state: StubState, identifier: string, context: Context): Key {
  if (/(^|:)alias\//.test(identifier)) throw new AwsError('NotFoundException', `Invalid keyId '${identifier}'`);
  return resolveKey(state, identifier, context);
}

/** Removes the keys whose deletion date has come, in the token too, with their aliases. */
export function deleteDueKeys(state: StubState, context: Context): void {
  for (const key of state.keys.values()) {
    if (key.deletionDate === undefined || key.deletionDate > context.now) continue;
    context.token.destroyKey(key.keyId);
    state.keys.delete(key.keyId);
    for (const alias of state.aliases.values()) {
      if (alias.targetKeyId === key.keyId) state.aliases.delete(alias.aliasName);
    }
  }
}
