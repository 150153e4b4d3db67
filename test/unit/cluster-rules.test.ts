import { ConnectionErrorCodeType } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import type { Cluster, Hsm, Parts } from '../../shared/cluster/observation.ts';
import { cureOf } from '../../shared/cluster/rules/connection-error-codes.ts';
import { briefly, clusterId, customKeyStoreId, day, findingsOf, healthy, hour, now } from './cluster-fixture.ts';

const found = (...parameters: Parameters<typeof findingsOf>): string[] => briefly(findingsOf(...parameters));

const clusterWith = (changes: Partial<Cluster>): Partial<Parts> => ({ cluster: { ...healthy.cluster, ...changes } });

/** HSMs by their zone's letter, ACTIVE unless the state is given: `a`, `b:DEGRADED`. */
function hsms(...written: string[]): Partial<Parts> {
  return clusterWith({
    hsms: written.map((text, index): Hsm => {
      const [zone = '', state = 'ACTIVE'] = text.split(':');
      return { hsmId: `hsm-${index}`, state, availabilityZone: `eu-central-1${zone}` };
    }),
  });
}

it('finds nothing where all is well', () => {
  expect(findingsOf({})).toEqual([]);
});

describe('cluster-state', () => {
  it('accepts ACTIVE, and nothing else', () => {
    expect(found(clusterWith({ state: 'ACTIVE' }))).toEqual([]);
    expect(found(clusterWith({ state: 'DEGRADED' }))).toEqual([`cluster-state critical ${clusterId}`]);
  });

  it.each([
    ['UPDATE_IN_PROGRESS', 'warning'],
    ['MODIFY_IN_PROGRESS', 'warning'],
    ['ROLLBACK_IN_PROGRESS', 'warning'],
    ['CREATE_IN_PROGRESS', 'critical'],
    ['UNINITIALIZED', 'critical'],
    ['INITIALIZE_IN_PROGRESS', 'critical'],
    ['INITIALIZED', 'critical'],
    ['DELETE_IN_PROGRESS', 'critical'],
    ['DELETED', 'critical'],
    ['SOMETHING_NEW', 'warning'],
    ['constructor', 'warning'],
  ])('%s is %s', (state, severity) => {
    expect(found(clusterWith({ state }))).toEqual([`cluster-state ${severity} ${clusterId}`]);
  });

  it('repeats what AWS says of it', () => {
    expect(findingsOf(clusterWith({ state: 'DEGRADED', stateMessage: 'Subnet is full.' }))).toMatchObject([
      { observed: 'DEGRADED', sentence: expect.stringContaining('Subnet is full.') as string },
    ]);
  });

  it('finds a cluster without a state', () => {
    const { state: _, ...cluster } = healthy.cluster;
    expect(found({ cluster })).toEqual([`cluster-state warning ${clusterId}`]);
  });
});

describe('hsm-count', () => {
  const critical = [`hsm-count critical ${clusterId}`];
  const warning = [`hsm-count warning ${clusterId}`];

  it('is critical below two ACTIVE ones', () => {
    expect(found(hsms('a', 'b', 'c:CREATE_IN_PROGRESS'))).toEqual([]);
    expect(found(hsms('a', 'b:CREATE_IN_PROGRESS', 'c:CREATE_IN_PROGRESS'))).toEqual(critical);
    expect(found(hsms())).toEqual(critical);
  });

  it('warns below three', () => {
    expect(found(hsms('a', 'b', 'c'))).toEqual([]);
    expect(found(hsms('a', 'b'))).toEqual(warning);
    expect(found(hsms('a', 'b', 'c:DELETE_IN_PROGRESS'))).toEqual(warning);
  });

  it('follows its thresholds', () => {
    expect(found(hsms('a', 'b'), { hsmCountWanted: 2 })).toEqual([]);
    expect(found(hsms('a', 'b', 'c'), { hsmCountMinimum: 4, hsmCountWanted: 4 })).toEqual(critical);
  });
});

describe('hsm-state', () => {
  it('finds each HSM that is not as usual', () => {
    expect(found(hsms('a', 'b', 'c', 'a:CREATE_IN_PROGRESS', 'b:DELETE_IN_PROGRESS', 'c:DELETED'))).toEqual([]);
    expect(found(hsms('a', 'b:DEGRADED', 'c'))).toEqual(['hsm-state warning hsm-1']);
    expect(found(hsms('a', 'b:SOMETHING_NEW', 'c'))).toEqual(['hsm-state warning hsm-1']);
  });

  it('finds an HSM without a state', () => {
    const hsm: Hsm = { hsmId: 'hsm-odd', availabilityZone: 'eu-central-1a' };
    expect(found(clusterWith({ hsms: [...healthy.cluster.hsms, hsm] }))).toEqual(['hsm-state warning hsm-odd']);
  });
});

