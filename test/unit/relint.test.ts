import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { bitString, nullValue, objectIdentifier, sequence, unsignedInteger } from '../../shared/asn1/der-writer.ts';
import { spkiSha256Of } from '../../shared/issuance/key-standing.ts';
import { objectIdentifiers } from '../../shared/issuance/object-identifiers.ts';
import { type Relinted, type RelintRequirements, relint, relintIssuers } from '../../shared/issuance/relint.ts';
import { measureRelint, RelintTally } from '../../shared/issuance/relint-tally.ts';
import type { IssuanceRecord } from '../../shared/ledger/issuance-records.ts';
import { segmentOf } from '../../shared/ledger/issuance-sample.ts';
import type { AbandonedSerial } from '../../shared/ledger/row.ts';
import { algorithmIdentifier } from '../../shared/signer/algorithm-identifier.ts';
import { soundModulus, vulnerableModuli } from '../fixtures/csr/roca.ts';
import { bytesOf } from '../fixtures/csr/rsa.ts';
import { decode, encode, replaceAt } from '../fixtures/csr/tree.ts';
import { issuedRow, newSubjectPublicKeyInfo } from '../support/issued-row.ts';
import { makeIssuingCa } from '../support/issuing-ca.ts';
import { names } from '../support/linted.ts';
import { deviceTls } from '../support/profile.ts';

const now = Date.parse('2026-11-22T12:00:00Z');
const day = 86_400_000;
const ca = makeIssuingCa({ notBefore: new Date(now - 800 * day), notAfter: new Date(now + 3650 * day) });
const { issuers } = relintIssuers([ca.issuer]);
const good = issuedRow(ca, now);

const requirementsWith = (over: Partial<RelintRequirements> = {}): RelintRequirements => ({
  issuers,
  profiles: new Map([[deviceTls.name, deviceTls]]),
  compromisedAmong: async () => new Set(),
  isRevoked: async () => false,
  withExpired: false,
  now: () => now,
  ...over,
});

async function relinted(record: IssuanceRecord, over?: Partial<RelintRequirements>): Promise<Relinted> {
  const [one, ...others] = await relint([record], requirementsWith(over));
  if (one === undefined || others.length > 0) throw new Error('Not one answer for one row.');
  return one;
}

/** The names of the rules that a row breaks, in the order of looking. */
async function brokenIn(record: IssuanceRecord, over?: Partial<RelintRequirements>): Promise<string[]> {
  const one = await relinted(record, over);
  if ('passedOver' in one) throw new Error(`It is passed over: ${one.passedOver}.`);
  return one.broken.map(({ name }) => name);
}

const certificateWith = (path: readonly number[], der: Uint8Array): Uint8Array =>
  encode(replaceAt(decode(Buffer.from(good.certificate ?? [])), path, () => [decode(Buffer.from(der))]));

describe('a certificate and its row', () => {
  it('that are as they were issued break nothing', async () => {
    expect(await relinted(good)).toEqual({ record: good, isProfileDeployed: true, broken: [] });
  });

  it('are held to the signature of the issuer', async () => {
    const another = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    expect(await brokenIn(issuedRow(ca, now, { privateKey: another }))).toEqual(['signature-of-the-issuer']);
    const bent = Buffer.from(good.certificate ?? []);
    bent[bent.length - 1] = (bent.at(-1) ?? 0) ^ 1;
    expect(await brokenIn({ ...good, certificate: bent })).toEqual(['signature-of-the-issuer']);
  });

  it('name one algorithm, outside of what is signed and inside', async () => {
    const certificate = certificateWith([1], algorithmIdentifier({ algorithm: 'rsa-pkcs1-v1_5', hash: 'sha384' }));
    expect(await brokenIn({ ...good, certificate })).toEqual([
      'signature-of-the-issuer',
      'signature-algorithm-the-same-outside-and-inside',
    ]);
  });

  it('of an algorithm that nobody knows verify for nobody', async () => {
    const certificate = certificateWith([1], sequence(objectIdentifier('1.3.6.1.4.1.32473.1')));
    expect(await brokenIn({ ...good, certificate })).toContain('signature-of-the-issuer');
  });

  it.each([
    ['serial-number-of-its-row', { serialNumber: '7f'.repeat(16) }],
    ['not-after-of-its-row', { notAfter: (good.notAfter ?? 0) + 1000 }],
    ['crl-shard-of-its-row', { crlShard: ((good.crlShard ?? 0) + 1) % ca.issuer.crlShardCount }],
  ])('say the same: %s', async (rule, change) => {
    expect(await brokenIn({ ...good, ...change })).toEqual([rule]);
  });

  it('name an issuer that is the certificate’s', async () => {
    const other = makeIssuingCa({
      issuerId: 'gateways',
      notBefore: new Date(now - day),
      notAfter: new Date(now + 3650 * day),
    });
    const both = relintIssuers([ca.issuer, other.issuer]).issuers;
    expect(await brokenIn({ ...good, issuerId: 'gateways' }, { issuers: both })).toEqual([
      'issuer-is-the-issuing-ca-s-subject',
      'authority-key-identifier-of-the-issuer',
      'crl-distribution-point-of-the-shard',
      'further-extensions-as-the-profile-says',
      'signature-of-the-issuer',
    ]);
  });

  it('are a certificate, whole and nothing after it', async () => {
    const { certificate: _, ...without } = good;
    const der = Buffer.from(good.certificate ?? []);
    expect(await brokenIn(without)).toEqual(['certificate-in-its-row']);
    for (const certificate of [
      der.subarray(0, -1),
      Buffer.concat([der, Buffer.of(0)]),
      Buffer.from('x'),
      Buffer.of(),
    ]) {
      expect(await brokenIn({ ...good, certificate })).toEqual(['der']);
    }
  });
});

