import { createHash, X509Certificate } from 'node:crypto';
import {
  BatchGetItemCommand,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  ScanCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DerReader } from '../../shared/asn1/der-reader.ts';
import { boolean, contextConstructed, objectIdentifier, octetString, sequence } from '../../shared/asn1/der-writer.ts';
import { SignerPausedError } from '../../shared/breaker/paused.ts';
import { absentRecord } from '../../shared/breaker/record.ts';
import { type FailureClass, MintmarkError } from '../../shared/errors.ts';
import { issueBatch } from '../../shared/issuance/issue-batch.ts';
import type { LintedTbsCertificate } from '../../shared/issuance/lint.ts';
import type { Outcome, QueuedRequest } from '../../shared/issuance/outcome.ts';
import type { Profile } from '../../shared/issuance/profile.ts';
import type { Item } from '../../shared/ledger/attributes.ts';
import { Devices } from '../../shared/ledger/devices.ts';
import { Failures } from '../../shared/ledger/failures.ts';
import { IssuanceLedger } from '../../shared/ledger/issuance.ts';
import { Issuers } from '../../shared/ledger/issuers.ts';
import { Revocations } from '../../shared/ledger/revocations.ts';
import { digestOfTbs } from '../support/audit.ts';
import { makeRequest, newPrivateKey } from '../support/csr.ts';
import { base64, minute, queue, redelivered, startWorker, type Worker } from '../support/issuing.ts';
import { type IssuingCa, makeIssuingCa } from '../support/issuing-ca.ts';
import { deviceTls } from '../support/profile.ts';
import { sumOfSigned } from '../support/signed-counts.ts';
import { startTables, type Tables, tables } from '../support/tables.ts';
import { updates } from '../support/wrapped-client.ts';

const start = Date.parse('2026-11-22T12:00:00Z');
const day = '2026-11-22';
const restricted: Profile = { ...deviceTls, name: 'restricted', allowedSenders: ['AROAEXAMPLEOTHERID'] };
const retired: Profile = { ...deviceTls, name: 'retired', issuer: 'retired' };
const expiring: Profile = { ...deviceTls, name: 'expiring', issuer: 'expiring' };
const nobodys: Profile = { ...deviceTls, name: 'nobodys', issuer: 'nobody' };
const profiles = [deviceTls, restricted, retired, expiring, nobodys];

const nothing = new Uint8Array();

let store: Tables;
let ca: IssuingCa;
let now: number;
let devices: number;
let worker: Worker;

const anotherWorker = (): Worker => startWorker({ tables: store, ca, profiles, now: () => now });

beforeAll(async () => {
  store = await startTables();
  ca = makeIssuingCa({ notBefore: new Date(start - 86_400_000), notAfter: new Date(start + 10 * 365 * 86_400_000) });
  const soon = { notBefore: new Date(start - 86_400_000), notAfter: new Date(start + 364 * 86_400_000) };
  const issuers = new Issuers(store.client, tables.issuers);
  await issuers.add(ca.issuer);
  await issuers.add({ ...ca.issuer, issuerId: 'retired', state: 'retired' });
  await issuers.add({ ...makeIssuingCa(soon).issuer, issuerId: 'expiring' });
  devices = 0;
});

beforeEach(() => {
  now = start;
  worker = anotherWorker();
});

afterAll(() => store.close());

/** Whose abandoning is always too late, with the row as it was: as where others write it again and again. */
class NeverAbandoning extends IssuanceLedger<LintedTbsCertificate> {
  override abandon(): ReturnType<IssuanceLedger['abandon']> {
    return Promise.resolve({ done: false });
  }
}

const register = (deviceId: string, more: { state?: 'active' | 'blocked'; allowedSenders?: readonly string[] } = {}) =>
  new Devices(store.client, tables.devices).register({ deviceId, state: 'active', ...more });

/** A registered device that no other test uses. */
async function newDevice(more: Parameters<typeof register>[1] = {}): Promise<string> {
  const deviceId = `device-${++devices}`;
  await register(deviceId, more);
  return deviceId;
}

/** A message of a new device, and the device's id. */
async function newMessage(
  attributes: Partial<QueuedRequest> = {},
): Promise<{ deviceId: string; message: QueuedRequest }> {
  const deviceId = await newDevice();
  return { deviceId, message: queue(now, { deviceId }, attributes) };
}

async function row(deviceId: string, requestId = 'request-1') {
  const Key = { deviceId: { S: deviceId }, requestId: { S: requestId } };
  return (await store.client.send(new GetItemCommand({ TableName: tables.issuance, Key, ConsistentRead: true }))).Item;
}

async function rowsOf(deviceId: string): Promise<number> {
  const command = new QueryCommand({
    TableName: tables.issuance,
    KeyConditionExpression: 'deviceId = :deviceId',
    ExpressionAttributeValues: { ':deviceId': { S: deviceId } },
  });
  return (await store.client.send(command)).Count ?? 0;
}

async function failureOf({ messageId }: QueuedRequest, failureClass: FailureClass) {
  const listed = await new Failures(store.client, tables.failures).list(failureClass, day);
  return listed.find((failure) => failure.messageId === messageId);
}

async function isRevoked(serialNumber: string): Promise<boolean> {
  const { Items: items = [] } = await store.client.send(new ScanCommand({ TableName: tables.revocations }));
  return items.some((item) => item.serialNumber?.S === serialNumber);
}

const kinds = (outcomes: readonly Outcome[]): string[] =>
  outcomes.map((outcome) =>
    outcome.kind === 'retry' ? outcome.error.code : 'code' in outcome ? outcome.code : outcome.kind,
  );

function issued(outcome: Outcome | undefined) {
  if (outcome?.kind !== 'issued') throw new Error(`not issued: ${JSON.stringify(outcome)}`);
  return outcome.row;
}

const tbsOf = (certificate: Uint8Array): Uint8Array => DerReader.ofInput(certificate).readSequence().readElement();

const signedDigests = (...workers: readonly Worker[]): string[] => workers.flatMap(({ signer }) => signer.calls.flat());

/** The one certificate in a row, after checking that it is one of the CA, and that nothing else was signed for it. */
async function onlyCertificateOf(deviceId: string, ...workers: readonly Worker[]): Promise<X509Certificate> {
  const item = await row(deviceId);
  const der = item?.certificate?.B;
  if (item?.state?.S !== 'issued' || der === undefined) throw new Error(`${deviceId} has no certificate`);
  const certificate = new X509Certificate(der);
  expect(certificate.serialNumber.toLowerCase()).toBe(item.serialNumber?.S);
  expect(certificate.verify(new X509Certificate(ca.issuer.certificate).publicKey)).toBe(true);
  const digest = createHash('sha256').update(tbsOf(der)).digest('hex');
  expect(new Set(signedDigests(...workers))).toEqual(new Set([digest]));
  return certificate;
}

