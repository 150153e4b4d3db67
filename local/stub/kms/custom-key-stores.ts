import { X509Certificate } from 'node:crypto';
import * as z from 'zod';
import { AwsError } from '../aws-error.ts';
import { activeZones } from '../cloudhsm/cluster.ts';
import type { Context } from '../context.ts';
import { hexId } from '../identifiers.ts';
import { operation, timestamp } from '../operation.ts';
import { page } from '../paging.ts';
import type { Cluster, ConnectionErrorCode, ConnectionState, CustomKeyStore, StubState } from '../state.ts';
import { validation, validationError } from './errors.ts';

/**
 * How long connecting and disconnecting take on the stub's clock. Milliseconds. AWS takes up to 20 minutes to
 * connect; what matters to a caller is that the answer comes before the state does.
 */
export const settlingTime = { connect: 2000, disconnect: 1000 } as const;

const storeId = z.string().min(1).max(64);
const storeName = z.string().min(1).max(256);

/** DescribeCustomKeyStores (KMS API reference). */
export const describeCustomKeyStores = operation(
  validation,
  z.object({
    CustomKeyStoreId: storeId.optional(),
    CustomKeyStoreName: storeName.optional(),
    Limit: z.int().min(1).max(1000).optional(),
    Marker: z.string().min(1).max(1024).optional(),
  }),
  (state, input) => {
    if (input.CustomKeyStoreId !== undefined && input.CustomKeyStoreName !== undefined) {
      throw validationError('Specify either the CustomKeyStoreId or CustomKeyStoreName parameter, but not both.');
    }
    const one = input.CustomKeyStoreId ?? input.CustomKeyStoreName;
    const stores = [...state.customKeyStores.values()].filter((store) => {
      if (input.CustomKeyStoreId !== undefined) return store.customKeyStoreId === input.CustomKeyStoreId;
      return input.CustomKeyStoreName === undefined || store.customKeyStoreName === input.CustomKeyStoreName;
    });
    if (one !== undefined && stores.length === 0) throw notFound(one);
    const found = page(stores, (store) => store.customKeyStoreId, {
      list: 'custom-key-stores',
      limit: input.Limit ?? 100,
      marker: input.Marker,
    });
    if (found === undefined) throw new AwsError('InvalidMarkerException', 'The marker is not valid.');
    return {
      CustomKeyStores: found.items.map(storeShape),
      Truncated: found.next !== undefined,
      ...(found.next === undefined ? {} : { NextMarker: found.next }),
    };
  },
);

function storeShape(store: CustomKeyStore): object {
  return {
    CustomKeyStoreId: store.customKeyStoreId,
    CustomKeyStoreName: store.customKeyStoreName,
    CloudHsmClusterId: store.cloudHsmClusterId,
    TrustAnchorCertificate: store.trustAnchorCertificate,
    ConnectionState: store.connectionState,
    ...(store.connectionState === 'FAILED' ? { ConnectionErrorCode: store.connectionErrorCode } : {}),
    CreationDate: timestamp(store.createdAt),
    CustomKeyStoreType: 'AWS_CLOUDHSM',
  };
}

/** CreateCustomKeyStore (KMS API reference), for CloudHSM key stores. */
export const createCustomKeyStore = operation(
  validation,
  z.object({
    CustomKeyStoreName: storeName,
    CloudHsmClusterId: z
      .string()
      .regex(/^cluster-[2-7a-zA-Z]{11,16}$/)
      .optional(),
    TrustAnchorCertificate: z.string().min(1).max(5000).optional(),
    KeyStorePassword: z.string().min(7).max(32).optional(),
    CustomKeyStoreType: z.enum(['AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE']).optional(),
  }),
  (state, input, context) => {
    if (input.CustomKeyStoreType === 'EXTERNAL_KEY_STORE') {
      throw validationError('The stub has no external key stores.');
    }
    const { CloudHsmClusterId: clusterId, TrustAnchorCertificate: trustAnchor } = input;
    if (clusterId === undefined || trustAnchor === undefined || input.KeyStorePassword === undefined) {
      throw validationError(
        'CloudHsmClusterId, KeyStorePassword and TrustAnchorCertificate are required for a CloudHSM key store.',
      );
    }
    const stores = [...state.customKeyStores.values()];
    if (stores.some((store) => store.customKeyStoreName === input.CustomKeyStoreName)) {
      throw new AwsError('CustomKeyStoreNameInUseException', `${input.CustomKeyStoreName} is already in use.`);
    }
    const cluster = state.clusters.get(clusterId);
    if (cluster === undefined) throw new AwsError('CloudHsmClusterNotFoundException', `${clusterId} is not found.`);
    if (stores.some((store) => store.cloudHsmClusterId === clusterId)) {
      throw new AwsError('CloudHsmClusterInUseException', `${clusterId} is already associated with a key store.`);
    }
    requireCluster(cluster, trustAnchor);
    const store = addCustomKeyStore(state, input.CustomKeyStoreName, cluster, context);
    return { CustomKeyStoreId: store.customKeyStoreId };
  },
);

