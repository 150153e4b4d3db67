import { ConnectionErrorCodeType } from '@aws-sdk/client-kms';
import { describe, expect, it } from 'vitest';
import type { Cluster, Hsm, KmsKey, Parts } from '../../shared/cluster/observation.ts';
import { cureOf } from '../../shared/cluster/rules/connection-error-codes.ts';
import {
  assessmentOf,
  briefly,
  clusterId,
  customKeyStoreId,
  day,
  findingsOf,
  gaugesOf,
  healthy,
  hour,
  issuer,
  kmsKey,
  now,
} from './cluster-fixture.ts';

const found = (...parameters: Parameters<typeof findingsOf>): string[] => briefly(findingsOf(...parameters));
const gauges = (...parameters: Parameters<typeof assessmentOf>) => gaugesOf(assessmentOf(...parameters));

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

  it.each([
    ['a single HSM', ['a', 'b:CREATE_IN_PROGRESS', 'b:CREATE_IN_PROGRESS']],
    ['no HSM', []],
  ])('leaves the finding of %s to hsm-count, and keeps its gauge', (_, written) => {
    expect(found(hsms(...written))).toEqual([`hsm-count critical ${clusterId}`]);
    expect(gauges(hsms(...written))).toEqual({ 'hsm-count': 2, 'az-spread': 2 });
  });

  it('speaks of a single HSM itself where that is few enough for hsm-count', () => {
    const thresholds = { hsmCountMinimum: 1, hsmCountWanted: 1 };
    expect(found(hsms('a'), thresholds)).toEqual(critical);
    expect(found(hsms('a'), { ...thresholds, hsmCountWanted: 2 })).toEqual([
      `hsm-count warning ${clusterId}`,
      ...critical,
    ]);
    expect(found(hsms('a'), { ...thresholds, availabilityZonesMinimum: 1 })).toEqual([]);
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

  const warning = [`backup-age warning ${clusterId}`];
  const minute = 60_000;

  it.each([undefined, Number.NaN, Number.POSITIVE_INFINITY, 8.64e15 + 1])(
    'does not take a backup from %s for a fresh one, and says so',
    (createdAt) => {
      const odd = { backupId: 'odd', state: 'READY', ...(createdAt === undefined ? {} : { createdAt }) };
      expect(found({ backups: [odd] })).toEqual([...critical, ...warning]);
      expect(findingsOf({ backups: [odd] })).toMatchObject([
        { observed: '1 backups, 1 READY, none made at a time that can be' },
        { observed: 'odd: no time that can be read' },
      ]);
      expect(found({ backups: [odd, ...(ready(30 * hour).backups ?? [])] })).toEqual(warning);
      expect(found({ backups: [odd, ...(ready(30 * hour + 1).backups ?? [])] })).toEqual([...critical, ...warning]);
      // It can be restored from by nobody.
      expect(found({ backups: [{ ...odd, state: 'DELETED' }, ...healthy.backups] })).toEqual([]);
    },
  );

  it('lets a backup of the future hide no gap, and says so', () => {
    const old = { backupId: 'old', state: 'READY', createdAt: now - 31 * hour };
    const after = (milliseconds: number) => ({ backupId: 'new', state: 'READY', createdAt: now + milliseconds });
    expect(found({ backups: [old, after(5 * minute)] })).toEqual([]);
    expect(found({ backups: [old, after(5 * minute + 1)] })).toEqual([...critical, ...warning]);
    expect(found({ backups: [...healthy.backups, after(365 * day)] })).toEqual(warning);
    expect(findingsOf({ backups: [old, after(day)] })).toMatchObject([
      { observed: '31.0 h, from 2026-11-21T05:00:00.000Z' },
      { observed: 'new: 2026-11-23T12:00:00.000Z' },
    ]);
    const { measurements } = assessmentOf({ backups: [old, after(5 * minute)] });
    expect(measurements).toContainEqual({ name: 'BackupAgeHours', unit: 'None', value: 0 });
  });

  it('names three of many', () => {
    const odd = Array.from({ length: 5 }, (_, index) => ({ backupId: `backup-${index}`, state: 'READY' }));
    const [, { observed } = { observed: '' }] = findingsOf({ backups: odd });
    expect(observed).toMatch(/^backup-0: .*, backup-1: .*, backup-2: [^,]*, and 2 more$/);
  });

  it('does without the time of the cluster', () => {
    const cluster = { ...healthy.cluster, createdAt: Number.NaN };
    expect(findingsOf({ cluster, backups: [] })).toMatchObject([{ observed: 'no backup' }]);
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

  const { connectionState: _, ...stateless } = healthy.keyStore;

  it.each(['DISCONNECTED', 'DISCONNECTING', 'FAILED'])(
    'leaves the finding of a key store that is %s to key-store-state, and keeps its gauge',
    (connectionState) => {
      const keyStore = { ...stateless, connectionState };
      expect(found({ ...failed, keyStore })).toEqual([`key-store-state critical ${customKeyStoreId}`]);
      expect(gauges({ ...failed, keyStore })).toEqual({ 'key-store-state': 2, 'key-store-canary': 2 });
    },
  );

  it.each(['CONNECTING', 'SOMETHING_NEW', undefined])('calls somebody when key-store-state only warns: %s', (state) => {
    const keyStore = state === undefined ? stateless : { ...stateless, connectionState: state };
    const warning = [`key-store-state warning ${customKeyStoreId}`];
    expect(found({ keyStore })).toEqual(warning);
    expect(found({ ...failed, keyStore })).toEqual([...warning, ...critical]);
    expect(gauges({ ...failed, keyStore })).toEqual({ 'key-store-state': 1, 'key-store-canary': 2 });
  });

  it('does not leave another plaintext to anybody', () => {
    const keyStore = { ...stateless, connectionState: 'DISCONNECTED' };
    expect(found({ keyStoreCanary: { outcome: 'wrong' }, keyStore })).toEqual([
      `key-store-state critical ${customKeyStoreId}`,
      ...critical,
    ]);
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

  describe('with a PIN that cannot be unsealed', () => {
    const unsealed = failed('PIN_UNSEAL_FAILED');
    const broken = { ...unsealed, keyStoreCanary: { outcome: 'failed', detail: 'No.' } } as const;
    const keyStore = (connectionState: string) => ({ ...healthy.keyStore, connectionState });

    it('speaks where the key store works', () => {
      expect(found(unsealed)).toEqual([`signing-canary critical ${clusterId}`]);
    });

    it('leaves the finding to the key store’s rules where they are critical, and keeps its gauge', () => {
      const disconnected = { ...broken, keyStore: keyStore('DISCONNECTED') };
      expect(found(disconnected)).toEqual([`key-store-state critical ${customKeyStoreId}`]);
      expect(gauges(disconnected)).toEqual({ 'key-store-state': 2, 'key-store-canary': 2, 'signing-canary': 2 });
      expect(found(broken)).toEqual([`key-store-canary critical ${customKeyStoreId}`]);
      expect(gauges(broken)).toEqual({ 'key-store-canary': 2, 'signing-canary': 2 });
    });

    it('speaks where they only warn', () => {
      expect(found({ ...unsealed, keyStore: keyStore('CONNECTING') })).toEqual([
        `key-store-state warning ${customKeyStoreId}`,
        `signing-canary critical ${clusterId}`,
      ]);
    });

    it('leaves no other failure to them', () => {
      expect(found({ ...broken, ...failed('SIGNER_UNAVAILABLE') })).toEqual([
        `key-store-canary critical ${customKeyStoreId}`,
        `signing-canary critical ${clusterId}`,
      ]);
    });
  });
});

describe('issuer-expiry', () => {
  const ending = (days: number, state = 'active'): Partial<Parts> => ({
    issuers: [issuer, { ...issuer, issuerId: 'old', state, notAfter: now + days * day }],
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

  it.each([undefined, Number.NaN, Number.POSITIVE_INFINITY])(
    'finds an issuer whose certificate cannot be read, or ends at %s',
    (notAfter) => {
      const { notAfter: _, ...rest } = issuer;
      const odd = { ...rest, issuerId: 'odd', ...(notAfter === undefined ? {} : { notAfter }) };
      const assessment = assessmentOf({ issuers: [issuer, odd] });
      expect(briefly(assessment.findings)).toEqual(['issuer-expiry critical odd']);
      expect(assessment.measurements).toContainEqual({ name: 'IssuerDaysLeft', unit: 'None', value: 1_000 });
    },
  );

  it('finds that no issuer is active', () => {
    const critical = ['issuer-expiry critical issuers table'];
    expect(found({ issuers: [issuer] })).toEqual([]);
    expect(found({ issuers: [] })).toEqual(critical);
    expect(found({ issuers: [{ ...issuer, state: 'retired' }] })).toEqual(critical);
  });
});

describe('issuer-cluster', () => {
  const { clusterId: _, ...onNone } = issuer;
  const elsewhere = { ...issuer, issuerId: 'other', clusterId: 'cluster-bbbbbbbbbbb' };
  const critical = ['issuer-cluster critical other'];

  it('is critical for an active issuer on another cluster than the watched one', () => {
    expect(found({ issuers: [issuer, { ...elsewhere, clusterId }] })).toEqual([]);
    expect(found({ issuers: [issuer, elsewhere] })).toEqual(critical);
    expect(findingsOf({ issuers: [elsewhere] })).toMatchObject([
      { observed: 'cluster-bbbbbbbbbbb', threshold: clusterId },
    ]);
  });

  it('finds an issuer that names no cluster', () => {
    expect(found({ issuers: [issuer, { ...onNone, issuerId: 'other' }] })).toEqual(critical);
    const { signerScheme: __, ...odd } = onNone;
    expect(found({ issuers: [issuer, { ...odd, issuerId: 'other' }] })).toEqual(critical);
  });

  it('passes over an issuer whose key is in KMS, and no other scheme', () => {
    expect(found({ issuers: [{ ...onNone, signerScheme: 'awskms' }] })).toEqual([]);
    expect(found({ issuers: [{ ...onNone, issuerId: 'other', signerScheme: 'awskms2' }] })).toEqual(critical);
  });

  it('lets a retired issuer be anywhere', () => {
    expect(found({ issuers: [issuer, { ...elsewhere, state: 'retired' }] })).toEqual([]);
  });

  describe('in a stage without CloudHSM', () => {
    const inKms = { ...onNone, signerScheme: 'awskms' };

    it('is content with keys in KMS, and with retired issuers', () => {
      expect(found({ canary: {}, issuers: [inKms, { ...issuer, state: 'retired' }] })).toEqual([]);
    });

    it('finds an issuer whose key is in a cluster, named or not', () => {
      for (const one of [issuer, onNone]) {
        expect(findingsOf({ canary: {}, issuers: [inKms, { ...one, issuerId: 'other' }] })).toMatchObject([
          {
            rule: 'issuer-cluster',
            severity: 'critical',
            subject: 'other',
            threshold: 'a key in KMS',
            sentence: expect.stringContaining('without CloudHSM') as string,
          },
        ]);
      }
    });
  });
});

describe('issuer-key', () => {
  const keys = (...changes: Partial<KmsKey>[]): Partial<Parts> => ({
    issuerKeys: changes.map((change, index) => ({
      issuerId: `kms-${index}`,
      key: { value: { ...kmsKey, ...change } },
    })),
  });
  const critical = ['issuer-key critical kms-0'];
  const saying = (...parts: string[]) => expect.stringMatching(parts.join('.*')) as string;

  it('is silent where no issuer has a key in KMS', () => {
    expect(found({ issuerKeys: [] })).toEqual([]);
    expect(gauges({ issuerKeys: [] })).toEqual({});
  });

  it.each(['Enabled', 'Updating'])('accepts a key that is %s', (state) => {
    expect(found(keys({ state }))).toEqual([]);
  });

  it.each([
    ['Disabled', 'EnableKey'],
    ['PendingReplicaDeletion', 'CancelKeyDeletion'],
    ['PendingImport', 'ImportKeyMaterial'],
    ['Unavailable', 'connect it'],
    ['Creating', 'passes'],
    ['SOMETHING_NEW', 'does not know'],
    ['constructor', 'does not know'],
  ])('%s is critical, and says what to do', (state, cure) => {
    expect(found(keys({ state }))).toEqual(critical);
    expect(findingsOf(keys({ state }))).toMatchObject([
      { observed: state, threshold: 'Enabled', sentence: saying(kmsKey.keyId, state, cure) },
    ]);
    expect(gauges(keys({ state }))).toEqual({ 'issuer-key': 2 });
  });

  it('names the day on which the key is deleted', () => {
    expect(findingsOf(keys({ state: 'PendingDeletion', deletionDate: now + 7 * day }))).toMatchObject([
      {
        severity: 'critical',
        observed: 'PendingDeletion, on 2026-11-29T12:00:00.000Z',
        sentence: saying('2026-11-29T12:00:00.000Z', 'CancelKeyDeletion, then EnableKey'),
      },
    ]);
    for (const change of [{}, { deletionDate: Number.NaN }]) {
      expect(findingsOf(keys({ state: 'PendingDeletion', ...change }))).toMatchObject([
        { observed: 'PendingDeletion, on a day that KMS does not say' },
      ]);
    }
  });

  it('finds a key without a state, or without a usage', () => {
    const { state: _, ...stateless } = kmsKey;
    const { usage: __, ...useless } = kmsKey;
    for (const value of [stateless, useless]) {
      expect(found({ issuerKeys: [{ issuerId: 'kms-0', key: { value } }] })).toEqual(critical);
    }
  });

  it('finds a key that is not for signing', () => {
    expect(findingsOf(keys({ usage: 'ENCRYPT_DECRYPT' }))).toMatchObject([
      { observed: 'ENCRYPT_DECRYPT', threshold: 'SIGN_VERIFY', sentence: saying('certificate was made for') },
    ]);
    expect(findingsOf(keys({ usage: 'ENCRYPT_DECRYPT', customKeyStoreId }))).toMatchObject([
      { sentence: saying('symmetric', customKeyStoreId) },
    ]);
  });

  it('finds a key that is not the one in the certificate', () => {
    expect(found(keys({ isOfCertificate: true }))).toEqual([]);
    expect(findingsOf(keys({ isOfCertificate: false }))).toMatchObject([
      { severity: 'critical', observed: 'another public key', sentence: saying(kmsKey.keyId, 'not the one in its') },
    ]);
  });

  it('is critical where KMS does not describe it, whatever the reason, and hides no other', () => {
    for (const reason of ['denied', 'absent', 'throttled', 'unreachable', 'deadline', 'malformed'] as const) {
      const failing = { issuerId: 'kms-x', key: { failure: { reason, detail: 'What KMS said.' } } };
      const { issuerKeys = [] } = keys({}, { state: 'Disabled' });
      expect(findingsOf({ issuerKeys: [failing, ...issuerKeys] })).toMatchObject([
        { rule: 'issuer-key', severity: 'critical', subject: 'kms-x', observed: `${reason}: What KMS said.` },
        { rule: 'issuer-key', severity: 'critical', subject: 'kms-1' },
      ]);
    }
  });

  describe('of a key in the custom key store', () => {
    const unavailable = keys({ state: 'Unavailable', customKeyStoreId });
    const disconnected = { keyStore: { ...healthy.keyStore, connectionState: 'DISCONNECTED' } };

    it('says how the key store is', () => {
      expect(findingsOf(unavailable)).toMatchObject([{ sentence: saying(customKeyStoreId, 'CONNECTED') }]);
      const another = keys({ state: 'Unavailable', customKeyStoreId: 'cks-22222222222222222' });
      expect(findingsOf(another)).toMatchObject([{ sentence: saying('cks-2222', 'does not see') }]);
    });

    it('leaves the finding to key-store-state where that is critical, and keeps its gauge', () => {
      expect(found({ ...unavailable, ...disconnected })).toEqual([`key-store-state critical ${customKeyStoreId}`]);
      expect(gauges({ ...unavailable, ...disconnected })).toEqual({ 'key-store-state': 2, 'issuer-key': 2 });
      // Of another key store, or for another reason, it speaks.
      for (const other of [
        keys({ state: 'Unavailable', customKeyStoreId: 'cks-22222222222222222' }),
        keys({ state: 'Unavailable' }),
        keys({ state: 'Disabled', customKeyStoreId }),
      ]) {
        expect(found({ ...other, ...disconnected })).toEqual([
          `key-store-state critical ${customKeyStoreId}`,
          ...critical,
        ]);
      }
    });
  });
});
