import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { type AttributeValue, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nullValue, objectIdentifier, octetString, sequence } from '../../shared/asn1/der-writer.ts';
import { readIssuerCertificate } from '../../shared/issuance/issuer-certificate.ts';
import type { Outcome, QueuedRequest } from '../../shared/issuance/outcome.ts';
import type { Profile } from '../../shared/issuance/profile.ts';
import { reconcile } from '../../shared/issuance/reconcile.ts';
import { unreadableRequestHashOf } from '../../shared/issuance/request-hash.ts';
import { newSerialNumber, subjectKeyIdentifierOf, tbsTemplate } from '../../shared/issuance/tbs.ts';
import { readTbsCertificate } from '../../shared/issuance/tbs-reader.ts';
import { Devices } from '../../shared/ledger/devices.ts';
import { keyOf, type StandingRow } from '../../shared/ledger/issuance.ts';
import { IssuerNameRecords } from '../../shared/ledger/issuer-name-records.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { OpenIntents } from '../../shared/ledger/open-intents.ts';
import { crlShardOf } from '../../shared/ledger/revocations.ts';
import type { IntentRow } from '../../shared/ledger/row.ts';
import { decode, encode, type Tree } from '../fixtures/csr/tree.ts';
import { dNSName, makeRequest, newPrivateKey } from '../support/csr.ts';
import { base64, minute, queue, redelivered, startWorker, type Worker } from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTls } from '../support/profile.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { updates } from '../support/wrapped-client.ts';

const start = Date.parse('2026-11-22T12:00:00Z');
const day = 86_400_000;
const patience = 3 * minute;
const der = { type: 'spki', format: 'der' } as const;
/** Of no profile that there ever was. */
const nobodysHash = '0'.repeat(64);

const registered: Profile = {
  ...deviceTls,
  name: 'registered',
  subjectAltName: { always: [], onRequest: [], registered: 'always' },
};
const clamped: Profile = {
  ...deviceTls,
  name: 'clamped',
  issuer: 'ending',
  validity: { ...deviceTls.validity, beyondIssuer: 'clamp' },
};
const profiles = [deviceTls, registered, clamped];

let store: Tables;
let ca: IssuingCa;
let gateways: IssuingCa;
let ending: IssuingCa;
let now: number;
let devices = 0;
let worker: Worker;

const newWorker = (deployed: readonly Profile[] = profiles): Worker =>
  startWorker({ tables: store, ca, otherCas: [gateways, ending], profiles: deployed, now: () => now });

beforeAll(() => {
  const validity = { notBefore: new Date(start - day), notAfter: new Date(start + 10 * 365 * day) };
  ca = makeIssuingCa(validity);
  gateways = makeIssuingCa({ ...validity, issuerId: 'gateways' });
  ending = makeIssuingCa({ ...validity, issuerId: 'ending', notAfter: new Date(start + 2 * minute) });
});

// A store for each test: a run of reconcile looks at every intent that there is.
beforeEach(async () => {
  store = await startTables();
  for (const { issuer } of [ca, gateways, ending]) await new Issuers(store.client, tables.issuers).add(issuer);
  now = start;
  worker = newWorker();
  return () => store.close();
});

interface Left {
  readonly intent: IntentRow;
  readonly message: QueuedRequest;
}

interface Request {
  readonly profile?: string;
  readonly csr?: string;
  readonly allowedNames?: readonly string[];
}

const register = (deviceId: string, more: { allowedNames?: readonly string[] } = {}) =>
  new Devices(store.client, tables.devices).register({ deviceId, state: 'active', ...more });

/** An intent of a device that no other test uses, whose worker ended before it had stored what it signed. */
async function leaveIntent({ allowedNames, ...request }: Request = {}): Promise<Left> {
  const deviceId = `attacker-${++devices}`;
  await register(deviceId, allowedNames === undefined ? {} : { allowedNames });
  const message = queue(now, { deviceId, ...request });
  const ended = newWorker();
  ended.dynamoDB.fail(updates(tables.issuance, 'issued'), 'not-written');
  await ended.issue(message);
  const row = await standing(deviceId);
  if (row?.state !== 'intent') throw new Error(`not an intent: ${JSON.stringify(row)}`);
  return { intent: row, message };
}

const standing = async (deviceId: string): Promise<StandingRow | undefined> => {
  const key = { deviceId, requestId: 'request-1' };
  return (await worker.authority.ledger.read([key])).get(keyOf(key));
};