function requireCluster(cluster: Cluster, trustAnchor: string): void {
  if (cluster.state !== 'ACTIVE') {
    throw new AwsError('CloudHsmClusterNotActiveException', `${cluster.clusterId} is ${cluster.state}.`);
  }
  if (activeZones(cluster).size < 2) {
    throw new AwsError(
      'CloudHsmClusterInvalidConfigurationException',
      `${cluster.clusterId} needs at least two active HSMs in different Availability Zones.`,
    );
  }
  const given = fingerprint(trustAnchor);
  if (given === undefined || given !== fingerprint(cluster.trustAnchorCertificate)) {
    throw new AwsError('IncorrectTrustAnchorException', `This is not the trust anchor of ${cluster.clusterId}.`);
  }
}

/** @returns undefined for text that is no certificate */
function fingerprint(pem: string): string | undefined {
  try {
    return new X509Certificate(pem).fingerprint256;
  } catch {
    return undefined;
  }
}

/** A new store, DISCONNECTED as AWS leaves it. */
export function addCustomKeyStore(
  state: StubState,
  customKeyStoreName: string,
  cluster: Cluster,
  context: Context,
): CustomKeyStore {
  const store: CustomKeyStore = {
    customKeyStoreId: hexId('cks', context.randomBytes),
    customKeyStoreName,
    cloudHsmClusterId: cluster.clusterId,
    trustAnchorCertificate: cluster.trustAnchorCertificate,
    createdAt: context.now,
    connectionState: 'DISCONNECTED',
  };
  state.customKeyStores.set(store.customKeyStoreId, store);
  return store;
}

/** ConnectCustomKeyStore (KMS API reference): answers at once; the state follows {@link settlingTime} later. */
export const connectCustomKeyStore = operation(
  validation,
  z.object({ CustomKeyStoreId: storeId }),
  (state, input, context) => {
    const store = storeOf(state, input.CustomKeyStoreId);
    if (store.connectionState === 'FAILED' || store.connectionState === 'DISCONNECTING') throw wrongState(store);
    const cluster = state.clusters.get(store.cloudHsmClusterId);
    if (cluster !== undefined && cluster.state !== 'ACTIVE') {
      throw new AwsError('CloudHsmClusterNotActiveException', `${cluster.clusterId} is ${cluster.state}.`);
    }
    if (cluster !== undefined && activeZones(cluster).size === 0) {
      throw new AwsError(
        'CloudHsmClusterInvalidConfigurationException',
        `${cluster.clusterId} needs at least one active HSM.`,
      );
    }
    if (store.connectionState === 'DISCONNECTED') {
      setConnection(store, 'CONNECTING', { settlesAt: context.now + settlingTime.connect });
    }
    return {};
  },
);

/** DisconnectCustomKeyStore (KMS API reference). */
export const disconnectCustomKeyStore = operation(
  validation,
  z.object({ CustomKeyStoreId: storeId }),
  (state, input, context) => {
    const store = storeOf(state, input.CustomKeyStoreId);
    if (store.connectionState === 'DISCONNECTED' || store.connectionState === 'DISCONNECTING') throw wrongState(store);
    setConnection(store, 'DISCONNECTING', { settlesAt: context.now + settlingTime.disconnect });
    return {};
  },
);

function storeOf(state: StubState, id: string): CustomKeyStore {
  const store = state.customKeyStores.get(id);
  if (store === undefined) throw notFound(id);
  return store;
}

function notFound(idOrName: string): AwsError {
  return new AwsError('CustomKeyStoreNotFoundException', `Custom key store ${idOrName} is not found.`);
}

function wrongState(store: CustomKeyStore): AwsError {
  return new AwsError(
    'CustomKeyStoreInvalidStateException',
    `Custom key store ${store.customKeyStoreId} is ${store.connectionState}.`,
  );
}

export function setConnection(
  store: CustomKeyStore,
  connectionState: ConnectionState,
  details: { readonly errorCode?: ConnectionErrorCode | undefined; readonly settlesAt?: number } = {},
): void {
  store.connectionState = connectionState;
  delete store.connectionErrorCode;
  delete store.settlesAt;
  if (details.errorCode !== undefined) store.connectionErrorCode = details.errorCode;
  if (details.settlesAt !== undefined) store.settlesAt = details.settlesAt;
}

/** Ends the connecting and disconnecting whose time has come, as the cluster then is. */
export function settleConnections(state: StubState, now: number): void {
  for (const store of state.customKeyStores.values()) {
    if (store.settlesAt === undefined || store.settlesAt > now) continue;
    if (store.connectionState === 'DISCONNECTING') setConnection(store, 'DISCONNECTED');
    if (store.connectionState === 'CONNECTING') settleConnecting(state, store);
  }
}

function settleConnecting(state: StubState, store: CustomKeyStore): void {
  const cluster = state.clusters.get(store.cloudHsmClusterId);
  if (cluster === undefined || cluster.state === 'DELETED') {
    setConnection(store, 'FAILED', { errorCode: 'CLUSTER_NOT_FOUND' });
  } else if (activeZones(cluster).size === 0) {
    setConnection(store, 'FAILED', { errorCode: 'INSUFFICIENT_CLOUDHSM_HSMS' });
  } else {
    setConnection(store, 'CONNECTED');
  }
}
