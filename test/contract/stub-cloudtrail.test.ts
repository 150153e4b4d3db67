import { randomBytes } from 'node:crypto';
import { CloudTrailClient, type Event, LookupEventsCommand, paginateLookupEvents } from '@aws-sdk/client-cloudtrail';
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  KMSClient,
  SignCommand,
} from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountId, callRaw, region, startTestStub, type TestStub } from './stub-fixture.ts';

let stub: TestStub;
let cloudTrail: CloudTrailClient;
let keyArn: string;

const credentials = { accessKeyId: 'AKIAIOSFODNN7AUDITOR', secretAccessKey: 'any' };

beforeAll(async () => {
  stub = await startTestStub();
  cloudTrail = new CloudTrailClient({ region, credentials, maxAttempts: 1, endpoint: stub.endpoint });
  const { KeyMetadata: created } = await stub.kms.send(
    new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }),
  );
  keyArn = created?.Arn ?? '';
});
afterAll(async () => {
  cloudTrail.destroy();
  await stub.stop();
});

type Key =
  | 'EventName'
  | 'EventId'
  | 'ReadOnly'
  | 'Username'
  | 'ResourceType'
  | 'ResourceName'
  | 'EventSource'
  | 'AccessKeyId';

const signing = (message: Uint8Array) =>
  new SignCommand({ KeyId: keyArn, Message: message, MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_256' });

async function lookUp(key: Key, value: string): Promise<Event[]> {
  const LookupAttributes = [{ AttributeKey: key, AttributeValue: value }];
  const { Events: events = [] } = await cloudTrail.send(new LookupEventsCommand({ LookupAttributes }));
  return events;
}

const recordOf = (event: Event | undefined): unknown => JSON.parse(event?.CloudTrailEvent ?? 'null');

/** A client of KMS with these credentials. */
async function signAs(accessKeyId: string, sessionToken?: string): Promise<void> {
  const given = { accessKeyId, secretAccessKey: 'any', ...(sessionToken === undefined ? {} : { sessionToken }) };
  const kms = new KMSClient({ region, credentials: given, endpoint: stub.endpoint });
  await kms.send(signing(randomBytes(32))).finally(() => kms.destroy());
}

describe('an event', () => {
  it('is of one call: who, when, which key, and nothing of what was signed', async () => {
    const digest = randomBytes(32);
    const before = Math.floor(Date.now() / 1000) * 1000;
    await stub.kms.send(signing(digest));
    const [event] = await lookUp('EventName', 'Sign');
    const accessKeyId = 'AKIAIOSFODNN7EXAMPLE';
    expect(event).toMatchObject({
      EventName: 'Sign',
      EventSource: 'kms.amazonaws.com',
      ReadOnly: 'true',
      AccessKeyId: accessKeyId,
      Username: accessKeyId,
      Resources: [{ ResourceType: 'AWS::KMS::Key', ResourceName: keyArn }],
    });
    expect(event?.EventTime?.getTime()).toBeGreaterThanOrEqual(before);
    expect(recordOf(event)).toMatchObject({
      userIdentity: { type: 'IAMUser', arn: `arn:aws:iam::${accountId}:user/${accessKeyId}`, accountId, accessKeyId },
      eventTime: event?.EventTime?.toISOString().replace('.000Z', 'Z'),
      eventSource: 'kms.amazonaws.com',
      eventName: 'Sign',
      awsRegion: region,
      sourceIPAddress: '127.0.0.1',
      requestParameters: { keyId: keyArn, messageType: 'DIGEST', signingAlgorithm: 'ECDSA_SHA_256' },
      responseElements: null,
      eventID: event?.EventId,
      readOnly: true,
      resources: [{ accountId, type: 'AWS::KMS::Key', ARN: keyArn }],
      eventType: 'AwsApiCall',
      managementEvent: true,
      recipientAccountId: accountId,
      eventCategory: 'Management',
    });
    expect(event?.CloudTrailEvent).not.toContain(digest.toString('base64'));
  });

  it("of temporary credentials is a role's session's", async () => {
    await signAs('ASIAIOSFODNN7EXAMPLE', 'token');
    const [event] = await lookUp('AccessKeyId', 'ASIAIOSFODNN7EXAMPLE');
    const name = 'ASIAIOSFODNN7EXAMPLE';
    expect(recordOf(event)).toMatchObject({
      userIdentity: {
        type: 'AssumedRole',
        arn: `arn:aws:sts::${accountId}:assumed-role/${name}/${name}`,
        sessionContext: { sessionIssuer: { type: 'Role', arn: `arn:aws:iam::${accountId}:role/${name}` } },
      },
    });
    expect(event?.CloudTrailEvent).not.toContain('token');
  });

  it('of a session that its token names is that one, as Lambda calls a session as the function', async () => {
    await signAs('ASIAIOSFODNN7FUNCTION', 'mintmark-test-issue:secret');
    const [event] = await lookUp('AccessKeyId', 'ASIAIOSFODNN7FUNCTION');
    const name = 'ASIAIOSFODNN7FUNCTION';
    const arn = `arn:aws:sts::${accountId}:assumed-role/${name}/mintmark-test-issue`;
    expect(recordOf(event)).toMatchObject({ userIdentity: { principalId: `${name}:mintmark-test-issue`, arn } });
    expect(event?.CloudTrailEvent).not.toContain('secret');
  });

  it('of a call that was refused has its error, and the key where there is one', async () => {
    await expect(stub.kms.send(signing(randomBytes(3)))).rejects.toMatchObject({ name: 'ValidationException' });
    const [event] = await lookUp('EventName', 'Sign');
    expect(recordOf(event)).toMatchObject({ errorCode: 'ValidationException', resources: [{ ARN: keyArn }] });
    const unknown = '00000000-0000-4000-8000-000000000000';
    await expect(stub.kms.send(new DescribeKeyCommand({ KeyId: unknown }))).rejects.toMatchObject({
      name: 'NotFoundException',
    });
    const [other] = await lookUp('EventName', 'DescribeKey');
    expect(recordOf(other)).toMatchObject({ errorCode: 'NotFoundException', requestParameters: { keyId: unknown } });
    expect(other?.Resources).toEqual([]);
  });

  it('has no secret in it: neither plaintext nor ciphertext', async () => {
    const EncryptionContext = { purpose: 'test' };
    const { CiphertextBlob } = await stub.kms.send(
      new EncryptCommand({ KeyId: stub.sealingKeyArn, Plaintext: Buffer.from('crypto_user:PIN'), EncryptionContext }),
    );
    await stub.kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
    const events = [...(await lookUp('EventName', 'Encrypt')), ...(await lookUp('EventName', 'Decrypt'))];
    expect(events).toHaveLength(2);
    for (const event of events) {
      expect(event.Resources).toEqual([{ ResourceType: 'AWS::KMS::Key', ResourceName: stub.sealingKeyArn }]);
      expect(event.CloudTrailEvent).toContain('"encryptionContext":{"purpose":"test"}');
      expect(event.CloudTrailEvent).not.toMatch(/PIN|Blob|laintext/);
      expect(event.CloudTrailEvent).not.toContain(Buffer.from('crypto_user:PIN').toString('base64'));
    }
  });
});

describe('a fault', () => {
  const outcomes = async (fault: object): Promise<(string | undefined)[]> => {
    const earlier = (await lookUp('EventName', 'Sign')).length;
    await stub.admin('faults', { faults: [{ operation: 'TrentService.Sign', ...fault }] });
    await expect(stub.kms.send(signing(randomBytes(32)))).rejects.toBeInstanceOf(Error);
    const events = await lookUp('EventName', 'Sign');
    return events
      .slice(0, events.length - earlier)
      .map((event) => (recordOf(event) as { errorCode?: string }).errorCode);
  };

  it.each([
    ['error before', { code: 'ThrottlingException' }, ['ThrottlingException']],
    ['error after', { code: 'KMSInternalException', when: 'after' }, [undefined]],
    ['dropped before', { effect: 'connection-dropped' }, []],
    ['dropped after', { effect: 'connection-dropped', when: 'after' }, [undefined]],
  ])('is recorded as what was done: %s', async (_, fault, found) => {
    expect(await outcomes(fault)).toEqual(found);
  });
});

describe('looking up', () => {
  it('names one attribute', async () => {
    await signAs('AKIAIOSFODNN7SOMEONE');
    const [event] = await lookUp('Username', 'AKIAIOSFODNN7SOMEONE');
    const of = async (key: Key, value: string) => (await lookUp(key, value)).map(({ EventId: id }) => id);
    const id = event?.EventId;
    expect(await of('EventId', id ?? '')).toEqual([id]);
    expect(await of('ResourceName', keyArn)).toContain(id);
    expect(await of('ResourceType', 'AWS::KMS::Key')).toContain(id);
    expect(await of('EventSource', 'kms.amazonaws.com')).toContain(id);
    expect(await of('ReadOnly', 'true')).toContain(id);
    expect(await of('ReadOnly', 'false')).not.toContain(id);
    expect(await of('EventSource', 'cloudhsm.amazonaws.com')).toEqual([]);
    expect(await of('EventName', 'CreateKey')).toHaveLength(1);
  });

  it('goes page by page, the newest first, while more is signed', async () => {
    const asked = { LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: 'Sign' } as const] };
    const all = (await cloudTrail.send(new LookupEventsCommand(asked))).Events ?? [];
    const ids: (string | undefined)[] = [];
    for await (const { Events: events = [] } of paginateLookupEvents({ client: cloudTrail, pageSize: 2 }, asked)) {
      expect(events.length).toBeLessThanOrEqual(2);
      ids.push(...events.map(({ EventId: id }) => id));
      await stub.kms.send(signing(randomBytes(32)));
    }
    expect(ids).toEqual(all.map(({ EventId: id }) => id));
    const times = all.map(({ EventTime: time }) => time?.getTime() ?? 0);
    expect(times).toEqual(times.toSorted((one, other) => other - one));
  });

  it('is of a time, both ends with it, and of the last 90 days', async () => {
    const offsetSeconds = 3_600;
    await stub.admin('clock', { offsetSeconds });
    await signAs('AKIAIOSFODNN7INANHOUR');
    const [{ EventTime: time = new Date(0) } = {}] = await lookUp('Username', 'AKIAIOSFODNN7INANHOUR');
    const within = async (from: number, to: number) => {
      const StartTime = new Date(time.getTime() + from);
      const EndTime = new Date(time.getTime() + to);
      const { Events: events = [] } = await cloudTrail.send(new LookupEventsCommand({ StartTime, EndTime }));
      return events.filter(({ Username: name }) => name === 'AKIAIOSFODNN7INANHOUR').length;
    };
    expect([await within(0, 0), await within(-1_000, -1_000), await within(1_000, 1_000)]).toEqual([1, 0, 0]);
    await stub.admin('clock', { offsetSeconds: offsetSeconds + 90 * 86_400 + 60 });
    expect(await lookUp('EventName', 'Sign')).toEqual([]);
    await stub.admin('clock', { offsetSeconds: 0 });
  });

  const name = (value: string) => ({ AttributeKey: 'EventName', AttributeValue: value });
  it.each<[string, object]>([
    ['InvalidLookupAttributesException', { LookupAttributes: [name('Sign'), name('Verify')] }],
    ['InvalidLookupAttributesException', { LookupAttributes: [{ AttributeKey: 'Colour', AttributeValue: 'red' }] }],
    ['InvalidLookupAttributesException', { LookupAttributes: [name('')] }],
    ['InvalidLookupAttributesException', { LookupAttributes: [name('x'.repeat(2001))] }],
    ['InvalidMaxResultsException', { MaxResults: 0 }],
    ['InvalidMaxResultsException', { MaxResults: 51 }],
    ['InvalidTimeRangeException', { StartTime: 2, EndTime: 1 }],
    ['InvalidNextTokenException', { NextToken: 'any' }],
    ['InvalidEventCategoryException', { EventCategory: 'management' }],
    ['SerializationException', { MaxResults: 'ten' }],
  ])('is refused with %s: %j', async (code, input) => {
    const target = 'com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents';
    const authorization = `AWS4-HMAC-SHA256 Credential=AKIA/20261122/${region}/cloudtrail/aws4_request, SignedHeaders=host, Signature=0`;
    const response = await callRaw(stub.endpoint, target, JSON.stringify(input), { authorization });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ __type: code });
  });

  it('takes a token with what it was given for, only', async () => {
    const { NextToken } = await cloudTrail.send(new LookupEventsCommand({ MaxResults: 1 }));
    expect(NextToken).toBeDefined();
    await expect(cloudTrail.send(new LookupEventsCommand({ MaxResults: 2, NextToken }))).rejects.toMatchObject({
      name: 'InvalidNextTokenException',
    });
  });
});
