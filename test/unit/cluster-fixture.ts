import { type Assessment, assess, gaugeName } from '../../shared/cluster/assess.ts';
import type { KmsKey, Observation, PartName, Parts, WatchedIssuer } from '../../shared/cluster/observation.ts';
import type { Finding } from '../../shared/cluster/rule.ts';
import { rules } from '../../shared/cluster/rules/index.ts';
import { readThresholds, type Thresholds } from '../../shared/cluster/thresholds.ts';

export const now = Date.UTC(2026, 10, 22, 12);
export const hour = 3_600_000;
export const day = 24 * hour;
export const clusterId = 'cluster-aaaaaaaaaaa';
export const customKeyStoreId = 'cks-11111111111111111';

/** Active, and on the watched cluster. */
export const issuer: WatchedIssuer = {
  issuerId: 'devices',
  state: 'active',
  notAfter: now + 1_000 * day,
  signerScheme: 'pkcs11',
  clusterId,
};

/** In KMS, and able to sign. */
export const kmsKey: KmsKey = {
  keyId: 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
  state: 'Enabled',
  usage: 'SIGN_VERIFY',
};

/** Nothing to find. */
export const healthy: Parts = {
  canary: { clusterId, customKeyStoreId },
  issuers: [issuer],
  issuerKeys: [],
  cluster: {
    clusterId,
    state: 'ACTIVE',
    createdAt: now - 400 * day,
    hsms: ['a', 'b', 'c'].map((zone) => ({
      hsmId: `hsm-${zone}`,
      state: 'ACTIVE',
      availabilityZone: `eu-central-1${zone}`,
    })),
  },
  backups: [
    { backupId: 'backup-1', state: 'READY', createdAt: now - 60 * hour },
    { backupId: 'backup-2', state: 'READY', createdAt: now - 12 * hour },
    { backupId: 'backup-3', state: 'CREATE_IN_PROGRESS', createdAt: now },
  ],
  keyStore: { customKeyStoreId, connectionState: 'CONNECTED', clusterId },
  keyStoreCanary: { outcome: 'decrypted' },
  signingCanary: { outcome: 'signed', milliseconds: 12 },
};

export function observationOf(parts: Parts): Observation {
  const entries = Object.entries(parts).map(([part, value]) => [part, { value }]);
  return Object.fromEntries(entries) as Observation;
}

/** A healthy observation but for one part that could not be seen. */
export function withFailure(part: PartName, observed: Observation[PartName]): Observation {
  return { ...observationOf(healthy), [part]: observed };
}

/** What all rules make of a healthy observation with these parts in place of its own. */
export function assessmentOf(parts: Partial<Parts>, thresholds: Partial<Thresholds> = {}): Assessment {
  return assess(observationOf({ ...healthy, ...parts }), rules, { ...readThresholds({}), ...thresholds }, now);
}

export function findingsOf(...parameters: Parameters<typeof assessmentOf>): readonly Finding[] {
  return assessmentOf(...parameters).findings;
}

/** Of the rules whose gauge is not 0, by the rule's name; undefined where it has no data. */
export function gaugesOf({ measurements }: Assessment): Record<string, number | undefined> {
  const values = new Map(measurements.map(({ name, value }) => [name, value]));
  const gauges = rules.map(({ name }) => [name, values.get(gaugeName(name))] as const);
  return Object.fromEntries(gauges.filter(([, value]) => value !== 0));
}

/** `rule severity subject` of each finding. */
export function briefly(findings: readonly Finding[]): string[] {
  return findings.map(({ rule, severity, subject }) => `${rule} ${severity} ${subject}`);
}