describe('a batch', () => {
  it('issues what is good and answers each message in its place', async () => {
    const good = await Promise.all(Array.from({ length: 9 }, () => newMessage()));
    const bad = queue(now, { deviceId: good[0]?.deviceId ?? '' }, { body: 'not JSON' });
    const batch = [
      ...good.slice(0, 4).map(({ message }) => message),
      bad,
      ...good.slice(4).map(({ message }) => message),
    ];
    const outcomes = await worker.issue(...batch);
    expect(kinds(outcomes)).toEqual(batch.map((message) => (message === bad ? 'MESSAGE_NOT_JSON' : 'issued')));
    const answered = batch.flatMap((message, index) => (message === bad ? [] : [issued(outcomes[index]).deviceId]));
    expect(answered).toEqual(good.map(({ deviceId }) => deviceId));
    expect(worker.signer.calls.map((call) => call.length)).toEqual([9]);
    expect(worker.announced).toHaveLength(9);
    expect(await failureOf(bad, 'unreadable')).toMatchObject({ code: 'MESSAGE_NOT_JSON', body: 'not JSON', tries: 1 });
  });

  it('issues to others when one CSR is bad and one row cannot be read', async () => {
    const [good, badCsr, badRow] = await Promise.all([newMessage(), newDevice(), newMessage()]);
    const item = { deviceId: { S: badRow.deviceId }, requestId: { S: 'request-1' }, state: { S: 'levitating' } };
    await store.client.send(new PutItemCommand({ TableName: tables.issuance, Item: item }));
    const outcomes = await worker.issue(good.message, queue(now, { deviceId: badCsr, csr: 'AAAA' }), badRow.message);
    expect(kinds(outcomes)).toEqual(['issued', 'CSR_NOT_DECODABLE', 'INTERNAL']);
  });

  it('issues to others when one device is registered in a way that cannot be read', async () => {
    const good = await newMessage();
    await store.client.send(new PutItemCommand({ TableName: tables.devices, Item: { deviceId: { S: 'stateless' } } }));
    const outcomes = await worker.issue(queue(now, { deviceId: 'stateless' }), good.message);
    expect(kinds(outcomes)).toEqual(['INTERNAL', 'issued']);
  });

  it('makes one certificate of a message that is in it three times', async () => {
    const { deviceId, message } = await newMessage();
    const outcomes = await worker.issue(message, redelivered(message), redelivered(message));
    expect(new Set(outcomes.map((outcome) => base64(issued(outcome).certificate))).size).toBe(1);
    await onlyCertificateOf(deviceId, worker);
    expect(signedDigests(worker)).toHaveLength(1);
    expect(worker.announced).toHaveLength(3);
  });

  it('answers an empty batch', async () => {
    expect(await worker.issue()).toEqual([]);
  });

  it('works a message that came back often last and alone', async () => {
    const [first, suspect, second, otherSuspect] = await Promise.all([
      newMessage(),
      newMessage({ receiveCount: 20 }),
      newMessage({ receiveCount: 19 }),
      newMessage({ receiveCount: 99 }),
    ]);
    const batch = [first, suspect, second, otherSuspect];
    const outcomes = await worker.issue(...batch.map(({ message }) => message));
    expect(kinds(outcomes)).toEqual(['issued', 'issued', 'issued', 'issued']);
    expect(worker.signer.calls.map((call) => call.length)).toEqual([2, 1, 1]);
    const announced = worker.announced.map((outcome) => issued(outcome).deviceId);
    expect(announced).toEqual([first, second, suspect, otherSuspect].map(({ deviceId }) => deviceId));
  });
});

