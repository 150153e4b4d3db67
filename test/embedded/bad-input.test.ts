import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ErrorCode, errorKinds } from '../../shared/errors.ts';
import { generateEcKey, makeCsr } from '../fixtures/csr/make.ts';
import { badRequests } from '../support/embedded-bad-requests.ts';
import { bodyOf, TestCloud, type TestRequest } from '../support/embedded-cloud.ts';
import { makePemCsr, verifyChain } from '../support/embedded-openssl.ts';

let cloud: TestCloud;
beforeAll(async () => {
  cloud = await TestCloud.start();
});
afterAll(() => cloud?.stop());

const key = generateEcKey('P-256');
const goodRequest = (deviceId: string, requestId = 'r'): TestRequest => ({
  deviceId,
  requestId,
  csr: makePemCsr(key, deviceId),
});

/** A sentence that a person can read on one line of a log. */
const sentence = /^[A-Z][^\n\r]{10,600}\.$/;

describe('a CSR that is refused has its own code in the table', () => {
  for (const { what, code, csr } of badRequests()) {
    it(`${what}: ${code}`, async () => {
      const deviceId = await cloud.newDevice('bad');
      const request = { deviceId, requestId: 'r', csr: csr(deviceId) };
      const before = cloud.signatures().length;
      const messageId = await cloud.request(request);
      const row = await cloud.rejected(request);
      expect(row.code).toBe(code);
      expect(row.detail).toMatch(sentence);
      expect(row.reopenable).toBe(errorKinds[code].disposition === 'reject-reopenable');
      expect(await cloud.ended(messageId)).toMatchObject({ message: 'rejected', code, receiveCount: 1 });
      expect(cloud.signatures()).toHaveLength(before);
    });
  }

  it('a device that is not registered, and is registered later: the same request is issued then', async () => {
    const request = goodRequest(`unknown-${Date.now()}`);
    await cloud.request(request);
    expect(await cloud.rejected(request)).toMatchObject({
      code: 'DEVICE_UNKNOWN',
      detail: expect.stringMatching(sentence),
    });
    await cloud.local.devices.register({ deviceId: request.deviceId, state: 'active' });
    await cloud.request(request);
    expect((await cloud.ended(await cloud.request(request))).message).toBe('issued');
  });

  it('a blocked device', async () => {
    const request = goodRequest(`blocked-${Date.now()}`);
    await cloud.local.devices.register({ deviceId: request.deviceId, state: 'blocked' });
    await cloud.request(request);
    expect(await cloud.rejected(request)).toMatchObject({
      code: 'DEVICE_BLOCKED',
      detail: expect.stringMatching(sentence),
    });
  });

  it('a valid CSR cut at any byte: every one is answered, and none is issued', async () => {
    const deviceId = await cloud.newDevice('cut');
    const der = makeCsr(key, { subject: `/CN=${deviceId}` });
    const requests = Array.from({ length: der.length }, (_, length) => ({
      deviceId,
      requestId: `cut-${length}`,
      csr: der.subarray(0, length).toString('base64'),
    }));
    const messageIds = await cloud.sendAll(requests.map(bodyOf));
    const outcomes = await Promise.all(messageIds.map((messageId) => cloud.ended(messageId)));
    expect(new Set(outcomes.map(({ message }) => message))).toEqual(new Set(['rejected']));
    expect(outcomes[0]?.code).toBe('CSR_NOT_DECODABLE');
    expect(new Set(outcomes.slice(1).map(({ code }) => code))).toEqual(new Set(['CSR_TRUNCATED']));
  });
});