describe('az-spread', () => {
  const critical = [`az-spread critical ${clusterId}`];

  it('is critical with all ACTIVE ones in one zone', () => {
    expect(found(hsms('a', 'a', 'b'))).toEqual([]);
    expect(found(hsms('a', 'a', 'a'))).toEqual(critical);
    expect(found(hsms('a', 'a', 'b:DEGRADED'))).toEqual(['hsm-state warning hsm-2', ...critical]);
  });

  it('leaves a single HSM to hsm-count', () => {
    expect(found(hsms('a', 'b:CREATE_IN_PROGRESS', 'b:CREATE_IN_PROGRESS'))).toEqual([
      `hsm-count critical ${clusterId}`,
    ]);
  });

  it('does not take an unnamed zone for one', () => {
    const unnamed = ['1', '2', '3'].map((id): Hsm => ({ hsmId: `hsm-${id}`, state: 'ACTIVE' }));
    expect(found(clusterWith({ hsms: unnamed }))).toEqual(critical);
  });

  it('follows its threshold', () => {
    expect(found({}, { availabilityZonesMinimum: 3 })).toEqual([]);
    expect(found({}, { availabilityZonesMinimum: 4 })).toEqual(critical);
  });
});

describe('backup-age', () => {
  const critical = [`backup-age critical ${clusterId}`];
  const ready = (age: number): Partial<Parts> => ({
    backups: [{ backupId: 'backup-1', state: 'READY', createdAt: now - age }],
  });

  it('is critical above 24 hours and 6 of slack', () => {
    expect(found(ready(30 * hour))).toEqual([]);
    expect(found(ready(30 * hour + 1))).toEqual(critical);
    expect(findingsOf(ready(50 * hour))).toMatchObject([
      { observed: '50.0 h, from 2026-11-20T10:00:00.000Z', threshold: 'at most 30 h (24 h and 6 h of slack)' },
    ]);
  });

  it('follows its thresholds', () => {
    expect(found(ready(50 * hour), { backupMaximumAgeHours: 48, backupSlackHours: 2 })).toEqual([]);
    expect(found(ready(3 * hour), { backupMaximumAgeHours: 1, backupSlackHours: 1 })).toEqual(critical);
  });

  it('counts READY ones only', () => {
    const others = ['CREATE_IN_PROGRESS', 'DELETED', 'PENDING_DELETION', 'SOMETHING_NEW'].map((state, index) => ({
      backupId: `backup-${index}`,
      state,
      createdAt: now,
    }));
    expect(found({ backups: [...others, { backupId: 'backup-r', state: 'READY', createdAt: now }] })).toEqual([]);
    expect(findingsOf({ backups: others })).toMatchObject([
      {
        rule: 'backup-age',
        severity: 'critical',
        observed: '4 backups, none READY: CREATE_IN_PROGRESS, DELETED, PENDING_DELETION, SOMETHING_NEW',
      },
    ]);
  });

  it('finds that there is none at all', () => {
    expect(findingsOf({ backups: [] })).toMatchObject([
      {
        rule: 'backup-age',
        severity: 'critical',
        observed: 'no backup since the cluster was made, 2025-10-18T12:00:00.000Z',
      },
    ]);
  });

  it('does not take a backup without a time for a fresh one', () => {
    expect(found({ backups: [{ backupId: 'backup-1', state: 'READY' }] })).toEqual(critical);
  });
});

describe('key-store-state', () => {
  const keyStore = (changes: Partial<Parts['keyStore']>): Partial<Parts> => ({
    keyStore: { ...healthy.keyStore, ...changes },
  });

  it.each([
    ['DISCONNECTED', 'critical'],
    ['DISCONNECTING', 'critical'],
    ['FAILED', 'critical'],
    ['CONNECTING', 'warning'],
    ['SOMETHING_NEW', 'warning'],
  ])('%s is %s', (connectionState, severity) => {
    expect(found(keyStore({ connectionState: 'CONNECTED' }))).toEqual([]);
    expect(found(keyStore({ connectionState }))).toEqual([`key-store-state ${severity} ${customKeyStoreId}`]);
  });

  it('finds a key store without a state', () => {
    const { connectionState: _, ...rest } = healthy.keyStore;
    expect(found({ keyStore: rest })).toEqual([`key-store-state warning ${customKeyStoreId}`]);
  });

  it.each(Object.values(ConnectionErrorCodeType))('knows what to do about %s', (connectionErrorCode) => {
    const cure = cureOf(connectionErrorCode);
    expect(cure).toEqual(expect.any(String));
    expect(findingsOf(keyStore({ connectionState: 'FAILED', connectionErrorCode }))).toMatchObject([
      { observed: `FAILED, ${connectionErrorCode}`, sentence: expect.stringContaining(cure ?? '') as string },
    ]);
  });

  it('says where to look for a code that it does not know', () => {
    for (const connectionErrorCode of ['SOMETHING_NEW', 'constructor']) {
      expect(findingsOf(keyStore({ connectionState: 'FAILED', connectionErrorCode }))).toMatchObject([
        { severity: 'critical', sentence: expect.stringContaining('look it up') as string },
      ]);
    }
    expect(found(keyStore({ connectionState: 'FAILED' }))).toEqual([`key-store-state critical ${customKeyStoreId}`]);
  });

  it('finds a key store that is on another cluster', () => {
    expect(findingsOf(keyStore({ clusterId: 'cluster-bbbbbbbbbbb' }))).toMatchObject([
      { rule: 'key-store-state', severity: 'warning', observed: 'cluster-bbbbbbbbbbb', threshold: clusterId },
    ]);
  });
});

