import type { ClusterCertificates } from './cloudhsm/certificates.ts';
import { newBackup, newCluster } from './cloudhsm/cluster.ts';
import type { Context } from './context.ts';
import { addAlias } from './kms/aliases.ts';
import { addKey } from './kms/create-key.ts';
import { addCustomKeyStore, setConnection } from './kms/custom-key-stores.ts';
import type { StubState } from './state.ts';

/** What the stub starts with, by id. */
export interface Seed {
  readonly clusterId: string;
  readonly customKeyStoreId: string;
  readonly sealingKeyId: string;
  readonly sealingKeyArn: string;
}

/**
 * An ACTIVE cluster with three HSMs in three Availability Zones and its first backup, a connected custom key store
 * on it, and a symmetric key in that to seal PINs with.
 */
export function seed(state: StubState, certificates: ClusterCertificates, context: Context): Seed {
  const cluster = newCluster(certificates, 3, context);
  state.clusters.set(cluster.clusterId, cluster);
  state.backups.push(newBackup(cluster, { createdAt: context.now }, context));
  const store = addCustomKeyStore(state, 'mintmark', cluster, context);
  setConnection(store, 'CONNECTED');
  const key = addKey(
    state,
    { description: 'Seals the PINs of the crypto users', spec: 'SYMMETRIC_DEFAULT', store },
    context,
  );
  addAlias(state, 'alias/mintmark-sealing', key, context);
  return {
    clusterId: cluster.clusterId,
    customKeyStoreId: store.customKeyStoreId,
    sealingKeyId: key.keyId,
    sealingKeyArn: key.arn,
  };
}