describe('a message that cannot be answered under a device id has a row in failures', () => {
  const message = (change: Record<string, unknown>, deviceId = 'nobody') =>
    JSON.stringify({ version: 1, requestId: 'r', deviceId, profile: 'device-tls', csr: 'MAA=', ...change });

  const unreadable: readonly { what: string; body: string; code: ErrorCode; cause: RegExp }[] = [
    { what: 'not JSON', body: 'hello', code: 'MESSAGE_NOT_JSON', cause: /JSON/ },
    { what: 'half a JSON', body: message({}).slice(0, 40), code: 'MESSAGE_NOT_JSON', cause: /JSON/ },
    { what: 'a JSON list', body: '[]', code: 'MESSAGE_INVALID', cause: /object/ },
    { what: 'another version', body: message({ version: 2 }), code: 'MESSAGE_VERSION_UNSUPPORTED', cause: /\b2\b/ },
    { what: 'no version', body: message({ version: undefined }), code: 'MESSAGE_INVALID', cause: /version/ },
    { what: 'an unknown field', body: message({ notAfter: '2040-01-01' }), code: 'MESSAGE_INVALID', cause: /notAfter/ },
    { what: 'a missing field', body: message({ csr: undefined }), code: 'MESSAGE_INVALID', cause: /csr/ },
    { what: 'no device id that can be one', body: message({}, '../root'), code: 'MESSAGE_INVALID', cause: /deviceId/ },
    { what: 'an oversized one', body: message({ csr: 'A'.repeat(65_536) }), code: 'MESSAGE_TOO_LARGE', cause: /65536/ },
    { what: "one of SQS's utmost size", body: 'x'.repeat(1_000_000), code: 'MESSAGE_TOO_LARGE', cause: /1000000/ },
    { what: 'an unknown profile', body: message({ profile: 'root-ca' }), code: 'PROFILE_UNKNOWN', cause: /root-ca/ },
  ];

  for (const { what, body, code, cause } of unreadable) {
    it(`${what}: ${code}, and it is not tried again`, async () => {
      const messageId = await cloud.send(body);
      const failure = await cloud.failure(messageId);
      expect(failure).toMatchObject({ code, tries: 1, sender: 'LOCALOPERATOR' });
      expect(failure.failureClass).toBe(code === 'PROFILE_UNKNOWN' ? 'unauthorised' : 'unreadable');
      expect(body.startsWith(failure.body)).toBe(true);
      expect(failure.body).toHaveLength(Math.min(body.length, 65_536));
      expect(failure.detail).toMatch(sentence);
      expect(failure.detail).toMatch(cause);
      await cloud.drained();
      expect(cloud.outcomesOf(messageId)).toHaveLength(1);
      expect(await cloud.row({ deviceId: 'nobody', requestId: 'r' })).toBeUndefined();
    });
  }
});

describe('one bad record costs the others of its batch nothing', () => {
  it('nine good ones and one with the name of another device', async () => {
    const deviceIds = await Promise.all(Array.from({ length: 10 }, () => cloud.newDevice('ten')));
    const requests = deviceIds.map((deviceId) => goodRequest(deviceId));
    const bad = requests[4];
    if (bad === undefined) throw new Error('There are ten.');
    requests[4] = { ...bad, csr: goodRequest('other').csr };
    const before = cloud.signatures().length;
    const messageIds = await cloud.sendAll(requests.map(bodyOf));
    const outcomes = await Promise.all(messageIds.map((messageId) => cloud.ended(messageId)));

    expect(outcomes.map(({ message }) => message)).toEqual(
      requests.map((_, index) => (index === 4 ? 'rejected' : 'issued')),
    );
    expect(outcomes.map(({ receiveCount }) => receiveCount)).toEqual(requests.map(() => 1));
    expect((await cloud.rejected(bad)).code).toBe('NAME_NOT_ALLOWED');
    const { issuingCertificate: issuing, rootCertificate: root } = cloud.local;
    for (const request of requests.toSpliced(4, 1)) {
      const { certificate: leaf } = await cloud.issued(request);
      expect(verifyChain({ leaf, issuing, root })).toMatch(/: OK\n$/);
    }
    expect(cloud.signatures()).toHaveLength(before + 9);
  });

  it('nine good ones and one that cannot be read', async () => {
    const deviceIds = await Promise.all(Array.from({ length: 9 }, () => cloud.newDevice('nine')));
    const requests = deviceIds.map((deviceId) => goodRequest(deviceId));
    const messageIds = await cloud.sendAll(['{', ...requests.map(bodyOf)]);
    for (const request of requests) await cloud.issued(request);
    expect(await cloud.failure(messageIds[0] ?? '')).toMatchObject({ code: 'MESSAGE_NOT_JSON', tries: 1 });
  });
});

describe('who may enrol a device', () => {
  it('another sender than the device allows: a row in failures, and nothing under the device id', async () => {
    const deviceId = await cloud.newDevice('gated', ['LOCALGATEWAYA']);
    const request = goodRequest(deviceId);
    const stranger = cloud.sender('LOCALGATEWAYB');
    const messageId = await cloud.request(request, stranger);
    stranger.destroy();
    expect(await cloud.failure(messageId)).toMatchObject({
      failureClass: 'unauthorised',
      code: 'SENDER_NOT_ALLOWED',
      sender: 'LOCALGATEWAYB',
      tries: 1,
      detail: expect.stringContaining(deviceId),
    });
    expect(await cloud.row(request)).toBeUndefined();

    const gateway = cloud.sender('LOCALGATEWAYA');
    await cloud.request(request, gateway);
    gateway.destroy();
    expect((await cloud.issued(request)).attempt).toBe(1);
  });
});
