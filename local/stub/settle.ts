import { backupsByNow } from './cloudhsm/cluster.ts';
import type { Context } from './context.ts';
import { settleConnections } from './kms/custom-key-stores.ts';
import { deleteDueKeys } from './kms/keys.ts';
import type { StubState } from './state.ts';

/** Brings the state to now: what time alone changes at AWS happens here, when somebody looks. */
export function settle(state: StubState, context: Context): void {
  for (const cluster of state.clusters.values()) state.backups = backupsByNow(state.backups, cluster, context);
  settleConnections(state, context.now);
  deleteDueKeys(state, context);
}
