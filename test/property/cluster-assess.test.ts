import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assess, gaugeName } from '../../shared/cluster/assess.ts';
import type { Failure, Observation, Observed } from '../../shared/cluster/observation.ts';
import type { Severity } from '../../shared/cluster/rule.ts';
import { rules } from '../../shared/cluster/rules/index.ts';
import { readThresholds } from '../../shared/cluster/thresholds.ts';

const now = Date.UTC(2026, 10, 22, 12);
const day = 86_400_000;
const thresholds = readThresholds({});

const id = fc.constantFrom('cluster-a', 'cluster-b', 'cks-1', 'toString', '');
/** Mostly the usual state; others that AWS has, one that it has not, and one that every object has. */
const stateOf = (usual: string, ...others: string[]) =>
  fc.oneof(
    { weight: 2, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others, 'SOMETHING_NEW', 'constructor') },
  );
/** About the thresholds, and none at all. */
const time = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: now - 2 * day, max: now + day }) },
  { weight: 3, arbitrary: fc.integer({ min: now, max: now + 200 * day }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 8.64e15, 8.64e15 + 1, 0),
  },
);
const optional = { requiredKeys: [] as never[] };

const reasons: Record<Failure['reason'], true> = {
  denied: true,
  throttled: true,
  unreachable: true,
  deadline: true,
  absent: true,
  malformed: true,
  refused: true,
  unexpected: true,
  'not-asked': true,
};
const failure = fc.record({
  failure: fc.record({
    reason: fc.constantFrom(...(Object.keys(reasons) as Failure['reason'][])),
    detail: fc.string(),
  }),
});

/** Mostly seen. */
function observed<Part>(value: fc.Arbitrary<Part>): fc.Arbitrary<Observed<Part>> {
  return fc.oneof({ weight: 6, arbitrary: fc.record({ value }) }, { weight: 1, arbitrary: failure });
}

const hsmState = stateOf('ACTIVE', 'CREATE_IN_PROGRESS', 'DEGRADED', 'DELETE_IN_PROGRESS', 'DELETED');
const hsm = fc
  .record({ state: hsmState, stateMessage: fc.string(), availabilityZone: fc.constantFrom('a', 'b', 'c') }, optional)
  .map((rest) => ({ hsmId: 'hsm-1', ...rest }));
const clusterState = stateOf('ACTIVE', 'DEGRADED', 'UPDATE_IN_PROGRESS', 'DELETED', 'INITIALIZED');
const cluster = fc.record(
  { clusterId: id, state: clusterState, createdAt: time, hsms: fc.array(hsm, { maxLength: 5 }) },
  { requiredKeys: ['clusterId', 'hsms'] },
);
const backup = fc.record(
  { backupId: id, state: stateOf('READY', 'CREATE_IN_PROGRESS', 'PENDING_DELETION'), createdAt: time },
  { requiredKeys: ['backupId'] },
);
const issuer = fc.record(
  {
    issuerId: id,
    state: stateOf('active', 'retired'),
    notAfter: time,
    signerScheme: fc.constantFrom('pkcs11', 'awskms', 'constructor'),
    clusterId: id,
  },
  { requiredKeys: ['issuerId', 'state'] },
);
const keyStore = fc.record(
  {
    customKeyStoreId: id,
    connectionState: stateOf('CONNECTED', 'CONNECTING', 'DISCONNECTED', 'DISCONNECTING', 'FAILED'),
    connectionErrorCode: stateOf('USER_LOCKED_OUT', 'XKS_PROXY_NOT_REACHABLE'),
    clusterId: id,
  },
  { requiredKeys: ['customKeyStoreId'] },
);

const kmsKey = fc.record(
  {
    keyId: id,
    state: stateOf('Enabled', 'Updating', 'Disabled', 'PendingDeletion', 'PendingImport', 'Unavailable'),
    usage: stateOf('SIGN_VERIFY', 'ENCRYPT_DECRYPT'),
    customKeyStoreId: id,
    deletionDate: time,
  },
  { requiredKeys: ['keyId'] },
);

