import { DescribeKeyCommand, KMSInternalException } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callRaw, region, startTestStub, type TestStub } from './stub-fixture.ts';

let stub: TestStub;
beforeAll(async () => {
  stub = await startTestStub();
});
afterAll(() => stub.stop());
beforeEach(() => stub.admin('faults', { faults: [] }));

const scope = (place: string, service: string) =>
  `AWS4-HMAC-SHA256 Credential=AKIA/20261122/${place}/${service}/aws4_request, SignedHeaders=host, Signature=0`;

describe("AWS's JSON 1.1 protocol", () => {
  it('answers with its content type and a request id of its own each time', async () => {
    const answers = [
      await callRaw(stub.endpoint, 'TrentService.ListKeys', '{}'),
      await callRaw(stub.endpoint, 'TrentService.NoSuchThing', '{}'),
    ];
    const ids = answers.map((answer) => answer.headers.get('x-amzn-requestid'));
    expect(answers.map((answer) => answer.status)).toEqual([200, 400]);
    for (const answer of answers) expect(answer.headers.get('content-type')).toBe('application/x-amz-json-1.1');
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(ids[0]).not.toBe(ids[1]);
    const { $metadata } = await stub.kms.send(new DescribeKeyCommand({ KeyId: stub.sealingKeyId }));
    expect($metadata.requestId).toBe(stub.log.at(-1)?.requestId);
  });

  it.each([
    'TrentService.NoSuchThing',
    'TrentService.toString',
    'TrentService',
    'TrentService.ListKeys.More',
    'constructor.name',
    'BaldrApiService.ListKeys',
    '',
  ])('does not know the target %j', async (target) => {
    const response = await callRaw(stub.endpoint, target, '{}');
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ __type: 'UnknownOperationException' });
  });

  it.each<[string, string, string]>([
    ['no JSON', '{"KeyId":', 'SerializationException'],
    ['an empty body', '', 'SerializationException'],
    ['an array', '[]', 'SerializationException'],
    ['a wrong type', '{"KeyId": 5}', 'SerializationException'],
    ['nothing required', '{}', 'ValidationException'],
    ['null for a required member', '{"KeyId": null}', 'ValidationException'],
    ['an empty text', '{"KeyId": ""}', 'ValidationException'],
  ])('refuses %s', async (_, body, type) => {
    const response = await callRaw(stub.endpoint, 'TrentService.DescribeKey', body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ __type: type });
  });

  it.each<[string, string]>([
    ['text that is not base64', '{"KeyId": "alias/mintmark-sealing", "Plaintext": "***"}'],
    ['a number', '{"KeyId": "alias/mintmark-sealing", "Plaintext": 1}'],
  ])('refuses %s for a blob', async (_, body) => {
    const response = await callRaw(stub.endpoint, 'TrentService.Encrypt', body);
    expect(await response.json()).toMatchObject({ __type: 'SerializationException' });
  });

  it('says every constraint that is broken, by member', async () => {
    const response = await callRaw(stub.endpoint, 'TrentService.ListKeys', '{"Limit": 0, "Marker": ""}');
    expect(await response.json()).toEqual({
      __type: 'ValidationException',
      message:
        "2 validation errors detected: Value at 'limit' failed to satisfy constraint: Member must have value greater " +
        "than or equal to 1; Value at 'marker' failed to satisfy constraint: Member must have length greater than or " +
        'equal to 1',
    });
  });

  it('ignores members that it does not know, and takes null for absent', async () => {
    const response = await callRaw(stub.endpoint, 'TrentService.ListKeys', '{"Limit": null, "Novelty": 1}');
    expect(response.status).toBe(200);
  });

  it.each<[string, Record<string, string | undefined>, string]>([
    ['unsigned', { authorization: undefined }, 'MissingAuthenticationTokenException'],
    ['signed in another way', { authorization: 'Bearer x' }, 'IncompleteSignatureException'],
    ['signed for another Region', { authorization: scope('ap-south-1', 'kms') }, 'InvalidSignatureException'],
    ['signed for another service', { authorization: scope(region, 's3') }, 'InvalidSignatureException'],
  ])('refuses a request %s', async (_, headers, type) => {
    const response = await callRaw(stub.endpoint, 'TrentService.ListKeys', '{}', headers);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ __type: type });
  });

  it('refuses another content type, another method and a body without end', async () => {
    const plain = await callRaw(stub.endpoint, 'TrentService.ListKeys', '{}', { 'content-type': 'text/plain' });
    expect(await plain.json()).toEqual({ __type: 'UnknownOperationException' });
    const get = await fetch(stub.endpoint);
    expect(get.status).toBe(400);
    const huge = await callRaw(stub.endpoint, 'TrentService.Encrypt', 'x'.repeat(2 * 1024 * 1024));
    expect(huge.status).toBe(413);
    expect((await callRaw(stub.endpoint, 'TrentService.ListKeys', '{}')).status).toBe(200);
  });

  it("names the message as the service's model does", async () => {
    const kms = await callRaw(stub.endpoint, 'TrentService.DescribeKey', '{"KeyId": "x"}');
    expect(Object.keys((await kms.json()) as object)).toEqual(['__type', 'message']);
    const cloudHsm = await callRaw(stub.endpoint, 'BaldrApiService.DescribeBackups', '{"MaxResults": 0}');
    expect(Object.keys((await cloudHsm.json()) as object)).toEqual(['__type', 'Message']);
  });

  it('listens on loopback only', () => {
    expect(new URL(stub.endpoint).hostname).toBe('127.0.0.1');
  });
});

