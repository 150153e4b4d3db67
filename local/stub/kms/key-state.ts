import { AwsError } from '../aws-error.ts';
import { activeZones } from '../cloudhsm/cluster.ts';
import type { Key, StubState } from '../state.ts';

export type KeyState = 'Enabled' | 'Disabled' | 'PendingDeletion' | 'Unavailable';

/**
 * A key of a disconnected store is Unavailable until the store is connected again, whatever else it is, unless it is
 * pending deletion (KMS Developer Guide, "How to fix unavailable KMS keys").
 */
export function keyStateOf(state: StubState, key: Key): KeyState {
  if (key.deletionDate !== undefined) return 'PendingDeletion';
  if (key.customKeyStoreId !== undefined) {
    const store = state.customKeyStores.get(key.customKeyStoreId);
    if (store?.connectionState !== 'CONNECTED') return 'Unavailable';
  }
  return key.enabled ? 'Enabled' : 'Disabled';
}

/**
 * Refuses a cryptographic operation with a key that cannot do one now.
 * @throws AwsError DisabledException, KMSInvalidStateException
 */
export function requireUsable(state: StubState, key: Key): void {
  switch (keyStateOf(state, key)) {
    case 'Disabled':
      throw new AwsError('DisabledException', `${key.arn} is disabled.`);
    case 'PendingDeletion':
      throw invalidState(`${key.arn} is pending deletion.`);
    case 'Unavailable':
      throw invalidState(`${key.arn} is unavailable because its custom key store is not connected.`);
    case 'Enabled':
      requireCluster(state, key);
  }
}

/** CONNECTED does not mean working: without an active HSM the operation itself fails. */
function requireCluster(state: StubState, key: Key): void {
  if (key.cloudHsmClusterId === undefined) return;
  const cluster = state.clusters.get(key.cloudHsmClusterId);
  if (cluster !== undefined && cluster.state !== 'DELETED' && activeZones(cluster).size > 0) return;
  throw invalidState('KMS cannot communicate with your CloudHSM cluster: it has no active HSM.');
}

export function invalidState(message: string): AwsError {
  return new AwsError('KMSInvalidStateException', message);
}