const observation: fc.Arbitrary<Observation> = fc.record({
  canary: observed(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ clusterId: id, customKeyStoreId: id }) },
      { weight: 1, arbitrary: fc.constant({}) },
    ),
  ),
  issuerKeys: observed(fc.array(fc.record({ issuerId: id, key: observed(kmsKey) }), { maxLength: 2 })),
  issuers: observed(fc.array(issuer, { maxLength: 3 })),
  cluster: observed(cluster),
  backups: observed(fc.array(backup, { maxLength: 5 })),
  keyStore: observed(keyStore),
  keyStoreCanary: observed(
    fc.oneof(
      fc.constantFrom({ outcome: 'decrypted' } as const, { outcome: 'wrong' } as const),
      fc.record({ outcome: fc.constant('failed' as const), detail: fc.string() }),
    ),
  ),
  signingCanary: observed(
    fc.oneof(
      fc.constant({ outcome: 'wrong' } as const),
      fc.record({ outcome: fc.constant('signed' as const), milliseconds: fc.nat(60_000) }),
      fc.record({
        outcome: fc.constant('failed' as const),
        code: fc.constantFrom('PIN_UNSEAL_FAILED', 'SIGNER_UNAVAILABLE'),
        detail: fc.string(),
      }),
    ),
  ),
});

const runs = { numRuns: 1_000 };
const value: Readonly<Record<Severity, number>> = { warning: 1, critical: 2 };

describe('whatever AWS answers', () => {
  const assessed = (seen: Observation) => {
    const { findings, measurements } = assess(seen, rules, thresholds, now);
    const values = new Map(measurements.map((measurement) => [measurement.name, measurement.value]));
    const worst = (name: string): number =>
      Math.max(0, ...findings.filter(({ rule }) => rule === name).map(({ severity }) => value[severity]));
    return { findings, values, worst, gauge: (name: string) => values.get(gaugeName(name)) };
  };

  it('no rule fails, and no rule has a severity that it does not declare', () => {
    const given = new Map(rules.map(({ name }) => [name, new Set<number>()]));
    fc.assert(
      fc.property(observation, (seen) => {
        const { findings, gauge } = assessed(seen);
        expect(findings.filter(({ rule, subject }) => subject === `the rule ${rule}`)).toEqual([]);
        for (const { name, severities } of rules) {
          const undeclared = findings.filter(({ rule, severity }) => rule === name && !severities.includes(severity));
          expect(undeclared).toEqual([]);
          // The gauge counts those that are not reported too.
          given.get(name)?.add(gauge(name) ?? 0);
        }
      }),
      runs,
    );
    // No other value of a gauge, and none that is declared and never given, whose alarm would never ring.
    for (const { name, severities } of rules) {
      const declared = [0, ...severities.map((severity) => value[severity])];
      expect([...(given.get(name) ?? [])].sort(), name).toEqual(declared.sort());
    }
  });

  it('a rule is quiet while its gauge is not, only beside a critical finding of another', () => {
    let quiet = 0;
    fc.assert(
      fc.property(observation, (seen) => {
        const { findings, gauge, worst } = assessed(seen);
        for (const { name } of rules) {
          if (worst(name) === (gauge(name) ?? 0)) continue;
          quiet += 1;
          expect(findings.filter(({ rule }) => rule !== name).map(({ severity }) => severity)).toContain('critical');
        }
      }),
      runs,
    );
    expect(quiet).toBeGreaterThan(0);
  });

  it('a gauge has data where its rule could look, and only there; every value is a number that CloudWatch takes', () => {
    fc.assert(
      fc.property(observation, (seen) => {
        const { gauge, values } = assessed(seen);
        for (const { name, needs } of rules) {
          const sawAll = needs.every((need) => need === 'failures' || 'value' in seen[need]);
          expect(gauge(name) !== undefined).toBe(sawAll);
        }
        for (const one of values.values()) expect(Number.isFinite(one)).toBe(true);
      }),
      runs,
    );
  });
});