/** What whoever can write to the table can do. */
async function write({ intent: { deviceId, requestId } }: Left, attributes: Readonly<Record<string, AttributeValue>>) {
  const entries = Object.entries(attributes);
  await store.client.send(
    new UpdateItemCommand({
      TableName: tables.issuance,
      Key: { deviceId: { S: deviceId }, requestId: { S: requestId } },
      UpdateExpression: `SET ${entries.map((_, index) => `#a${index} = :a${index}`).join(', ')}`,
      ExpressionAttributeNames: Object.fromEntries(entries.map(([name], index) => [`#a${index}`, name])),
      ExpressionAttributeValues: Object.fromEntries(entries.map(([, value], index) => [`:a${index}`, value])),
    }),
  );
}

/**
 * By its message that comes again, or without it.
 * @returns what became of the attempt, and why; what is signed instead of it is another one
 */
const ways = {
  redelivery: async ({ message, intent }: Left, by: Worker = newWorker()): Promise<string | undefined> => {
    let abandoned: string | undefined;
    by.dynamoDB.before(updates(tables.issuance, 'intent'), async () => {
      abandoned = reasonIn(await standing(intent.deviceId));
    });
    await by.issue(redelivered(message));
    const row = await standing(intent.deviceId);
    const isSigned = row?.state === 'issued' && row.serialNumber === intent.serialNumber;
    return isSigned ? 'signed' : (abandoned ?? reasonIn(row));
  },
  reconcile: async ({ intent }: Left, by: Worker = newWorker()): Promise<string | undefined> => {
    now += patience;
    await reconcile({
      authority: by.authority,
      openIntents: new OpenIntents(store.client, tables.issuance),
      patience,
      firstShard: 0,
      deadline: now + 40_000,
    });
    const row = await standing(intent.deviceId);
    return row?.state === 'issued' ? 'signed' : reasonIn(row);
  },
};

const reasonIn = (row: StandingRow | undefined): string | undefined =>
  row?.state === 'abandoned' ? row.abandonReason : row?.state;

const bothWays = Object.keys(ways) as (keyof typeof ways)[];

/** The same text in another place of the TBS, of the same length, so that no length changes. */
function replaceText(tbsCertificate: Uint8Array, text: string, by: string): Uint8Array {
  expect(by).toHaveLength(text.length);
  const bytes = Buffer.from(tbsCertificate);
  expect(bytes.includes(text)).toBe(true);
  return Buffer.from(bytes.toString('latin1').replaceAll(text, by), 'latin1');
}

/** With its fields (RFC 5280 section 4.1) as `change` makes them. */
function withFields(tbsCertificate: Uint8Array, change: (fields: readonly Tree[]) => readonly Tree[]): Uint8Array {
  const tree = decode(Buffer.from(tbsCertificate));
  if (!('children' in tree)) throw new Error('no SEQUENCE');
  return encode({ ...tree, children: change(tree.children) });
}

const tree = (element: Uint8Array): Tree => decode(Buffer.from(element));

/** With another extension in the place of one, after all where there is none, or without it. */
function withExtension(tbsCertificate: Uint8Array, extnID: string, extnValue: Uint8Array | undefined): Uint8Array {
  const { extensions } = readTbsCertificate(tbsCertificate);
  const place = extensions.findIndex((each) => each.extnID === extnID);
  const written = extnValue === undefined ? [] : [tree(sequence(objectIdentifier(extnID), octetString(extnValue)))];
  return withFields(tbsCertificate, (fields) => {
    const [explicit] = fields.slice(-1);
    const [list] = explicit !== undefined && 'children' in explicit ? explicit.children : [];
    if (explicit === undefined || list === undefined || !('children' in list)) throw new Error('no extensions');
    const changed = list.children.toSpliced(place < 0 ? list.children.length : place, place < 0 ? 0 : 1, ...written);
    return [...fields.slice(0, -1), { ...explicit, children: [{ ...list, children: changed }] }];
  });
}

function withKey(tbsCertificate: Uint8Array, subjectPublicKeyInfo: Uint8Array): Uint8Array {
  const identifier = octetString(subjectKeyIdentifierOf(subjectPublicKeyInfo));
  const ofKey = withExtension(tbsCertificate, '2.5.29.14', identifier);
  return withFields(ofKey, (fields) => fields.with(6, tree(subjectPublicKeyInfo)));
}

const purposes = (...keyPurposes: readonly string[]): Uint8Array => sequence(...keyPurposes.map(objectIdentifier));

type Tampering = (intent: IntentRow) => Readonly<Record<string, AttributeValue>>;

const tbsAs =
  (change: (tbsCertificate: Uint8Array, intent: IntentRow) => Uint8Array, profileHash?: string): Tampering =>
  (intent) => ({
    tbsCertificate: { B: change(intent.tbsCertificate, intent) },
    ...(profileHash === undefined ? {} : { profileHash: { S: profileHash } }),
  });

