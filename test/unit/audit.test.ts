import { describe, expect, it } from 'vitest';
import { bitString, sequence } from '../../shared/asn1/index.ts';
import { type TbsVariables, tbsTemplate } from '../../shared/issuance/tbs.ts';
import { crlShardOf, type Item } from '../../shared/ledger/index.ts';
import { algorithmIdentifier } from '../../shared/signer/index.ts';
import { type Audit, type AuditInput, audit, digestOfTbs, mustBeEmpty, tbsOf } from '../support/audit.ts';
import { newVariables, tbsIssuer } from '../support/linted.ts';
import { deviceTls } from '../support/profile.ts';

const template = tbsTemplate(tbsIssuer, deviceTls);

interface Attempt {
  readonly serialNumber: string;
  readonly crlShard: number;
  readonly tbsCertificate: Uint8Array;
  readonly digest: string;
}

function newAttempt(variables: TbsVariables = newVariables()): Attempt {
  const tbsCertificate = template(variables);
  const serialNumber = Buffer.from(variables.serialNumber).toString('hex');
  const crlShard = crlShardOf(serialNumber, tbsIssuer.crlShardCount);
  return { serialNumber, crlShard, tbsCertificate, digest: digestOfTbs(tbsCertificate) };
}

const certificateOf = ({ tbsCertificate }: Attempt, signature = 1): Uint8Array =>
  sequence(tbsCertificate, algorithmIdentifier(tbsIssuer.scheme), bitString(Uint8Array.of(signature)));

const attemptItem = ({ serialNumber, crlShard }: Attempt): Item => ({
  issuerId: { S: 'devices' },
  serialNumber: { S: serialNumber },
  crlShard: { N: String(crlShard) },
});

const row = (requestId: string, state: string, more: Item = {}): Item => ({
  deviceId: { S: 'device-1' },
  requestId: { S: requestId },
  state: { S: state },
  ...more,
});

const issuedRow = (requestId: string, attempt: Attempt): Item =>
  row(requestId, 'issued', { ...attemptItem(attempt), certificate: { B: certificateOf(attempt) } });

const abandonedList = (attempt: Attempt): Item => ({
  abandonedSerialNumbers: {
    L: [{ M: { ...attemptItem(attempt), tbsCertificate: { B: attempt.tbsCertificate } } }],
  },
});

const revocation = ({ crlShard, serialNumber }: Attempt): Item => ({
  issuerShard: { S: `devices#${crlShard}` },
  serialNumber: { S: serialNumber },
});

const [one, two, abandoned, unrecorded] = [newAttempt(), newAttempt(), newAttempt(), newAttempt()];
const request = (requestId: string) => ({ deviceId: 'device-1', requestId });

const reissued: Item = { ...issuedRow('2', two), ...abandonedList(abandoned) };
/** Two requests, one of them at its second attempt. */
const sound = {
  signatures: [one.digest, two.digest, abandoned.digest, 'c0ffee'],
  issuance: [issuedRow('1', one), reissued],
  revocations: [revocation(abandoned)],
  otherDigests: ['c0ffee'],
  requests: [request('1'), request('2')],
  deliveries: [
    { ...request('1'), certificate: certificateOf(one) },
    { ...request('1'), certificate: certificateOf(one) },
  ],
} satisfies AuditInput;

/** What it finds besides what is sound. */
function wrongIn(input: AuditInput): Partial<Audit> {
  const found = audit(input);
  return Object.fromEntries(Object.entries(found).filter(([, value]) => Array.isArray(value) && value.length > 0));
}

it('finds nothing wrong where nothing is', () => {
  expect(audit(sound)).toMatchObject({ issued: 2, rejected: 0, repeatedSignatures: 0 });
  expect(wrongIn(sound)).toEqual({});
});

it('counts signatures that were repeated, and lets them be', () => {
  const repeated = { ...sound, signatures: [...sound.signatures, one.digest, one.digest, abandoned.digest] };
  expect(audit(repeated).repeatedSignatures).toBe(3);
  expect(wrongIn(repeated)).toEqual({});
});

it('knows the TBS and the digest of a certificate', () => {
  expect(Buffer.from(tbsOf(certificateOf(one)))).toEqual(Buffer.from(one.tbsCertificate));
});

const wrong: readonly (readonly [string, Partial<AuditInput>, Partial<Audit>])[] = [
  [
    'a signature of no row',
    { signatures: [...sound.signatures, unrecorded.digest] },
    { signaturesWithoutRow: [unrecorded.digest] },
  ],
  ['a canary that is not accounted for', { otherDigests: [] }, { signaturesWithoutRow: ['c0ffee'] }],
  [
    'a certificate that nobody signed',
    { signatures: [two.digest, abandoned.digest, 'c0ffee'] },
    { issuedWithoutSignature: ['device-1/1'] },
  ],
  ['an abandoned attempt that is not revoked', { revocations: [] }, { abandonedNotRevoked: [abandoned.serialNumber] }],
  [
    'an abandoned attempt that is revoked in another shard than its certificate names',
    { revocations: [revocation({ ...abandoned, crlShard: abandoned.crlShard + 1 })] },
    { abandonedNotRevoked: [abandoned.serialNumber] },
  ],
  ['a request without a row', { requests: [...sound.requests, request('3')] }, { lost: ['device-1/3'] }],
  [
    'an open intent',
    {
      issuance: [
        ...sound.issuance,
        row('3', 'intent', { ...attemptItem(unrecorded), tbsCertificate: { B: unrecorded.tbsCertificate } }),
      ],
      requests: [...sound.requests, request('3')],
    },
    { lost: ['device-1/3'], rowsWithoutCertificate: ['device-1/3'] },
  ],
  [
    'two certificates of one request',
    { deliveries: [...sound.deliveries, { ...request('1'), certificate: certificateOf(one, 2) }] },
    { duplicateCertificates: ['device-1/1'] },
  ],
  [
    'a certificate of a request that has none',
    { deliveries: [{ ...request('3'), certificate: certificateOf(one) }] },
    { duplicateCertificates: ['device-1/3'] },
  ],
  [
    'a serial number of two rows',
    { issuance: [...sound.issuance, issuedRow('3', one)] },
    { duplicateSerials: [`devices#${one.serialNumber}`] },
  ],
  [
    'a row with the certificate of another',
    {
      issuance: [row('1', 'issued', { ...attemptItem(one), certificate: { B: certificateOf(two) } }), reissued],
      deliveries: [],
      signatures: [two.digest, abandoned.digest, 'c0ffee'],
    },
    { certificatesOfAnotherRow: ['device-1/1'] },
  ],
];

describe('finds', () => {
  it.each(wrong)('%s', (_, change, found) => {
    expect(wrongIn({ ...sound, ...change })).toEqual(found);
  });

  it('every kind of wrong in one of these', () => {
    const kinds = new Set(wrong.flatMap(([, , found]) => Object.keys(found)));
    expect([...kinds].sort()).toEqual([...mustBeEmpty, 'rowsWithoutCertificate'].sort());
  });
});

it('a request that was given up, or refused, is not lost', () => {
  const requests = [...sound.requests, request('3'), request('4')];
  const issuance = [...sound.issuance, row('4', 'rejected')];
  expect(wrongIn({ ...sound, requests, issuance, failures: [request('3')] })).toEqual({});
});

it('refuses an item that cannot be accounted for', () => {
  expect(() => audit({ ...sound, issuance: [row('1', 'issued')] })).toThrow('without its');
});
