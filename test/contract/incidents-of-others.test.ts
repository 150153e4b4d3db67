import { X509Certificate } from 'node:crypto';
import { GetItemCommand, QueryCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { lint } from '../../shared/issuance/lint.ts';
import { grantNames } from '../../shared/issuance/names.ts';
import type { Outcome, QueuedRequest } from '../../shared/issuance/outcome.ts';
import { lifetimeOf, type Profile, readProfile } from '../../shared/issuance/profile.ts';
import { crlUrl, newSerialNumber, tbsTemplate, validityOf, withoutEnd } from '../../shared/issuance/tbs.ts';
import { readTbsCertificate } from '../../shared/issuance/tbs-reader.ts';
import { Devices } from '../../shared/ledger/devices.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { type Audit, audit, digestOfTbs, mustBeEmpty, tbsOf } from '../support/audit.ts';
import { dNSName, newPrivateKey, readRequest, uniformResourceIdentifier } from '../support/csr.ts';
import { minute, queue, redelivered, startWorker, type Worker } from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { newVariables, tbsIssuer } from '../support/linted.ts';
import { deviceTls, deviceTlsYaml } from '../support/profile.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { updates } from '../support/wrapped-client.ts';

/** What went wrong at other certificate authorities, and what keeps it from going wrong here. */

const start = Date.parse('2026-11-22T12:00:00Z');

let store: Tables;
let ca: IssuingCa;
let devices: Devices;
let now: number;
let deviceCount = 0;

const newWorker = (profiles: readonly Profile[] = [deviceTls]): Worker =>
  startWorker({ tables: store, ca, profiles, now: () => now });

beforeAll(async () => {
  store = await startTables();
  ca = makeIssuingCa({ notBefore: new Date(start - 86_400_000), notAfter: new Date(start + 3650 * 86_400_000) });
  await new Issuers(store.client, tables.issuers).add(ca.issuer);
  devices = new Devices(store.client, tables.devices);
});

beforeEach(() => {
  now = start;
});

afterAll(() => store.close());

async function newDevice(state: 'active' | 'blocked' = 'active'): Promise<string> {
  const deviceId = `device-${++deviceCount}`;
  await devices.register({ deviceId, state });
  return deviceId;
}

async function row(deviceId: string) {
  const Key = { deviceId: { S: deviceId }, requestId: { S: 'request-1' } };
  return (await store.client.send(new GetItemCommand({ TableName: tables.issuance, Key, ConsistentRead: true }))).Item;
}

const scan = async (TableName: string) =>
  (await store.client.send(new ScanCommand({ TableName, ConsistentRead: true }))).Items ?? [];

const revocationsOf = async (serialNumber: string) =>
  (await scan(tables.revocations)).filter((item) => item.serialNumber?.S === serialNumber);

function certificateOf(outcome: Outcome | undefined): Uint8Array {
  if (outcome?.kind !== 'issued') throw new Error(`Not issued, but ${JSON.stringify(outcome)}`);
  return outcome.row.certificate;
}

/**
 * Let's Encrypt, 29 February 2020: of N names whose CAA records had to be looked at again before issuing, Boulder looked
 * at one, N times.
 * https://community.letsencrypt.org/t/2020-02-29-caa-rechecking-bug/114591
 */
describe("Let's Encrypt 2020: one name checked N times, instead of N names once", () => {
  const granted = [dNSName('device-1'), uniformResourceIdentifier('urn:dev:org:32473-device-1'), dNSName('DEVICE-1')];

  it.each([0, 1, 2, 3])('a CSR with a name that is not granted in place %i of four is refused for it', (place) => {
    const names = granted.toSpliced(place, 0, dNSName(`another-${place}.example`));
    const request = readRequest(newPrivateKey(), { names });
    expect(() => grantNames(deviceTls, 'device-1', request)).toThrow(
      expect.objectContaining({
        code: 'NAME_NOT_ALLOWED',
        message: expect.stringContaining(`another-${place}.example`),
      }),
    );
    expect(() => grantNames(deviceTls, 'device-1', readRequest(newPrivateKey(), { names: granted }))).not.toThrow();
  });

  it.each([0, 1, 2])(
    'of a batch, the device in place %i is refused and each other gets its own names',
    async (place) => {
      const deviceIds = await Promise.all([0, 1, 2].map((index) => newDevice(index === place ? 'blocked' : 'active')));
      const outcomes = await newWorker().issue(...deviceIds.map((deviceId) => queue(now, { deviceId })));
      for (const [index, deviceId] of deviceIds.entries()) {
        if (index === place) expect(outcomes[index]).toMatchObject({ kind: 'rejected', code: 'DEVICE_BLOCKED' });
        else expect(new X509Certificate(certificateOf(outcomes[index])).subject).toContain(`CN=${deviceId}`);
      }
    },
  );
});

/**
 * Let's Encrypt, until June 2021: notAfter was notBefore plus 90 days, but both ends belong to the validity (RFC 5280
 * section 4.1.2.5), which was one second too long.
 * https://bugzilla.mozilla.org/show_bug.cgi?id=1715455
 */
describe('bug 1715455: validity one second too long', () => {
  it('a certificate is valid for what its profile says, both ends included', async () => {
    now = start + 1; // not a whole second
    const [outcome] = await newWorker().issue(queue(now, { deviceId: await newDevice() }));
    const { notBefore, notAfter } = readTbsCertificate(tbsOf(certificateOf(outcome)));
    expect((notAfter - notBefore) / 1000 + 1).toBe(lifetimeOf(deviceTls.validity) / 1000);
  });

  it('a TBS that is one second longer, or shorter, is not let through to the signer', () => {
    const variables = newVariables();
    for (const seconds of [1, -1]) {
      const wrong = { ...variables, notAfter: variables.notAfter + seconds * 1000 };
      expect(() => lint(tbsTemplate(tbsIssuer, deviceTls)(wrong), tbsIssuer, deviceTls, wrong)).toThrow(
        expect.objectContaining({
          code: 'LINT_FAILED',
          message: expect.stringContaining('validity-as-long-as-the-profile-says'),
        }),
      );
    }
  });

  it('a second that was begun is none that is added', () => {
    for (const milliseconds of [0, 1, 500, 999]) {
      const { notBefore, notAfter } = validityOf(
        deviceTls,
        { notBefore: 0, notAfter: withoutEnd },
        start + milliseconds,
      );
      expect([notBefore % 1000, notAfter % 1000]).toEqual([0, 0]);
      expect((notAfter - notBefore) / 1000 + 1).toBe(lifetimeOf(deviceTls.validity) / 1000);
    }
  });
});

/**
 * Let's Encrypt, 15 June 2023: while a changed profile was being deployed, a precertificate was made under the old one
 * and the certificate, with the same serial number, under the new one. 645 serial numbers had two contents.
 * https://community.letsencrypt.org/t/2023-06-15-certificate-policies-extension-mismatch/200155
 */
describe("Let's Encrypt 15 June 2023: the profile changed between the intent and the signature", () => {
  it('what was recorded under the old profile is what is signed, and the row says under which', async () => {
    const changed = readProfile('device-tls.yaml', deviceTlsYaml.replace(/days: \d+/, 'days: 7'));
    expect(changed.hash).not.toBe(deviceTls.hash);
    expect(changed.validity.days).toBe(7);
    const deviceId = await newDevice();
    const message = queue(now, { deviceId });
    const [old, next] = [newWorker(), newWorker([changed])];
    old.signer.faults.push('unavailable');
    await old.issue(message);
    const intent = await row(deviceId);
    const recorded = intent?.tbsCertificate?.B ?? new Uint8Array();
    const [outcome] = await next.issue(redelivered(message));
    expect(Buffer.from(tbsOf(certificateOf(outcome)))).toEqual(Buffer.from(recorded));
    expect(await row(deviceId)).toMatchObject({ state: { S: 'issued' }, profileHash: { S: deviceTls.hash } });
    expect(new Set([...old.signer.calls, ...next.signer.calls].flat())).toEqual(new Set([digestOfTbs(recorded)]));
    // And what is recorded under the new one, is under the new one.
    const another = await newDevice();
    const [short] = await next.issue(queue(now, { deviceId: another }));
    const { notBefore, notAfter } = readTbsCertificate(tbsOf(certificateOf(short)));
    expect(notAfter - notBefore + 1000).toBe(7 * 86_400_000);
    expect(await row(another)).toMatchObject({ profileHash: { S: changed.hash } });
  });
});

/**
 * Let's Encrypt, August 2019: for 35 precertificates that were signed, but whose certificates were never made because of
 * an error, there was no status: the OCSP responder said "unauthorized".
 * https://bugzilla.mozilla.org/show_bug.cgi?id=1577652
 */
describe('bug 1577652: no status for what was signed but not issued', () => {
  it('a serial number whose signature was lost is found while it is open, then on the CRL that its TBS names', async () => {
    const deviceId = await newDevice();
    const message = queue(now, { deviceId });
    const worker = newWorker();
    worker.dynamoDB.fail(updates(tables.issuance, 'issued'), 'not-written');
    await worker.issue(message);
    expect(worker.signer.calls.flat()).toHaveLength(1);
    const serialNumber = (await row(deviceId))?.serialNumber?.S ?? '';
    const bySerial = new QueryCommand({
      TableName: tables.issuance,
      IndexName: 'bySerial',
      KeyConditionExpression: 'serialNumber = :serialNumber',
      ExpressionAttributeValues: { ':serialNumber': { S: serialNumber } },
    });
    expect((await store.client.send(bySerial)).Items).toMatchObject([{ deviceId: { S: deviceId } }]);
    expect(await revocationsOf(serialNumber)).toEqual([]);

    now += 15 * minute;
    worker.signer.faults.push('unavailable');
    await worker.issue(redelivered(message));
    const abandoned = (await row(deviceId))?.abandonedSerialNumbers?.L?.[0]?.M;
    const tbsCertificate = abandoned?.tbsCertificate?.B ?? new Uint8Array();
    expect(worker.signer.calls.flat()).toContain(digestOfTbs(tbsCertificate));
    const [revocation, ...more] = await revocationsOf(serialNumber);
    expect(more).toEqual([]);
    const [issuerId, shard] = revocation?.issuerShard?.S?.split('#') ?? [];
    const distributionPoint = readTbsCertificate(tbsCertificate).extensions.find(
      ({ extnID }) => extnID === '2.5.29.31',
    );
    const url = crlUrl({ ...tbsIssuer, issuerId: issuerId ?? '', baseUrl: ca.issuer.baseUrl }, Number(shard));
    expect(Buffer.from(distributionPoint?.extnValue ?? []).toString('latin1')).toContain(url);
  });
});

/**
 * EJBCA, until March 2019: 64 random bits, of which the top one was then cleared to keep the number positive, so that
 * millions of certificates of many authorities had 63 where 64 were asked for.
 * https://bugzilla.mozilla.org/show_bug.cgi?id=1534295
 */
describe('EJBCA 2019: serial numbers of 63 random bits', () => {
  it('127 bits of a serial number are random bits, each as it was drawn, and the top one is clear', () => {
    const drawn = Buffer.alloc(16, 0x5a);
    const bits = Array.from({ length: 128 }, (_, bit) => bit);
    const independent = bits.filter((bit) => {
      const flipped = Buffer.from(drawn);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
      const difference = newSerialNumber(() => flipped).map(
        (octet, index) => octet ^ (newSerialNumber(() => drawn)[index] ?? 0),
      );
      return Buffer.from(difference).equals(Buffer.from(flipped.map((octet, index) => octet ^ (drawn[index] ?? 0))));
    });
    expect(independent).toEqual(bits.slice(1));
    expect(newSerialNumber(() => Buffer.alloc(16, 0xff))[0]).toBe(0x7f);
  });

  it('a TBS with a serial number of 8 octets is not let through to the signer', () => {
    const short = { ...newVariables(), serialNumber: Buffer.alloc(8, 0x5a) };
    expect(() => lint(tbsTemplate(tbsIssuer, deviceTls)(short), tbsIssuer, deviceTls, short)).toThrow(
      expect.objectContaining({ message: expect.stringContaining('serial-number-of-16-octets-positive') }),
    );
  });
});

/**
 * Actalis, January 2025: a CRL had one serial number twice, because the table that CRLs are made from had two rows for
 * it, the precertificate's and the certificate's.
 * https://bugzilla.mozilla.org/show_bug.cgi?id=1943379
 */
describe('bug 1943379: two rows for one serial number', () => {
  it('an intent and its certificate are one row', async () => {
    const deviceId = await newDevice();
    const [outcome] = await newWorker().issue(queue(now, { deviceId }));
    const serialNumber = new X509Certificate(certificateOf(outcome)).serialNumber.toLowerCase();
    const rows = (await scan(tables.issuance)).filter((item) => item.serialNumber?.S === serialNumber);
    expect(rows).toMatchObject([{ deviceId: { S: deviceId }, state: { S: 'issued' } }]);
  });

  it('a serial number that several workers revoke is in the revocations once, as it was revoked first', async () => {
    const deviceId = await newDevice();
    const message = queue(now, { deviceId });
    const worker = newWorker();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    const serialNumber = (await row(deviceId))?.serialNumber?.S ?? '';
    now += 15 * minute;
    const others = [newWorker(), newWorker(), newWorker()];
    for (const other of others) other.signer.faults.push('unavailable');
    await Promise.all(others.map((other) => other.issue(redelivered(message))));
    const first = await revocationsOf(serialNumber);
    expect(first).toHaveLength(1);
    now += minute;
    await worker.issue(redelivered(message));
    now += 15 * minute;
    await worker.issue(redelivered(message));
    expect(await revocationsOf(serialNumber)).toEqual(first);
  });
});

/**
 * Certainly, April 2026: under the load of a capacity test 5,868 certificates were issued without some or all of their
 * audit log entries, because these went through a socket that was full, and issuing went on without them.
 * https://bugzilla.mozilla.org/show_bug.cgi?id=2052085
 */
describe('bug 2052085: issued without an audit entry under load', () => {
  const batchOf = async (count: number): Promise<QueuedRequest[]> =>
    Promise.all(Array.from({ length: count }, async () => queue(now, { deviceId: await newDevice() })));

  async function audited(workers: readonly Worker[], messages: readonly QueuedRequest[]): Promise<Audit> {
    const requests = messages.map(({ body }) => JSON.parse(body) as { deviceId: string; requestId: string });
    const issuance = (await scan(tables.issuance)).filter((item) =>
      requests.some(({ deviceId }) => deviceId === item.deviceId?.S),
    );
    const revocations = await scan(tables.revocations);
    const signatures = workers.flatMap(({ signer }) => signer.calls.flat());
    return audit({ signatures, issuance, revocations, requests });
  }

  it('what could not be written down is not signed, and nothing is signed that was not', async () => {
    const messages = await batchOf(24);
    const workers = [newWorker(), newWorker(), newWorker()];
    // The entry is the row: every third write of one fails, done or not, which the worker cannot know.
    for (const { dynamoDB } of workers) {
      let writes = 0;
      const isThird = (command: object) => updates(tables.issuance, 'intent')(command) && ++writes % 3 === 0;
      dynamoDB.fail(isThird, 'not-written', 2);
      dynamoDB.fail(isThird, 'reply-lost', 2);
    }
    const parts = workers.map((_, index) => messages.slice(index * 8, index * 8 + 8));
    const outcomes = (await Promise.all(workers.map((worker, index) => worker.issue(...(parts[index] ?? []))))).flat();
    const unwritten = outcomes.filter(({ kind }) => kind === 'retry');
    expect(unwritten.length).toBeGreaterThan(0);
    expect(workers.flatMap(({ signer }) => signer.calls.flat())).toHaveLength(messages.length - unwritten.length);
    expect(await audited(workers, messages)).toMatchObject({ signaturesWithoutRow: [], issuedWithoutSignature: [] });

    const last = newWorker();
    await last.issue(...messages.map(redelivered));
    const found = await audited([...workers, last], messages);
    expect(found).toMatchObject({ issued: messages.length, rowsWithoutCertificate: [], repeatedSignatures: 0 });
    for (const name of mustBeEmpty) expect(found[name]).toEqual([]);
  });

  it('a signature that is in no row is found', async () => {
    const messages = await batchOf(2);
    const worker = newWorker();
    await worker.issue(...messages);
    const unrecorded = newVariables();
    await worker.signer.sign(
      [Buffer.from(digestOfTbs(tbsTemplate(tbsIssuer, deviceTls)(unrecorded)), 'hex')],
      now + minute,
    );
    expect((await audited([worker], messages)).signaturesWithoutRow).toEqual([worker.signer.calls.at(-1)?.[0]]);
  });
});