describe('key-store-canary', () => {
  const critical = [`key-store-canary critical ${customKeyStoreId}`];
  const failed = { keyStoreCanary: { outcome: 'failed', detail: 'KMSInternalException: no answer' } } as const;

  it('finds that a connected key store does not decrypt', () => {
    expect(found({ keyStoreCanary: { outcome: 'decrypted' } })).toEqual([]);
    expect(found(failed)).toEqual(critical);
    expect(found({ keyStoreCanary: { outcome: 'wrong' } })).toEqual(critical);
  });

  it('leaves a key store that is not connected to key-store-state', () => {
    const keyStore = { ...healthy.keyStore, connectionState: 'DISCONNECTED' };
    expect(found({ ...failed, keyStore })).toEqual([`key-store-state critical ${customKeyStoreId}`]);
  });
});

describe('signing-canary', () => {
  const signed = (milliseconds: number): Partial<Parts> => ({ signingCanary: { outcome: 'signed', milliseconds } });
  const failed = (code: string): Partial<Parts> => ({ signingCanary: { outcome: 'failed', code, detail: 'Why.' } });

  it('warns of a signature that takes longer than a second', () => {
    expect(found(signed(1_000))).toEqual([]);
    expect(found(signed(1_001))).toEqual([`signing-canary warning ${clusterId}`]);
    expect(found(signed(60), { canarySignWarningMilliseconds: 50 })).toEqual([`signing-canary warning ${clusterId}`]);
  });

  it('is critical when there is no signature, or a wrong one', () => {
    expect(found(failed('SIGNER_UNAVAILABLE'))).toEqual([`signing-canary critical ${clusterId}`]);
    expect(found({ signingCanary: { outcome: 'wrong' } })).toEqual([`signing-canary critical ${clusterId}`]);
  });

  it('speaks of a PIN that cannot be unsealed only where the key store works', () => {
    expect(found(failed('PIN_UNSEAL_FAILED'))).toEqual([`signing-canary critical ${clusterId}`]);
    const keyStore = { ...healthy.keyStore, connectionState: 'DISCONNECTED' };
    const broken = { ...failed('PIN_UNSEAL_FAILED'), keyStoreCanary: { outcome: 'failed', detail: 'No.' } } as const;
    expect(found({ ...broken, keyStore })).toEqual([`key-store-state critical ${customKeyStoreId}`]);
    expect(found(broken)).toEqual([`key-store-canary critical ${customKeyStoreId}`]);
  });
});

describe('issuer-expiry', () => {
  const ending = (days: number, state = 'active'): Partial<Parts> => ({
    issuers: [...healthy.issuers, { issuerId: 'old', state, notAfter: now + days * day }],
  });

  it('warns below 90 days and is critical below 30', () => {
    expect(found(ending(90))).toEqual([]);
    expect(found(ending(90 - 1e-6))).toEqual(['issuer-expiry warning old']);
    expect(found(ending(30))).toEqual(['issuer-expiry warning old']);
    expect(found(ending(30 - 1e-6))).toEqual(['issuer-expiry critical old']);
    expect(findingsOf(ending(-1))).toMatchObject([
      { severity: 'critical', sentence: expect.stringContaining('has expired') as string },
    ]);
  });

  it('follows its thresholds', () => {
    const thresholds = { issuerExpiryWarningDays: 2_000, issuerExpiryCriticalDays: 1_500 };
    expect(found({}, thresholds)).toEqual(['issuer-expiry critical devices']);
  });

  it('lets a retired issuer end', () => {
    expect(found(ending(1, 'retired'))).toEqual([]);
  });

  it('finds an issuer whose certificate cannot be read', () => {
    const issuers = [...healthy.issuers, { issuerId: 'odd', state: 'active' }];
    expect(found({ issuers })).toEqual(['issuer-expiry critical odd']);
  });

  it('finds that no issuer is active', () => {
    expect(found({ issuers: [] })).toEqual(['issuer-expiry warning issuers table']);
  });
});