/** As long as the device's id, and another's. */
const victimOf = ({ deviceId }: IntentRow): string => 'victim-999999999'.slice(0, deviceId.length);

const tamperings: readonly (readonly [what: string, reason: string, tampering: Tampering])[] = [
  [
    "another device's names",
    'lint-failed',
    tbsAs((tbs, intent) => replaceText(tbs, intent.deviceId, victimOf(intent))),
  ],
  [
    "another device's names, of a profile that is not deployed",
    'no-longer-granted',
    tbsAs((tbs, intent) => replaceText(tbs, intent.deviceId, victimOf(intent)), nobodysHash),
  ],
  [
    "another device's URN alone",
    'lint-failed',
    tbsAs((tbs, intent) => replaceText(tbs, `32473-${intent.deviceId}`, `32473-${victimOf(intent)}`)),
  ],
  [
    "another device's DNS name besides",
    'lint-failed',
    tbsAs((tbs, intent) => {
      const [urn] = readTbsCertificate(tbs).extensions.filter(({ extnID }) => extnID === '2.5.29.17');
      const names = tree(urn?.extnValue ?? new Uint8Array());
      if (!('children' in names)) throw new Error('no names');
      const both = encode({ ...names, children: [...names.children, tree(dNSName(victimOf(intent)))] });
      return withExtension(tbs, '2.5.29.17', both);
    }),
  ],
  [
    'every purpose, and that of an OCSP responder, of a profile that is not deployed',
    'lint-failed',
    tbsAs(
      (tbs) => withExtension(tbs, '2.5.29.37', purposes('1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.9', '2.5.29.37.0')),
      nobodysHash,
    ),
  ],
  [
    'no purposes, which is all of them, of a profile that is not deployed',
    'lint-failed',
    tbsAs((tbs) => withExtension(tbs, '2.5.29.37', undefined), nobodysHash),
  ],
  [
    "a purpose that is not its profile's, of a profile that is not deployed",
    'no-longer-granted',
    tbsAs((tbs) => withExtension(tbs, '2.5.29.37', purposes('1.3.6.1.5.5.7.3.1')), nobodysHash),
  ],
  [
    'an extension that makes a proxy of its holder, of a profile that is not deployed',
    'lint-failed',
    tbsAs((tbs) => withExtension(tbs, '1.3.6.1.5.5.7.1.14', nullValue()), nobodysHash),
  ],
  [
    'no word of where a revocation is told, of a profile that is not deployed',
    'lint-failed',
    tbsAs((tbs) => withExtension(tbs, '2.5.29.31', undefined), nobodysHash),
  ],
  [
    "an issuing CA's key",
    'lint-failed',
    tbsAs((tbs) => withKey(tbs, new X509Certificate(gateways.issuer.certificate).publicKey.export(der))),
  ],
  [
    'a key that no profile takes, of a profile that is not deployed',
    'lint-failed',
    tbsAs(
      (tbs) => withKey(tbs, generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export(der)),
      nobodysHash,
    ),
  ],
  [
    'a certificate of another issuing CA',
    'no-longer-granted',
    ({ deviceId, tbsCertificate }) => {
      const { certificate, baseUrl, crlShardCount } = gateways.issuer;
      const issuer = {
        issuerId: 'gateways',
        certificate: readIssuerCertificate('gateways', certificate),
        scheme: { algorithm: 'rsa-pss', hash: 'sha256' },
        baseUrl,
        crlShardCount,
      } as const;
      const { notBefore, notAfter, subjectPublicKeyInfo } = readTbsCertificate(tbsCertificate);
      const serialNumber = newSerialNumber(randomBytes);
      const names = {
        subject: [
          { type: 'organizationName', value: 'Mintmark devices' },
          { type: 'commonName', value: deviceId },
        ],
        subjectAltName: [{ kind: 'uniformResourceIdentifier', value: `urn:dev:org:32473-${deviceId}` }],
        ignored: [],
      } as const;
      const written = { serialNumber, notBefore, notAfter, names, subjectPublicKeyInfo };
      const hex = Buffer.from(serialNumber).toString('hex');
      return {
        issuerId: { S: 'gateways' },
        serialNumber: { S: hex },
        crlShard: { N: String(crlShardOf(hex, crlShardCount)) },
        tbsCertificate: { B: tbsTemplate(issuer, deviceTls)(written) },
      };
    },
  ],
];

