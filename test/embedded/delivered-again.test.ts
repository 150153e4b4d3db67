import { createHash, randomUUID, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DerReader } from '../../shared/asn1/der-reader.ts';
import { generateEcKey } from '../fixtures/csr/make.ts';
import { bodyOf, type LoggedOutcome, TestCloud, type TestRequest } from '../support/embedded-cloud.ts';
import { makePemCsr } from '../support/embedded-openssl.ts';
import { until } from '../support/embedded-until.ts';

let cloud: TestCloud;
beforeAll(async () => {
  // More workers than deliveries at once; no message is delivered again by itself.
  cloud = await TestCloud.start({ visibilityTimeout: '120', issueConcurrency: '4' });
});
afterAll(() => cloud?.stop());

const key = generateEcKey('P-256');

describe('one request, delivered three times', () => {
  it('one after another: one certificate, one serial number, one signature', async () => {
    const deviceId = await cloud.newDevice('thrice');
    const request = { deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) };
    const before = cloud.signatures().length;

    const outcomes = [];
    for (let delivery = 0; delivery < 3; delivery++) outcomes.push(await cloud.ended(await cloud.request(request)));

    const { certificate, serialNumber, attempt } = await cloud.issued(request);
    expect(outcomes.map(({ message }) => message)).toEqual(['issued', 'issued', 'issued']);
    expect(new Set(outcomes.map((outcome) => outcome.serialNumber))).toEqual(new Set([serialNumber]));
    expect(attempt).toBe(1);
    const made = cloud.signatures().slice(before);
    expect(made.map(({ digest }) => digest)).toEqual([digestOfTbs(certificate)]);
  });

  it('three times in one batch: one certificate, one signature', async () => {
    const deviceId = await cloud.newDevice('batch');
    const request = { deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) };
    const before = cloud.signatures().length;
    const messageIds = await cloud.sendAll([request, request, request].map(bodyOf));

    const outcomes = await Promise.all(messageIds.map((messageId) => cloud.ended(messageId)));
    const { certificate, serialNumber } = await cloud.issued(request);
    expect(outcomes.map((outcome) => outcome.serialNumber)).toEqual([serialNumber, serialNumber, serialNumber]);
    const made = cloud.signatures().slice(before);
    expect(new Set(made.map(({ digest }) => digest))).toEqual(new Set([digestOfTbs(certificate)]));
  });

  it('three times at once: one certificate, and every signature is over the same TBS', async () => {
    await startWorkers(3);
    const deviceId = await cloud.newDevice('at-once');
    const request = { deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) };
    const before = cloud.signatures().length;
    const outcomes = await sendToWorkers([request, request, request]);

    const { certificate, serialNumber, attempt } = await cloud.issued(request);
    expect(outcomes.map((outcome) => outcome.serialNumber)).toEqual([serialNumber, serialNumber, serialNumber]);
    expect(attempt).toBe(1);
    const made = cloud.signatures().slice(before);
    // The race was one: several workers were signing before the first of them had stored.
    expect(new Set(made.map(({ processId }) => processId)).size).toBeGreaterThan(1);
    expect(new Set(made.map(({ digest }) => digest))).toEqual(new Set([digestOfTbs(certificate)]));
  });
});

describe('the same request id again', () => {
  it('with the CSR signed anew: the same request, the same certificate', async () => {
    const deviceId = await cloud.newDevice('anew');
    const [first, second] = [makePemCsr(key, deviceId), makePemCsr(key, deviceId)];
    expect(second).not.toBe(first);
    await cloud.request({ deviceId, requestId: 'r', csr: first });
    const { serialNumber } = await cloud.issued({ deviceId, requestId: 'r' });
    const again = await cloud.ended(await cloud.request({ deviceId, requestId: 'r', csr: second }));
    expect(again).toMatchObject({ message: 'issued', serialNumber });
  });

  it('with another key: REQUEST_CONFLICT, and the certificate stands', async () => {
    const deviceId = await cloud.newDevice('conflict');
    await cloud.request({ deviceId, requestId: 'r', csr: makePemCsr(key, deviceId) });
    const before = await cloud.issued({ deviceId, requestId: 'r' });
    const other = makePemCsr(generateEcKey('P-256'), deviceId);
    const outcome = await cloud.ended(await cloud.request({ deviceId, requestId: 'r', csr: other }));
    expect(outcome).toMatchObject({ message: 'rejected', code: 'REQUEST_CONFLICT' });
    expect(await cloud.row({ deviceId, requestId: 'r' })).toEqual(before);
    expect(new X509Certificate(before.certificate).subject).toContain(deviceId);
  });
});

/** Each to a worker of its own: the next one is sent while those before are being worked on, which takes a second. */
async function sendToWorkers(requests: readonly TestRequest[]): Promise<LoggedOutcome[]> {
  cloud.faults({ fault: 'slow', count: requests.length, milliseconds: 1000 });
  const messageIds: string[] = [];
  for (const request of requests) {
    messageIds.push(await cloud.request(request));
    await until(async () => (await cloud.messages()).waiting === 0, 'worker that takes it');
  }
  const outcomes = await Promise.all(messageIds.map((messageId) => cloud.ended(messageId)));
  cloud.faults();
  return outcomes;
}

/** That many workers have signed: none is still starting when it matters. */
async function startWorkers(count: number): Promise<void> {
  const deviceId = await cloud.newDevice('workers');
  const csr = makePemCsr(key, deviceId);
  await until(async () => {
    await sendToWorkers(Array.from({ length: count }, () => ({ deviceId, requestId: randomUUID(), csr })));
    return new Set(cloud.signatures().map(({ processId }) => processId)).size >= count;
  }, `${count} workers that sign`);
}

/** SHA-256 of the TBSCertificate in a certificate: what a P-256 issuer signs. */
function digestOfTbs(certificate: Uint8Array): string {
  const fields = DerReader.ofInput(certificate).readSequence();
  const start = fields.offset;
  fields.readSequence();
  return createHash('sha256').update(fields.since(start)).digest('hex');
}