describe('the admin API', () => {
  it('shows the ids that it started with', async () => {
    const state = await (await fetch(`${stub.endpoint}/_stub/state`)).json();
    expect(state).toMatchObject({
      clusterId: stub.clusterId,
      customKeyStoreId: stub.customKeyStoreId,
      sealingKeyId: stub.sealingKeyId,
      sealingKeyArn: stub.sealingKeyArn,
      customKeyStores: [{ connectionState: 'CONNECTED' }],
    });
  });

  it('throttles the next calls of one operation, no others', async () => {
    const answer = await stub.admin('faults', {
      faults: [{ operation: 'TrentService.DescribeKey', code: 'ThrottlingException', count: 2 }],
    });
    expect(answer.faults).toMatchObject([{ remaining: 2 }]);
    const call = () => stub.kms.send(new DescribeKeyCommand({ KeyId: stub.sealingKeyId }));
    const throttled = { name: 'ThrottlingException', message: 'Rate exceeded', $metadata: { httpStatusCode: 400 } };
    await expect(call()).rejects.toMatchObject(throttled);
    expect((await callRaw(stub.endpoint, 'TrentService.ListKeys', '{}')).status).toBe(200);
    await expect(call()).rejects.toMatchObject(throttled);
    await expect(call()).resolves.toBeDefined();
  });

  it("fails with a service's own fault, in the client's class for it", async () => {
    await stub.admin('faults', { faults: [{ operation: 'TrentService.DescribeKey', code: 'KMSInternalException' }] });
    const call = stub.kms.send(new DescribeKeyCommand({ KeyId: stub.sealingKeyId }));
    const error: unknown = await call.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(KMSInternalException);
    expect(error).toMatchObject({ $metadata: { httpStatusCode: 500 } });
  });

  it('fails after the effect where told so: the answer is lost, the alias is there', async () => {
    const body = JSON.stringify({ AliasName: 'alias/after', TargetKeyId: stub.sealingKeyId });
    await stub.admin('faults', {
      faults: [{ operation: 'TrentService.CreateAlias', code: 'KMSInternalException', when: 'after' }],
    });
    expect((await callRaw(stub.endpoint, 'TrentService.CreateAlias', body)).status).toBe(500);
    const again = await callRaw(stub.endpoint, 'TrentService.CreateAlias', body);
    expect(await again.json()).toMatchObject({ __type: 'AlreadyExistsException' });
  });

  it.each<[string, string]>([
    ['clock', '{"offsetSeconds": "1"}'],
    ['clock', 'oops'],
    ['custom-key-store', '{"connectionState": "FAILED"}'],
    ['custom-key-store', '{"connectionState": "CONNECTED", "connectionErrorCode": "USER_NOT_FOUND"}'],
    ['custom-key-store', '{"connectionState": "CONNECTED", "customKeyStoreId": "cks-0"}'],
    ['cluster', '{"state": "BROKEN"}'],
    ['cluster', '{"state": "ACTIVE", "clusterId": "cluster-aaaaaaaaaaa"}'],
    ['hsm', '{"hsmId": "hsm-aaaaaaaaaaa", "state": "ACTIVE"}'],
    ['hsms', '{"hsms": [{"availabilityZone": "us-gov-west-1a"}]}'],
    ['backups', '{"backups": [{"age": 1}]}'],
    ['faults', '{"faults": [{"operation": "Decrypt", "code": "ThrottlingException"}]}'],
    ['faults', '{"faults": [{"operation": "TrentService.Decrypt", "effect": "corrupt-signature"}]}'],
    ['faults', '{"faults": [{"operation": "TrentService.Sign", "effect": "slow"}]}'],
    ['faults', '{"faults": [{"operation": "TrentService.Sign", "effect": "slow", "milliseconds": 1, "count": 0}]}'],
    ['faults', '{"faults": [{"operation": "TrentService.Sign", "effect": "tired"}]}'],
    ['signatures', '{}'],
    ['toString', '{}'],
    ['state', '{}'],
  ])('refuses %s %s and says why', async (command, body) => {
    const response = await fetch(`${stub.endpoint}/_stub/${command}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ message: expect.stringMatching(/.{10}/) });
  });

  it('takes application/json only, which a web page of another origin cannot send unasked', async () => {
    const response = await fetch(`${stub.endpoint}/_stub/clock`, { method: 'POST', body: '{"offsetSeconds": 0}' });
    expect(response.status).toBe(400);
  });
});