describe('the same request', () => {
  it('has one certificate when three workers get it at once', async () => {
    const { deviceId, message } = await newMessage();
    const workers = [worker, anotherWorker(), anotherWorker()];
    const outcomes = await Promise.all(workers.map((one) => one.issue(message)));
    expect(new Set(outcomes.flat().map((outcome) => base64(issued(outcome).certificate))).size).toBe(1);
    await onlyCertificateOf(deviceId, ...workers);
  });

  it('has the certificate that was stored first when two workers have signed it', async () => {
    const { deviceId, message } = await newMessage();
    const workers = [worker, anotherWorker()] as const;
    const both = Promise.withResolvers<undefined>();
    let signing = 0;
    for (const { signer } of workers) {
      signer.beforeSigning = async () => {
        if (++signing === workers.length) both.resolve(undefined);
        await both.promise;
      };
    }
    const [[first], [second]] = await Promise.all([workers[0].issue(message), workers[1].issue(redelivered(message))]);
    expect(base64(issued(first).certificate)).toBe(base64(issued(second).certificate));
    expect(signedDigests(...workers)).toHaveLength(2);
    const certificate = await onlyCertificateOf(deviceId, ...workers);
    expect(certificate.raw).toEqual(Buffer.from(issued(first).certificate));
  });

  it('is the same when the CSR was signed anew, or wrapped as PEM', async () => {
    const deviceId = await newDevice();
    const key = newPrivateKey();
    const [csr, again] = [makeRequest(key), makeRequest(key)];
    expect(again).not.toEqual(csr);
    const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${base64(csr)}\n-----END CERTIFICATE REQUEST-----\n`;
    const outcomes = [];
    for (const text of [base64(csr), base64(again), pem]) {
      outcomes.push(...(await worker.issue(queue(now, { deviceId, csr: text }))));
    }
    expect(new Set(outcomes.map((outcome) => base64(issued(outcome).certificate))).size).toBe(1);
    expect(signedDigests(worker)).toHaveLength(1);
  });

  it('is another with another CSR under its id: refused, counted, the certificate untouched', async () => {
    const { deviceId, message } = await newMessage();
    const [first] = await worker.issue(message);
    const before = await row(deviceId);
    now += minute;
    for (const count of [1, 2]) {
      const outcomes = await worker.issue(queue(now, { deviceId }));
      expect(kinds(outcomes)).toEqual(['REQUEST_CONFLICT']);
      expect(kinds(worker.announced)).toEqual(['REQUEST_CONFLICT']);
      const after = await row(deviceId);
      expect(after?.conflicts).toEqual({ N: String(count) });
      const { conflicts: _conflicts, lastConflictAt: _lastConflictAt, ...rest } = after ?? {};
      expect(rest).toEqual(before);
    }
    const [answer] = await worker.issue(redelivered(message));
    expect(base64(issued(answer).certificate)).toBe(base64(issued(first).certificate));
  });

  it('is another under another profile', async () => {
    const other: Profile = { ...deviceTls, name: 'other' };
    worker = startWorker({ tables: store, ca, profiles: [deviceTls, other], now: () => now });
    const deviceId = await newDevice();
    const csr = base64(makeRequest(newPrivateKey()));
    expect(kinds(await worker.issue(queue(now, { deviceId, csr })))).toEqual(['issued']);
    expect(kinds(await worker.issue(queue(now, { deviceId, csr, profile: 'other' })))).toEqual(['REQUEST_CONFLICT']);
  });
});

describe('a rejection', () => {
  it('of an unknown device is reopened by registering it', async () => {
    const deviceId = 'late-device';
    const message = queue(now, { deviceId });
    expect(kinds(await worker.issue(message))).toEqual(['DEVICE_UNKNOWN']);
    expect(await row(deviceId)).toMatchObject({ state: { S: 'rejected' }, reopenable: { BOOL: true } });
    await register(deviceId);
    expect(kinds(await worker.issue(message))).toEqual(['issued']);
    await onlyCertificateOf(deviceId, worker);
    expect(await row(deviceId)).not.toHaveProperty('code');
  });

  it('of a blocked device is reopened by unblocking it, a minute later at most', async () => {
    const deviceId = await newDevice({ state: 'blocked' });
    const message = queue(now, { deviceId });
    expect(kinds(await worker.issue(message))).toEqual(['DEVICE_BLOCKED']);
    await register(deviceId);
    now += minute;
    expect(kinds(await worker.issue(message))).toEqual(['issued']);
  });

  it('of a bad CSR is final, whatever changes', async () => {
    const deviceId = await newDevice();
    const message = queue(now, { deviceId, csr: 'AAAA' });
    expect(kinds(await worker.issue(message))).toEqual(['CSR_NOT_DECODABLE']);
    const before = await row(deviceId);
    now += minute;
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['CSR_NOT_DECODABLE']);
    expect(await row(deviceId)).toEqual(before);
    expect(before).toMatchObject({ state: { S: 'rejected' }, reopenable: { BOOL: false }, attempt: { N: '0' } });
    expect(before?.profileHash).toEqual({ S: deviceTls.hash });
    expect(signedDigests(worker)).toEqual([]);
  });

  it('by what the profile says is reopened by a profile that says otherwise', async () => {
    const deviceId = await newDevice();
    const message = queue(now, { deviceId });
    const strict: Profile = {
      ...deviceTls,
      hash: 'f'.repeat(64),
      keys: { ...deviceTls.keys, ec: { curves: ['P-521'] } },
    };
    worker = startWorker({ tables: store, ca, profiles: [strict], now: () => now });
    expect(kinds(await worker.issue(message))).toEqual(['KEY_CURVE_NOT_ALLOWED']);
    expect(await row(deviceId)).toMatchObject({ reopenable: { BOOL: true }, profileHash: { S: strict.hash } });
    worker = anotherWorker();
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    expect(await row(deviceId)).toMatchObject({ profileHash: { S: deviceTls.hash } });
  });

  it('of a wrong signature is reopened by a right one over the same content', async () => {
    const deviceId = await newDevice();
    const key = newPrivateKey();
    const right = makeRequest(key);
    const wrong = Uint8Array.from(makeRequest(key));
    // Within s, the last octets of an Ecdsa-Sig-Value.
    wrong[wrong.length - 1] = (wrong.at(-1) ?? 0) ^ 1;
    expect(kinds(await worker.issue(queue(now, { deviceId, csr: base64(wrong) })))).toEqual([
      'PROOF_OF_POSSESSION_FAILED',
    ]);
    expect(kinds(await worker.issue(queue(now, { deviceId, csr: base64(right) })))).toEqual(['issued']);
  });
});

describe('a signer', () => {
  it('that fails costs its own digest a retry, which signs the same TBS', async () => {
    const [unlucky, lucky] = await Promise.all([newMessage(), newMessage()]);
    worker.signer.faults.push('unavailable');
    expect(kinds(await worker.issue(unlucky.message, lucky.message))).toEqual(['SIGNER_UNAVAILABLE', 'issued']);
    const intent = await row(unlucky.deviceId);
    expect(intent).toMatchObject({ state: { S: 'intent' } });
    now += minute;
    expect(kinds(await worker.issue(redelivered(unlucky.message)))).toEqual(['issued']);
    const item = await row(unlucky.deviceId);
    expect(item?.serialNumber).toEqual(intent?.serialNumber);
    expect(Buffer.from(tbsOf(item?.certificate?.B ?? new Uint8Array()))).toEqual(
      Buffer.from(intent?.tbsCertificate?.B ?? ''),
    );
  });

  it('that signs wrong never has its signature stored', async () => {
    const { deviceId, message } = await newMessage();
    worker.signer.faults.push('corrupt');
    expect(kinds(await worker.issue(message))).toEqual(['SIGNATURE_WRONG']);
    expect(await row(deviceId)).toMatchObject({ state: { S: 'intent' } });
    expect(await row(deviceId)).not.toHaveProperty('certificate');
    expect(worker.announced).toEqual([]);
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    await onlyCertificateOf(deviceId, worker);
  });

  it('that answers too few leaves the rest to be tried again', async () => {
    const [first, second] = await Promise.all([newMessage(), newMessage()]);
    const sign = worker.signer.sign.bind(worker.signer);
    worker.signer.sign = async (digests, deadline) => (await sign(digests, deadline)).slice(0, 1);
    expect(kinds(await worker.issue(first.message, second.message))).toEqual(['issued', 'INTERNAL']);
  });

  it('that throws leaves all of them to be tried again', async () => {
    const [first, second] = await Promise.all([newMessage(), newMessage()]);
    worker.signer.sign = async () => Promise.reject(new Error('the worker is gone'));
    expect(kinds(await worker.issue(first.message, second.message))).toEqual(['INTERNAL', 'INTERNAL']);
    expect(await row(first.deviceId)).toMatchObject({ state: { S: 'intent' } });
  });

  it('whose PIN was refused is not asked again before the row has another', async () => {
    const { issuer } = makeIssuingCa({ notBefore: new Date(start - minute), notAfter: new Date(start + 1e12) });
    await new Issuers(store.client, tables.issuers).add({ ...issuer, issuerId: 'locked' });
    worker = startWorker({ tables: store, ca, profiles: [{ ...deviceTls, issuer: 'locked' }], now: () => now });
    const { message } = await newMessage();
    worker.openingFails = new MintmarkError('SIGNER_PIN_REFUSED', 'The PIN is wrong.');
    expect(kinds(await worker.issue(message))).toEqual(['SIGNER_PIN_REFUSED']);
    worker.openingFails = undefined;
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['SIGNER_PIN_REFUSED']);
  });

  it('whose PIN is not unsealed is opened again at the next try', async () => {
    const { deviceId, message } = await newMessage();
    worker.openingFails = new MintmarkError('PIN_UNSEAL_FAILED', 'The key store is disconnected.');
    expect(kinds(await worker.issue(message))).toEqual(['PIN_UNSEAL_FAILED']);
    expect(await row(deviceId)).toBeUndefined();
    worker.openingFails = undefined;
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
  });
});

describe('an intent past its signBefore', () => {
  it('is abandoned, its serial revoked, and a new one takes its place', async () => {
    const { deviceId, message } = await newMessage();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    const first = (await row(deviceId))?.serialNumber?.S ?? '';
    now += 15 * minute;
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    const item = await row(deviceId);
    expect(item).toMatchObject({ state: { S: 'issued' }, attempt: { N: '2' } });
    expect(item?.serialNumber?.S).not.toBe(first);
    expect(await isRevoked(first)).toBe(true);
    expect(await isRevoked(item?.serialNumber?.S ?? '')).toBe(false);
    expect(item?.abandonedSerialNumbers?.L?.map((element) => element.M?.serialNumber?.S)).toEqual([first]);
  });

  it('goes on for longer than an outage lasts, with names as long as there are', async () => {
    const deviceId = `device-${++devices}`;
    const uri = (index: number) => `URI:urn:x:${index}${'a'.repeat(2_000)}`;
    const terms = { allowedNames: [uri(1), uri(2)] };
    await new Devices(store.client, tables.devices).register({ deviceId, state: 'active', ...terms });
    const registered = 'always' as const;
    const long = { ...deviceTls, subjectAltName: { ...deviceTls.subjectAltName, registered } };
    worker = startWorker({ tables: store, ca, profiles: [long], now: () => now });
    const message = queue(now, { deviceId });
    for (let attempt = 0; attempt < 30; attempt++) {
      worker.signer.faults.push('unavailable');
      expect(kinds(await worker.issue({ ...redelivered(message), sentAt: now }))).toEqual(['SIGNER_UNAVAILABLE']);
      now += 15 * minute;
    }
    expect(kinds(await worker.issue({ ...redelivered(message), sentAt: now }))).toEqual(['issued']);
    const abandoned = (await row(deviceId))?.abandonedSerialNumbers?.L?.map(({ M }) => M ?? {}) ?? [];
    expect(abandoned).toHaveLength(30);
    // What was signed, if it was, is known of each.
    expect(abandoned.flatMap(({ tbsCertificate }) => tbsCertificate?.B ?? [])).toHaveLength(12);
    const digests = abandoned.map(({ tbsCertificate: tbs, sha256 }) =>
      tbs?.B === undefined ? Buffer.from(sha256?.B ?? nothing).toString('hex') : digestOfTbs(tbs.B),
    );
    expect(digests).toEqual(worker.signer.calls.flat().slice(0, 30));
    for (const { serialNumber } of abandoned) expect(await isRevoked(serialNumber?.S ?? '')).toBe(true);
  });

  it.each([
    [399, 'SIGNER_UNAVAILABLE', 'intent', '400'],
    [400, 'ATTEMPTS_EXHAUSTED', 'abandoned', '400'],
  ])('after %i that were given up is answered %s', async (given, answer, state, attempt) => {
    const { deviceId, message } = await newMessage();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    now += 15 * minute;
    // As many as there would be by now, each of the longest that there are, but for the open one.
    const whole = { tbsCertificate: { B: new Uint8Array(16_384) } };
    const digests = {
      sha256: { B: new Uint8Array(32) },
      sha384: { B: new Uint8Array(48) },
      sha512: { B: new Uint8Array(64) },
    };
    const serials = Array.from({ length: given - 1 }, (_, index) => ({
      M: {
        issuerId: { S: 'i'.repeat(63) },
        serialNumber: { S: index.toString(16).padStart(32, '0') },
        crlShard: { N: '65535' },
        ...(index < 12 ? whole : digests),
      },
    }));
    await store.client.send(
      new UpdateItemCommand({
        TableName: tables.issuance,
        Key: { deviceId: { S: deviceId }, requestId: { S: 'request-1' } },
        UpdateExpression: 'SET abandonedSerialNumbers = :serials, attempt = :attempt',
        ExpressionAttributeValues: { ':serials': { L: serials }, ':attempt': { N: `${given}` } },
      }),
    );
    worker.signer.faults.push('unavailable');
    expect(kinds(await worker.issue({ ...redelivered(message), sentAt: now }))).toEqual([answer]);
    const stored = await row(deviceId);
    expect(stored).toMatchObject({ state: { S: state }, attempt: { N: attempt } });
    expect(stored?.abandonedSerialNumbers?.L).toHaveLength(given);
    // An answer that is final it is not: it can be sent again, by whoever finds it among the failures.
    const failure = await failureOf(message, 'transient-exhausted');
    expect(failure?.code).toBe(answer === 'ATTEMPTS_EXHAUSTED' ? answer : undefined);
  });

  it('may still be signed in its last millisecond', async () => {
    const { deviceId, message } = await newMessage();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    const first = await row(deviceId);
    now += 15 * minute - 1;
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    expect((await row(deviceId))?.serialNumber).toEqual(first?.serialNumber);
  });

  it('keeps a slow worker from storing what it signed', async () => {
    const { deviceId, message } = await newMessage();
    const slow = anotherWorker();
    slow.signer.beforeSigning = async () => {
      now += 15 * minute;
      expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    };
    const [outcome] = await slow.issue(message);
    const item = await row(deviceId);
    expect(issued(outcome).serialNumber).toBe(item?.serialNumber?.S);
    expect(signedDigests(slow)).not.toEqual(signedDigests(worker));
    expect(item).toMatchObject({ state: { S: 'issued' }, attempt: { N: '2' } });
    expect(await isRevoked(item?.abandonedSerialNumbers?.L?.[0]?.M?.serialNumber?.S ?? '')).toBe(true);
  });

  it('has its serial revoked at once, whatever comes after', async () => {
    const { deviceId, message } = await newMessage();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    const first = (await row(deviceId))?.serialNumber?.S ?? '';
    now += 15 * minute;
    const { dynamoDB } = worker;
    const isAbandoned = () => dynamoDB.commands.some(updates(tables.issuance, 'abandoned'));
    dynamoDB.fail((command) => command instanceof BatchGetItemCommand && isAbandoned(), 'not-written');
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['STORE_UNAVAILABLE']);
    expect(await row(deviceId)).toMatchObject({ state: { S: 'abandoned' } });
    expect(await isRevoked(first)).toBe(true);
  });

  it('has its serial revoked by whoever comes next when the revocation could not be written', async () => {
    const { deviceId, message } = await newMessage();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    const first = (await row(deviceId))?.serialNumber?.S ?? '';
    now += 15 * minute;
    worker.dynamoDB.fail(updates(tables.revocations), 'not-written');
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['STORE_UNAVAILABLE']);
    expect(await row(deviceId)).toMatchObject({ state: { S: 'abandoned' } });
    expect(await isRevoked(first)).toBe(false);
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    expect(await isRevoked(first)).toBe(true);
  });
});

describe('a request id that was refused before anybody owned the device', () => {
  it("is its owner's when the device is registered", async () => {
    const deviceId = `device-${++devices}`;
    const burnt = queue(now, { deviceId });
    expect(kinds(await worker.issue(burnt))).toEqual(['DEVICE_UNKNOWN']);
    await register(deviceId);
    const { requestId } = JSON.parse(burnt.body) as { requestId: string };
    const owner = queue(now, { deviceId, requestId, csr: base64(makeRequest(newPrivateKey())) });
    expect(kinds(await worker.issue(owner))).toEqual(['issued']);
    expect(kinds(await worker.issue(redelivered(burnt)))).toEqual(['REQUEST_CONFLICT']);
  });
});

describe('a serial number revoked between intent and signature', () => {
  it('is never issued: the attempt is given up for another', async () => {
    const { deviceId, message } = await newMessage();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    const stored = await row(deviceId);
    const first = stored?.serialNumber?.S ?? '';
    await new Revocations(store.client, tables.revocations).revokeAbandoned(
      { issuerId: 'devices', serialNumber: first, crlShard: Number(stored?.crlShard?.N) },
      now,
    );
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    expect((await row(deviceId))?.serialNumber?.S).not.toBe(first);
    expect(await row(deviceId)).toMatchObject({ attempt: { N: '2' } });
  });
});

describe('an intent whose row was written to by somebody else', () => {
  /** An intent that was not signed, and its row. */
  async function leftIntent() {
    const { deviceId, message } = await newMessage();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    const stored = await row(deviceId);
    worker = anotherWorker();
    return { deviceId, message, stored };
  }

  const cA = sequence(objectIdentifier('2.5.29.19'), boolean(true), octetString(sequence(boolean(true))));
  const withoutCa = sequence(objectIdentifier('2.5.29.19'), boolean(true), octetString(sequence()));

  /** The TBS, with extensions as `change` makes them. */
  function withExtensions(tbsCertificate: Uint8Array, change: (extension: Uint8Array) => Uint8Array): Uint8Array {
    const fields = DerReader.ofContents(tbsCertificate).readSequence();
    const members: Uint8Array[] = [];
    while (!fields.isAtEnd) members.push(fields.readAny());
    const list = DerReader.ofContents(members.pop() ?? new Uint8Array())
      .readConstructed(0xa3)
      .readSequence();
    const extensions: Uint8Array[] = [];
    while (!list.isAtEnd) extensions.push(list.readAny());
    return sequence(...members, contextConstructed(3, sequence(...extensions.map(change))));
  }

  const asCa = (tbsCertificate: Uint8Array) =>
    withExtensions(tbsCertificate, (each) => (Buffer.compare(each, withoutCa) === 0 ? cA : each));
  const forCodeSigning = (tbsCertificate: Uint8Array) =>
    withExtensions(tbsCertificate, (each) =>
      Buffer.from(each).includes(Buffer.from(objectIdentifier('2.5.29.37')))
        ? sequence(objectIdentifier('2.5.29.37'), octetString(sequence(objectIdentifier('1.3.6.1.5.5.7.3.3'))))
        : each,
    );

  it.each<[string, (stored: Item) => Item | Promise<Item>]>([
    ['a CA certificate', ({ tbsCertificate }) => ({ tbsCertificate: { B: asCa(tbsCertificate?.B ?? nothing) } })],
    ['no TBS at all', () => ({ tbsCertificate: { B: Uint8Array.of(0x30, 0x01) } })],
    [
      'what the profile does not grant',
      ({ tbsCertificate }) => ({ tbsCertificate: { B: forCodeSigning(tbsCertificate?.B ?? nothing) } }),
    ],
    [
      "another row's TBS",
      async () => ({ tbsCertificate: (await leftIntent()).stored?.tbsCertificate ?? { NULL: true } }),
    ],
    ['another end', () => ({ notAfter: { S: new Date(start + 86_400_000).toISOString() } })],
    ['another CRL shard', ({ crlShard }) => ({ crlShard: { N: String((Number(crlShard?.N) + 1) % 16) } })],
  ])('is not signed: %s', async (_, change) => {
    const { deviceId, message, stored } = await leftIntent();
    const Key = { deviceId: { S: deviceId }, requestId: { S: 'request-1' } };
    const [[attribute, value] = ['', { NULL: true as const }]] = Object.entries(await change(stored ?? {}));
    await store.client.send(
      new UpdateItemCommand({
        TableName: tables.issuance,
        Key,
        UpdateExpression: 'SET #attribute = :value',
        ExpressionAttributeNames: { '#attribute': attribute },
        ExpressionAttributeValues: { ':value': value },
      }),
    );
    const abandoned: unknown[] = [];
    worker.dynamoDB.before(updates(tables.issuance, 'intent'), async () => abandoned.push(await row(deviceId)));
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    expect(abandoned).toMatchObject([{ state: { S: 'abandoned' }, abandonReason: { S: 'lint-failed' } }]);
    expect(await isRevoked(stored?.serialNumber?.S ?? '')).toBe(true);
    expect(worker.signer.calls.flat()).toHaveLength(1);
    expect(await onlyCertificateOf(deviceId, worker)).toMatchObject({ ca: false });
  });

  it('is signed as it was recorded where nobody did', async () => {
    const { deviceId, message, stored } = await leftIntent();
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    expect((await onlyCertificateOf(deviceId, worker)).serialNumber.toLowerCase()).toBe(stored?.serialNumber?.S);
  });
});

describe('a device blocked between intent and signature', () => {
  it('loses the intent, and is rejected', async () => {
    const { deviceId, message } = await newMessage();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    const serial = (await row(deviceId))?.serialNumber?.S ?? '';
    await register(deviceId, { state: 'blocked' });
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['DEVICE_BLOCKED']);
    expect(await row(deviceId)).toMatchObject({ state: { S: 'rejected' }, code: { S: 'DEVICE_BLOCKED' } });
    expect(await isRevoked(serial)).toBe(true);
    expect(signedDigests(worker)).toHaveLength(1);
  });

  it('is not finished for a sender who may no longer enrol it', async () => {
    const { deviceId, message } = await newMessage();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    await register(deviceId, { state: 'active', allowedSenders: ['AROASOMEBODYELSE'] });
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['SENDER_NOT_ALLOWED']);
    expect(signedDigests(worker)).toHaveLength(1);
  });
});

describe.each(['not-written', 'reply-lost'] as const)('a write that fails, %s', (fault) => {
  it.each(['intent', 'issued'])('of the row as %s, is made good by the redelivery', async (to) => {
    const { deviceId, message } = await newMessage();
    worker.dynamoDB.fail(updates(tables.issuance, to), fault);
    expect(kinds(await worker.issue(message))).toEqual(['STORE_UNAVAILABLE']);
    expect(worker.announced).toEqual([]);
    expect(signedDigests(worker)).toHaveLength(to === 'intent' ? 0 : 1);
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    expect(kinds(worker.announced)).toEqual(['issued']);
    await onlyCertificateOf(deviceId, worker);
    expect(await row(deviceId)).toMatchObject({ attempt: { N: '1' } });
  });

  it('of a rejection, is made good by the redelivery', async () => {
    const deviceId = await newDevice();
    const message = queue(now, { deviceId, csr: 'AAAA' });
    worker.dynamoDB.fail(updates(tables.issuance, 'rejected'), fault);
    expect(kinds(await worker.issue(message))).toEqual(['STORE_UNAVAILABLE']);
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['CSR_NOT_DECODABLE']);
  });
});

describe('another worker writing in between', () => {
  it('is followed: its intent is signed', async () => {
    const { deviceId, message } = await newMessage();
    const other = anotherWorker();
    other.signer.faults.push('unavailable');
    worker.dynamoDB.before(updates(tables.issuance, 'intent'), () => other.issue(message));
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    await onlyCertificateOf(deviceId, worker, other);
  });

  it('is followed: its certificate is the answer', async () => {
    const { deviceId, message } = await newMessage();
    const other = anotherWorker();
    worker.dynamoDB.before(updates(tables.issuance, 'intent'), () => other.issue(message));
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    expect(signedDigests(worker)).toEqual([]);
    await onlyCertificateOf(deviceId, other);
  });

  it('under the same id with another CSR, is a conflict', async () => {
    const { deviceId, message } = await newMessage();
    const other = anotherWorker();
    worker.dynamoDB.before(updates(tables.issuance, 'intent'), () => other.issue(queue(now, { deviceId })));
    expect(kinds(await worker.issue(message))).toEqual(['REQUEST_CONFLICT']);
    await onlyCertificateOf(deviceId, other);
  });
});

describe('giving up', () => {
  it('is by age, and leaves a row', async () => {
    const { deviceId, message } = await newMessage();
    worker.signer.faults.push('unavailable', 'unavailable');
    now += 60 * minute - 1;
    expect(kinds(await worker.issue({ ...message, receiveCount: 3 }))).toEqual(['SIGNER_UNAVAILABLE']);
    expect(await failureOf(message, 'transient-exhausted')).toBeUndefined();
    now += 1;
    const [outcome] = await worker.issue({ ...message, receiveCount: 4 });
    expect(outcome).toMatchObject({
      kind: 'failed',
      code: 'SIGNER_UNAVAILABLE',
      detail: 'The HSM is busy.',
      request: { deviceId },
    });
    // Nobody comes back for the intent: it is abandoned, its serial number revoked, and the device is told.
    const abandoned = await row(deviceId);
    expect(abandoned).toMatchObject({ state: { S: 'abandoned' } });
    expect(await isRevoked(abandoned?.serialNumber?.S ?? '')).toBe(true);
    expect(kinds(worker.announced)).toEqual(['SIGNER_UNAVAILABLE']);
    expect(await failureOf(message, 'transient-exhausted')).toMatchObject({
      code: 'SIGNER_UNAVAILABLE',
      body: message.body,
      sender: 'AROAEXAMPLEROLEID:gateway-1',
      tries: 4,
      sentAt: start,
      deviceId,
    });
  });

  it('never loses a message whose row in failures cannot be written', async () => {
    const { message } = await newMessage();
    const bad = { ...message, body: '{}' };
    worker.dynamoDB.fail(updates(tables.failures), 'not-written');
    expect(kinds(await worker.issue(bad))).toEqual(['STORE_UNAVAILABLE']);
    expect(await failureOf(bad, 'unreadable')).toBeUndefined();
    expect((await worker.issue(redelivered(bad))).map(({ kind }) => kind)).toEqual(['failed']);
    expect(await failureOf(bad, 'unreadable')).toMatchObject({ code: 'MESSAGE_INVALID', tries: 2 });
  });

  it('never happens to what has its answer', async () => {
    const { message } = await newMessage();
    now += 600 * minute;
    expect(kinds(await worker.issue(message))).toEqual(['issued']);
  });

  it('never happens to what has its answer and could not be told of it: that is told later', async () => {
    const { deviceId, message } = await newMessage();
    now += 600 * minute;
    worker.refusesToPublish = () => true;
    expect(kinds(await worker.issue(message))).toEqual(['STORE_UNAVAILABLE']);
    expect(await row(deviceId)).toMatchObject({ state: { S: 'issued' } });
    expect(await failureOf(message, 'transient-exhausted')).toBeUndefined();
    worker.refusesToPublish = () => false;
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    expect(kinds(worker.announced)).toEqual(['issued']);
  });

  it('never happens to what another worker has issued meanwhile', async () => {
    const { deviceId, message } = await newMessage();
    const other = anotherWorker();
    worker.signer.faults.push('unavailable', 'unavailable');
    await worker.issue(message);
    // The other's delivery stores the certificate after this one has read the intent that it would abandon.
    worker.dynamoDB.before(updates(tables.issuance, 'abandoned'), () => other.issue(message));
    const late = { ...redelivered(message), sentAt: start - 60 * minute };
    expect(kinds(await worker.issue(late))).toEqual(['SIGNER_UNAVAILABLE']);
    expect(await row(deviceId)).toMatchObject({ state: { S: 'issued' } });
    expect(await failureOf(message, 'transient-exhausted')).toBeUndefined();
    expect(worker.announced).toEqual([]);
    expect(kinds(await worker.issue(redelivered(late)))).toEqual(['issued']);
  });

  it('ends the attempt of whoever began another one meanwhile', async () => {
    const { deviceId, message } = await newMessage();
    const other = anotherWorker();
    worker.signer.faults.push('unavailable', 'unavailable');
    await worker.issue(message);
    const late = { ...redelivered(message), sentAt: start - 60 * minute };
    worker.dynamoDB.before(updates(tables.issuance, 'abandoned'), async () => {
      now += 15 * minute;
      other.signer.faults.push('unavailable');
      await other.issue(redelivered(message));
      expect(await row(deviceId)).toMatchObject({ state: { S: 'intent' }, attempt: { N: '2' } });
    });
    expect((await worker.issue(late)).map(({ kind }) => kind)).toEqual(['failed']);
    const abandoned = await row(deviceId);
    expect(abandoned).toMatchObject({ state: { S: 'abandoned' }, abandonReason: { S: 'given-up' } });
    expect(await isRevoked(abandoned?.serialNumber?.S ?? '')).toBe(true);
  });

  it('leaves a message to be tried again while others keep writing its row', async () => {
    const { deviceId, message } = await newMessage();
    worker.signer.faults.push('unavailable', 'unavailable');
    await worker.issue(message);
    const late = { ...redelivered(message), sentAt: start - 60 * minute };
    const nobody = { ...worker.authority, ledger: new NeverAbandoning(worker.dynamoDB.client, tables.issuance) };
    const [outcome] = await issueBatch(nobody, [late], now + 10_000);
    expect(outcome).toMatchObject({ kind: 'retry', error: { code: 'STORE_UNAVAILABLE' } });
    expect(await row(deviceId)).toMatchObject({ state: { S: 'intent' } });
    expect(await failureOf(message, 'transient-exhausted')).toBeUndefined();
  });

  it('for its sender, of what another has had issued, tells the device nothing', async () => {
    const { deviceId, message } = await newMessage();
    const other = anotherWorker();
    worker.signer.faults.push('unavailable');
    await worker.issue(message);
    // Read as allowed, refused when the intent is resumed: and then another sender's message is first.
    worker.dynamoDB.before(updates(tables.issuance, 'abandoned'), async () => {
      await register(deviceId, { allowedSenders: ['AROAEXAMPLEOTHERID'] });
      await other.issue({ ...message, senderId: 'AROAEXAMPLEOTHERID:gateway-2', messageId: 'another' });
    });
    await register(deviceId, { allowedSenders: ['AROAEXAMPLEOTHERID'] });
    const [outcome] = await worker.issue(redelivered(message));
    expect(outcome).toMatchObject({ kind: 'failed', code: 'SENDER_NOT_ALLOWED' });
    expect(outcome).not.toHaveProperty('request');
    expect(worker.announced).toEqual([]);
    expect(await row(deviceId)).toMatchObject({ state: { S: 'issued' } });
    expect(await failureOf(message, 'unauthorised')).toMatchObject({ code: 'SENDER_NOT_ALLOWED', deviceId });
  });

  it.each([
    { state: 'half-open', lasted: 5 * minute - 1, receiveCount: 7, kind: 'retry' },
    // Nobody has tried for it: age counts again.
    { state: 'half-open', lasted: 5 * minute, receiveCount: 7, kind: 'failed' },
    { state: 'open', lasted: 0, receiveCount: 1, kind: 'retry' },
    { state: 'open', lasted: 0, receiveCount: 2, kind: 'failed' },
  ] as const)(
    'of what got old with its queue paused: $state $lasted ms, delivery $receiveCount: $kind',
    async (paused) => {
      const { message } = await newMessage();
      const record = { ...absentRecord('devices'), state: paused.state, since: now };
      worker.openingFails = new SignerPausedError(record, 60, now + paused.lasted);
      now += 600 * minute;
      const [outcome] = await worker.issue({ ...message, receiveCount: paused.receiveCount });
      expect(outcome?.kind).toBe(paused.kind);
      worker.openingFails = undefined;
      if (paused.kind === 'failed') {
        expect(await failureOf(message, 'transient-exhausted')).toMatchObject({ code: 'SIGNER_PAUSED' });
      }
      if (paused.kind === 'retry') expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    },
  );
});

describe('what is told of signatures', () => {
  it('is told before the step that may end the process: asked, made, stored', async () => {
    const { message } = await newMessage();
    const told: Record<string, unknown> = {};
    worker.signer.beforeSigning = async () => void (told['asked'] = [...worker.signed]);
    worker.dynamoDB.before(updates(tables.issuance, 'issued'), async () => void (told['storing'] = [...worker.signed]));
    await worker.issue(message);
    const issuerId = 'devices';
    const made = { issuerId, made: 1, repeated: 0, wrong: 0 };
    expect(told).toEqual({ asked: [{ issuerId, requested: 1 }], storing: [{ issuerId, requested: 1 }, made] });
    expect(worker.signed.slice(2)).toEqual([{ issuerId, stored: 1 }]);
  });

  it('is no less than what was signed when each of its workers ended somewhere else', async () => {
    const { deviceId, message } = await newMessage();
    const workers = Array.from({ length: 5 }, anotherWorker);
    const [asked, signed, signedToo, stored, last] = workers;
    if (!asked || !signed || !signedToo || !stored || !last) throw new Error('too few workers');
    const ended = new Error('The process ended.');
    asked.signer.beforeSigning = () => Promise.reject(ended);
    await asked.issue(message);
    // Killed with a signature in its hands, before it told anybody.
    for (const each of [signed, signedToo]) {
      const told = each.authority.onSigned;
      const onSigned: typeof told = (counts) => {
        if ('made' in counts) throw ended;
        told(counts);
      };
      await expect(issueBatch({ ...each.authority, onSigned }, [message], now + 10_000)).rejects.toThrow(ended);
    }
    stored.dynamoDB.fail(updates(tables.issuance, 'issued'), 'reply-lost');
    await stored.issue(redelivered(message));
    expect(kinds(await last.issue(redelivered(message)))).toEqual(['issued']);
    expect(await row(deviceId)).toMatchObject({ state: { S: 'issued' } });
    expect(workers.map(({ signer }) => signer.calls.length)).toEqual([1, 1, 1, 1, 0]);
    expect(workers.map(({ signed: each }) => sumOfSigned(each))).toEqual([
      { requested: 1 },
      { requested: 1 },
      { requested: 1 },
      { requested: 1, made: 1, repeated: 1, wrong: 0 },
      {},
    ]);
  });

  it('counts what the signer did not make as asked for, and what is wrong as made', async () => {
    const messages = await Promise.all(Array.from({ length: 4 }, async () => (await newMessage()).message));
    worker.signer.faults.push('unavailable', 'corrupt');
    await worker.issue(...messages);
    expect(sumOfSigned(worker.signed)).toEqual({ requested: 4, made: 3, repeated: 0, wrong: 1, stored: 2 });
  });
});

describe('publishing', () => {
  it('that fails is tried again, and announces the same certificate', async () => {
    const [untold, told] = await Promise.all([newMessage(), newMessage()]);
    worker.refusesToPublish = (outcome) => outcome.kind === 'issued' && outcome.row.deviceId === untold.deviceId;
    expect(kinds(await worker.issue(untold.message, told.message))).toEqual(['STORE_UNAVAILABLE', 'issued']);
    expect(await row(untold.deviceId)).toMatchObject({ state: { S: 'issued' } });
    worker.refusesToPublish = () => false;
    const [outcome] = await worker.issue(redelivered(untold.message));
    expect(worker.announced).toEqual([outcome]);
    expect(signedDigests(worker)).toHaveLength(2);
  });
});

describe('a sender', () => {
  it('that the profile does not allow leaves a row in failures and none under the device', async () => {
    const deviceId = await newDevice();
    const message = queue(now, { deviceId, profile: 'restricted' });
    expect(kinds(await worker.issue(message))).toEqual(['SENDER_NOT_ALLOWED']);
    expect(await rowsOf(deviceId)).toBe(0);
    expect(await failureOf(message, 'unauthorised')).toMatchObject({ code: 'SENDER_NOT_ALLOWED' });
    const allowed = queue(now, { deviceId, profile: 'restricted' }, { senderId: 'AROAEXAMPLEOTHERID:any-session' });
    expect(kinds(await worker.issue(allowed))).toEqual(['issued']);
  });

  it('that the device does not allow leaves a row in failures and none under the device, whatever the CSR', async () => {
    const deviceId = await newDevice({ allowedSenders: ['AROAEXAMPLEOTHERID'] });
    for (const csr of [undefined, 'AAAA']) {
      const message = queue(now, { deviceId, ...(csr === undefined ? {} : { csr }) });
      expect(kinds(await worker.issue(message))).toEqual(['SENDER_NOT_ALLOWED']);
      expect(await failureOf(message, 'unauthorised')).toMatchObject({ code: 'SENDER_NOT_ALLOWED' });
    }
    expect(await rowsOf(deviceId)).toBe(0);
  });

  it('that asks for an unknown profile leaves a row in failures and none under the device', async () => {
    const deviceId = await newDevice();
    const message = queue(now, { deviceId, profile: 'no-such' });
    expect(kinds(await worker.issue(message))).toEqual(['PROFILE_UNKNOWN']);
    expect(await rowsOf(deviceId)).toBe(0);
    expect(await failureOf(message, 'unauthorised')).toMatchObject({ code: 'PROFILE_UNKNOWN' });
  });
});

describe('an issuer', () => {
  it.each([
    ['retired', 'ISSUER_NOT_ACTIVE'],
    ['nobodys', 'ISSUER_NOT_ACTIVE'],
    ['expiring', 'ISSUER_EXPIRES_TOO_SOON'],
  ])('that is of no use (%s) writes nothing, and its neighbours are issued', async (profile, code) => {
    const [deviceId, good] = await Promise.all([newDevice(), newMessage()]);
    expect(kinds(await worker.issue(queue(now, { deviceId, profile }), good.message))).toEqual([code, 'issued']);
    expect(await rowsOf(deviceId)).toBe(0);
  });

  it('that was retired since the intent signs it no more, even when its row is cached', async () => {
    const { issuer } = makeIssuingCa({ notBefore: new Date(start - minute), notAfter: new Date(start + 1e12) });
    await new Issuers(store.client, tables.issuers).add({ ...issuer, issuerId: 'leaving' });
    const leaving: Profile = { ...deviceTls, name: 'leaving', issuer: 'leaving' };
    worker = startWorker({ tables: store, ca, profiles: [leaving], now: () => now });
    const deviceId = await newDevice();
    const message = queue(now, { deviceId, profile: 'leaving' });
    worker.signer.faults.push('unavailable');
    expect(kinds(await worker.issue(message))).toEqual(['SIGNER_UNAVAILABLE']);
    const retire = new UpdateItemCommand({
      TableName: tables.issuers,
      Key: { issuerId: { S: 'leaving' } },
      UpdateExpression: 'SET #state = :retired',
      ExpressionAttributeNames: { '#state': 'state' },
      ExpressionAttributeValues: { ':retired': { S: 'retired' } },
    });
    await store.client.send(retire);
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['ISSUER_NOT_ACTIVE']);
    expect(signedDigests(worker)).toHaveLength(1);
  });

  it('whose certificate was replaced since the intent signs it no more: the attempt is given up', async () => {
    const options = { issuerId: 'replaced', notBefore: new Date(start - minute), notAfter: new Date(start + 1e12) };
    const [before, after] = [makeIssuingCa(options), makeIssuingCa(options)];
    await new Issuers(store.client, tables.issuers).add(before.issuer);
    const replaced: Profile = { ...deviceTls, name: 'replaced', issuer: 'replaced' };
    worker = startWorker({ tables: store, ca: after, profiles: [replaced], now: () => now });
    const deviceId = await newDevice();
    const message = queue(now, { deviceId, profile: 'replaced' });
    worker.signer.faults.push('unavailable');
    expect(kinds(await worker.issue(message))).toEqual(['SIGNER_UNAVAILABLE']);
    const first = (await row(deviceId))?.serialNumber?.S ?? '';
    const replace = new UpdateItemCommand({
      TableName: tables.issuers,
      Key: { issuerId: { S: 'replaced' } },
      UpdateExpression: 'SET certificate = :certificate',
      ExpressionAttributeValues: { ':certificate': { B: after.issuer.certificate } },
    });
    await store.client.send(replace);
    expect(kinds(await worker.issue(redelivered(message)))).toEqual(['issued']);
    expect(await isRevoked(first)).toBe(true);
    expect(await row(deviceId)).toMatchObject({ attempt: { N: '2' } });
  });
});
