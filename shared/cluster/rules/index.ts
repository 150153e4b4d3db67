import type { Rule } from '../rule.ts';
import { rule as azSpread } from './az-spread.ts';
import { rule as backupAge } from './backup-age.ts';
import { rule as clusterState } from './cluster-state.ts';
import { rule as described } from './described.ts';
import { rule as hsmCount } from './hsm-count.ts';
import { rule as hsmState } from './hsm-state.ts';
import { rule as issuerCluster } from './issuer-cluster.ts';
import { rule as issuerExpiry } from './issuer-expiry.ts';
import { rule as issuerKey } from './issuer-key.ts';
import { rule as keyStoreCanary } from './key-store-canary.ts';
import { rule as keyStoreState } from './key-store-state.ts';
import { rule as signingCanary } from './signing-canary.ts';

/**
 * Everything that is watched. Another rule is a file here, a line here, its test, its alarms in deploy/watch-alarms.yml
 * and its section of docs/runbook.md. One whose findings may be duplicates comes after those that it names.
 */
export const rules: readonly Rule[] = [
  described,
  clusterState,
  hsmCount,
  hsmState,
  azSpread,
  backupAge,
  keyStoreState,
  keyStoreCanary,
  signingCanary,
  issuerExpiry,
  issuerCluster,
  issuerKey,
];