describe('the profile', () => {
  const other = { ...deviceTls, validity: { days: 30, backdateMinutes: 0 } };

  it('is one that the certificate was made by, byte for byte; another of its name says nothing', async () => {
    const stricter = new Map([[other.name, { ...other, hash: 'f'.repeat(64) }]]);
    expect(await relinted(good, { profiles: stricter })).toMatchObject({ isProfileDeployed: false, broken: [] });
    expect(await relinted(good, { profiles: new Map() })).toMatchObject({ isProfileDeployed: false, broken: [] });
  });

  it('is held to where it is the very one', async () => {
    expect(await brokenIn(good, { profiles: new Map([[other.name, other]]) })).toEqual([
      'validity-as-long-as-the-profile-says',
    ]);
  });

  it('is not what purposes wait for that no certificate has', async () => {
    const profile = { ...deviceTls, hash: '0'.repeat(64), extendedKeyUsage: ['clientAuth', '1.3.6.1.5.5.7.3.9'] };
    const row = issuedRow(ca, now, { profile });
    expect(await relinted(row)).toMatchObject({ isProfileDeployed: false });
    expect(await brokenIn(row)).toEqual(['extended-key-usage-of-an-end-entity']);
  });

  it('is not what the rules of every certificate wait for', async () => {
    const row = issuedRow(ca, now, {
      variables: { names: { ...names, subjectAltName: [{ kind: 'dNSName', value: 'a_b.example.com' }] } },
    });
    expect(await brokenIn(row, { profiles: new Map() })).toEqual(['subject-alt-names-of-their-forms']);
  });
});

