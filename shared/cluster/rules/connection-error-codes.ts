/**
 * What a FAILED key store's ConnectionErrorCode means and what to do (KMS API reference, CustomKeyStoresListEntry; KMS
 * Developer Guide, "Troubleshooting a custom key store": "How to fix a connection failure"). In every case the key
 * store is disconnected before it is connected again.
 */
const cures: Readonly<Record<string, string>> = {
  CLUSTER_NOT_FOUND:
    'KMS cannot find the cluster: if it was deleted, restore one from a backup, then point the key store to it (UpdateCustomKeyStore).',
  INSUFFICIENT_CLOUDHSM_HSMS: 'The cluster has no active HSM: add one, wait until it is ACTIVE, then connect.',
  INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET:
    'A private subnet of the cluster has no free IP address: free one in every subnet of the cluster, two if you can, then connect.',
  INTERNAL_ERROR: 'KMS had an internal error: disconnect, connect again, and ask AWS Support if it stays.',
  INVALID_CREDENTIALS:
    'The key store does not have the current password of kmsuser: set the password of kmsuser in the cluster, give it to the key store (UpdateCustomKeyStore, KeyStorePassword), then connect.',
  NETWORK_ERRORS:
    'KMS cannot reach the cluster over the network: check its VPC, subnets and security group, then connect.',
  SUBNET_NOT_FOUND:
    'A subnet of the cluster was deleted, and a cluster cannot be given another: restore a cluster from a recent backup into new subnets, then point the key store to it (UpdateCustomKeyStore).',
  USER_LOCKED_OUT:
    'kmsuser is locked after too many wrong passwords: set its password in the cluster, give it to the key store (UpdateCustomKeyStore, KeyStorePassword), then connect.',
  USER_LOGGED_IN:
    'kmsuser is logged in to the cluster, so KMS cannot rotate its password: log it out; if its password was changed for that, give it to the key store (UpdateCustomKeyStore, KeyStorePassword), then connect.',
  USER_NOT_FOUND:
    'The cluster has no crypto user kmsuser: create it, give its password to the key store (UpdateCustomKeyStore, KeyStorePassword), then connect.',
};

const external =
  'That is an error of an external key store, and Mintmark needs one of the type AWS_CLOUDHSM: check which key store the canary row names.';

/** undefined for a code that AWS did not document when this was written. */
export function cureOf(connectionErrorCode: string): string | undefined {
  if (connectionErrorCode.startsWith('XKS_')) return external;
  return Object.hasOwn(cures, connectionErrorCode) ? cures[connectionErrorCode] : undefined;
}