describe.each(bothWays)('by %s', (way) => {
  it.each(tamperings)('what somebody wrote into an intent is not signed: %s', async (_, reason, tampering) => {
    const left = await leaveIntent();
    await write(left, tampering(left.intent));
    const changed = await standing(left.intent.deviceId);
    if (changed?.state !== 'intent') throw new Error('not an intent');
    expect(await ways[way]({ ...left, intent: changed })).toBe(reason);
    const { revocations } = worker.authority;
    expect(await revocations.isRevoked(changed)).toBe(true);
  });

  it('an intent of another profile than the message names, or the row, is not signed', async () => {
    const left = await leaveIntent();
    await write(left, { profile: { S: 'registered' } });
    // Without a message the row's word is all there is: the device is granted other names by that profile.
    expect(await ways[way](left)).toBe(way === 'redelivery' ? 'lint-failed' : 'no-longer-granted');
  });

  it('what was asked for and granted is signed, as it was recorded', async () => {
    const deviceId = `attacker-${devices + 1}`;
    const csr = base64(makeRequest(newPrivateKey(), { names: [dNSName(deviceId.toUpperCase())] }));
    const left = await leaveIntent({ csr });
    expect(await ways[way](left)).toBe('signed');
    const row = await standing(deviceId);
    const { subjectAltName } = new X509Certificate(row?.state === 'issued' ? row.certificate : '');
    expect(subjectAltName).toBe(`URI:urn:dev:org:32473-${deviceId}, DNS:${deviceId}`);
  });

  it('what a changed profile grants no more is not signed; what it grants is, as it was recorded', async () => {
    const hash = 'f'.repeat(64);
    const wider: Profile = { ...deviceTls, hash, extendedKeyUsage: ['clientAuth', 'serverAuth'] };
    const narrower: Profile = { ...deviceTls, hash, extendedKeyUsage: ['serverAuth'] };
    const renamed: Profile = { ...deviceTls, hash, subject: [{ commonName: '{deviceId}' }] };
    expect(await ways[way](await leaveIntent(), newWorker([wider]))).toBe('signed');
    for (const profile of [narrower, renamed]) {
      expect(await ways[way](await leaveIntent(), newWorker([profile]))).toBe('no-longer-granted');
    }
  });

  it('names that the registration has no more are not signed', async () => {
    const request = { profile: 'registered', allowedNames: ['DNS:a.example.com', 'DNS:b.example.com'] };
    expect(await ways[way](await leaveIntent(request))).toBe('signed');
    const left = await leaveIntent(request);
    await register(left.intent.deviceId, { allowedNames: ['DNS:a.example.com'] });
    expect(await ways[way](left)).toBe('no-longer-granted');
  });

  it('an issuing CA whose name leads to another since signs what is open; not after the next change', async () => {
    const names = new IssuerNameRecords(store.client, tables.issuers);
    const [first, second] = [await leaveIntent(), await leaveIntent()];
    await names.point('devices', 'gateways', undefined, now);
    expect(await ways.redelivery(first)).toBe('signed');
    await names.point('devices', 'ending', (await names.list()).names[0], now);
    expect(await ways[way](second)).toBe('no-longer-granted');
  });

  it('a certificate whose end came meanwhile is not signed', async () => {
    const left = await leaveIntent({ profile: 'clamped' });
    now = left.intent.notAfter;
    await ways[way](left);
    const row = await standing(left.intent.deviceId);
    expect(row).toMatchObject({ state: 'abandoned', abandonReason: 'validity-ended' });
  });
});

describe('by its message', () => {
  it('another key than that of the CSR is not signed, nor are names that it did not ask for', async () => {
    const [ofKey, ofName] = [await leaveIntent(), await leaveIntent()];
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export(der);
    await write(ofKey, tbsAs((tbs) => withKey(tbs, key))(ofKey.intent));
    expect(await ways.redelivery(ofKey)).toBe('lint-failed');
    const { deviceId, tbsCertificate } = ofName.intent;
    const [urn] = readTbsCertificate(tbsCertificate).extensions.filter(({ extnID }) => extnID === '2.5.29.17');
    const names = tree(urn?.extnValue ?? new Uint8Array());
    if (!('children' in names)) throw new Error('no names');
    const both = encode({ ...names, children: [...names.children, tree(dNSName(deviceId))] });
    await write(ofName, { tbsCertificate: { B: withExtension(tbsCertificate, '2.5.29.17', both) } });
    expect(await ways.redelivery(ofName)).toBe('lint-failed');
  });

  it('the hash of a CSR that cannot be read opens no intent', async () => {
    const left = await leaveIntent();
    const message = queue(now, { deviceId: left.intent.deviceId, csr: 'AAAA' });
    await write(left, { requestHash: { S: unreadableRequestHashOf('AAAA', 'device-tls') } });
    const [outcome]: readonly (Outcome | undefined)[] = await worker.issue(message);
    expect(outcome).toMatchObject({ kind: 'rejected', code: 'CSR_NOT_DECODABLE' });
    expect(worker.signer.calls).toEqual([]);
  });
});