describe('the key', () => {
  const spki = (algorithm: string, parameters: readonly Uint8Array[], key: Uint8Array): Uint8Array =>
    sequence(sequence(objectIdentifier(algorithm), ...parameters), bitString(key));
  const rsa = (modulus: Uint8Array, exponent: Uint8Array = Uint8Array.of(1, 0, 1)): Uint8Array =>
    spki(objectIdentifiers.rsaEncryption, [nullValue()], sequence(unsignedInteger(modulus), unsignedInteger(exponent)));
  const sound = bytesOf(soundModulus);
  const even = Uint8Array.from(sound);
  even[even.length - 1] = (even.at(-1) ?? 0) & 0xfe;
  const ofSmallFactor = Uint8Array.from({ length: 256 }, () => 0xff);
  const offTheCurve = Buffer.from(newSubjectPublicKeyInfo());
  offTheCurve[offTheCurve.length - 1] = (offTheCurve.at(-1) ?? 0) ^ 1;
  const secp256k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 });
  const der = { type: 'spki', format: 'der' } as const;
  const caKey = createPublicKey(ca.privateKey).export(der);

  const broken: readonly (readonly [rule: string, what: string, subjectPublicKeyInfo: Uint8Array])[] = [
    ['key-of-an-allowed-algorithm', 'RSASSA-PSS', pss.publicKey.export(der)],
    ['key-on-an-allowed-curve', 'secp256k1', secp256k1.publicKey.export(der)],
    ['key-not-too-small', '1024 bits', small.publicKey.export(der)],
    ['key-not-too-large', '8200 bits', rsa(new Uint8Array(1025).fill(0xff))],
    ['key-with-an-allowed-exponent', 'exponent 3', rsa(sound, Uint8Array.of(3))],
    ['key-valid-for-its-algorithm', 'an even modulus', rsa(even)],
    ['key-valid-for-its-algorithm', 'a point off the curve', offTheCurve],
    [
      'key-valid-for-its-algorithm',
      'a point of order 1',
      spki(objectIdentifiers.idEd25519, [], Buffer.alloc(32, 0).fill(1, 0, 1)),
    ],
    ['key-not-weak', 'a factor of 3', rsa(ofSmallFactor)],
    ['key-without-the-fingerprint-of-roca', 'a key of a chip', rsa(bytesOf(vulnerableModuli.rsa2048))],
    ['key-not-the-issuing-ca-s', "the CA's", caKey],
  ];

  it.each(broken)('breaks %s: %s, under its profile and without it', async (rule, _, subjectPublicKeyInfo) => {
    const row = issuedRow(ca, now, { subjectPublicKeyInfo });
    for (const profiles of [new Map([[deviceTls.name, deviceTls]]), new Map()]) {
      const found = await brokenIn(row, { profiles });
      expect(found.filter((name) => name.startsWith('key-') && !name.startsWith('key-usage'))).toEqual([rule]);
    }
  });

  it("is no other issuing CA's either", async () => {
    const other = makeIssuingCa({ issuerId: 'gateways', notBefore: new Date(now), notAfter: new Date(now + day) });
    const row = issuedRow(ca, now, { subjectPublicKeyInfo: createPublicKey(other.privateKey).export(der) });
    const both = relintIssuers([ca.issuer, other.issuer]).issuers;
    expect(await brokenIn(row, { issuers: both })).toEqual(['key-not-the-issuing-ca-s']);
  });

  it.each([
    ['P-256', newSubjectPublicKeyInfo()],
    ['P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export(der)],
    ['RSA 2048', rsa(sound)],
    ['Ed25519', generateKeyPairSync('ed25519').publicKey.export(der)],
  ])('that is sound breaks nothing: %s', async (_, subjectPublicKeyInfo) => {
    expect(await brokenIn(issuedRow(ca, now, { subjectPublicKeyInfo }))).toEqual([]);
  });

  it('is asked about, all of a batch in one call, and is broken where it is blocked', async () => {
    const keys = [newSubjectPublicKeyInfo(), newSubjectPublicKeyInfo()];
    const rows = keys.map((subjectPublicKeyInfo) => issuedRow(ca, now, { subjectPublicKeyInfo }));
    const [blocked = '', other = ''] = keys.map(spkiSha256Of);
    const asked: string[][] = [];
    const compromisedAmong = async (spkiSha256s: readonly string[]) => {
      asked.push([...spkiSha256s]);
      return new Set([blocked]);
    };
    const found = await relint([...rows, { ...good, state: 'rejected' }], requirementsWith({ compromisedAmong }));
    expect(asked).toEqual([[blocked, other]]);
    expect(found.map((one) => ('broken' in one ? one.broken.map(({ name }) => name) : one.passedOver))).toEqual([
      ['key-not-compromised'],
      [],
      'not-issued',
    ]);
  });
});

describe('passed over', () => {
  const expired = issuedRow(ca, now - 366 * day);
  const broken = { ...good, crlShard: 99 };

  it.each(['intent', 'rejected', 'abandoned', 'unknown'])('what holds no certificate: %s', async (state) => {
    expect(await relinted({ ...good, state })).toEqual({ passedOver: 'not-issued' });
  });

  it('what has ended, unless it is asked for; its last second counts', async () => {
    expect(await relinted(expired)).toEqual({ passedOver: 'expired' });
    expect(await brokenIn(expired, { withExpired: true })).toEqual([]);
    expect(await brokenIn(good, { now: () => good.notAfter ?? 0 })).toEqual([]);
    expect(await relinted(good, { now: () => (good.notAfter ?? 0) + 1 })).toEqual({ passedOver: 'expired' });
  });

  it('by the certificate’s end, and not by what its row says of it', async () => {
    expect(await brokenIn({ ...good, notAfter: now - day })).toEqual(['not-after-of-its-row']);
  });

  it('what is of an issuer that nobody knows', async () => {
    const { issuerId: _, ...without } = good;
    expect(await relinted({ ...good, issuerId: 'gateways' })).toEqual({ passedOver: 'issuer-unknown' });
    expect(await relinted(without)).toEqual({ passedOver: 'issuer-unknown' });
  });

  it('what is broken and revoked; of others it is not asked', async () => {
    const asked: unknown[] = [];
    const isRevoked = async (serial: unknown) => {
      asked.push(serial);
      return true;
    };
    expect(await relinted(broken, { isRevoked })).toEqual({ passedOver: 'revoked' });
    expect(asked).toEqual([{ issuerId: 'devices', crlShard: good.crlShard, serialNumber: good.serialNumber }]);
    expect(await brokenIn(good, { isRevoked })).toEqual([]);
    expect(asked).toHaveLength(1);
  });

  it('by what the certificate says, in the name of whoever signed it, and not by what its row says', async () => {
    const other = makeIssuingCa({
      issuerId: 'gateways',
      notBefore: new Date(now - day),
      notAfter: new Date(now + 3650 * day),
    });
    const both = relintIssuers([ca.issuer, other.issuer]).issuers;
    const rows = { serialNumber: '7f'.repeat(16), crlShard: 7, issuerId: 'gateways' };
    const ofRow = async ({ issuerId, crlShard, serialNumber }: AbandonedSerial) =>
      serialNumber === rows.serialNumber || crlShard === rows.crlShard || issuerId === rows.issuerId;
    const own = issuedRow(ca, now, { variables: { serialNumber: Buffer.from(`4a${'00'.repeat(14)}03`, 'hex') } });
    for (const change of Object.entries(rows)) {
      const record = { ...own, ...Object.fromEntries([change]) };
      expect(await brokenIn(record, { issuers: both, isRevoked: ofRow })).not.toEqual([]);
      const isRevoked = async (serial: AbandonedSerial) => !(await ofRow(serial));
      expect(await relinted(record, { issuers: both, isRevoked })).toEqual({ passedOver: 'revoked' });
    }
  });

  it('not what cannot be read: nobody can say that it is revoked', async () => {
    const isRevoked = async () => true;
    expect(await brokenIn({ ...good, certificate: Buffer.from('x') }, { isRevoked })).toEqual(['der']);
  });
});

describe('issuers', () => {
  it('are read as issuing reads them; one that is not as it must be does not hide the others', () => {
    const { crlShardCount: _, ...withoutShards } = ca.issuer;
    const found = relintIssuers([
      { ...ca.issuer, issuerId: 'a', certificate: undefined },
      { ...ca.issuer, issuerId: 'b', certificate: Uint8Array.of(1) },
      { ...ca.issuer, issuerId: 'c', baseUrl: 'https://ca.example.com/' },
      { ...withoutShards, issuerId: 'd' },
      { ...ca.issuer, issuerId: 'e', signatureAlgorithm: 'md5' },
      { ...ca.issuer, issuerId: 'f', signatureAlgorithm: 'rsa-pss-sha256' },
    ]);
    expect([...found.issuers.keys()]).toEqual(['f']);
    expect(found.issuers.get('f')?.scheme).toEqual({ algorithm: 'rsa-pss', hash: 'sha256' });
    expect(found.unusable.map(({ issuerId }) => issuerId)).toEqual(['a', 'b', 'c', 'd', 'e']);
    for (const { problem } of found.unusable) expect(problem).toMatch(/\.$/);
  });
});

it('the tally counts each certificate once, with each rule that it breaks, and tells CloudWatch of it', async () => {
  const tally = new RelintTally();
  const rows = [
    good,
    { ...good, state: 'intent' },
    { ...good, crlShard: 99 },
    { ...good, crlShard: 99, serialNumber: 'ab' },
    { ...good, profileHash: 'x' },
  ];
  for (const one of await relint(rows, requirementsWith())) tally.add(one);
  expect(tally).toMatchObject({ rows: 5, checked: 4, broken: 2, withoutProfile: 1 });
  expect(tally.passedOver).toEqual({ 'not-issued': 1, expired: 0, revoked: 0, 'issuer-unknown': 0 });
  expect(Object.fromEntries(tally.byRule)).toEqual({ 'crl-shard-of-its-row': 2, 'serial-number-of-its-row': 1 });
  expect(measureRelint(tally)).toEqual([
    { name: 'CertificatesRelinted', unit: 'Count', value: 4 },
    { name: 'CertificatesBroken', unit: 'Count', value: 2 },
  ]);
});

describe('a segment', () => {
  it.each([
    [0, 0.99, { segment: 0, totalSegments: 1 }],
    [1_499, 0.99, { segment: 0, totalSegments: 1 }],
    [1_500, 0.5, { segment: 1, totalSegments: 2 }],
    [10_000_000, 0, { segment: 0, totalSegments: 10_000 }],
    [10_000_000, 0.999_999, { segment: 9_999, totalSegments: 10_000 }],
    [1e12, 0.5, { segment: 500_000, totalSegments: 1_000_000 }],
  ])('of %i rows, by %d', (itemCount, random, segment) => {
    expect(segmentOf(itemCount, 1_000, random)).toEqual(segment);
  });
});
