import { X509Certificate } from 'node:crypto';
import type { PublishBatchCommand, PublishBatchCommandOutput, SNSClient } from '@aws-sdk/client-sns';
import { describe, expect, it } from 'vitest';
import { bitString, sequence } from '../../shared/asn1/index.ts';
import { MintmarkError } from '../../shared/errors.ts';
import { announce, announcementOf } from '../../shared/issuance/announce.ts';
import type { Outcome } from '../../shared/issuance/outcome.ts';
import { newLinted, newVariables } from '../support/linted.ts';

const topic = 'arn:aws:sns:eu-west-1:111122223333:certificates';

/** From 2026-11-22T11:50:00Z for 365 days. What it is signed with is nobody's business here. */
function certificateOf(serialNumber: string): Uint8Array {
  const { tbsCertificate } = newLinted({ ...newVariables(), serialNumber: Buffer.from(serialNumber, 'hex') });
  const sha256WithRsa = Buffer.from('300d06092a864886f70d01010b0500', 'hex');
  return sequence(tbsCertificate, sha256WithRsa, bitString(new Uint8Array(256)));
}

const certificate = certificateOf('7f01020304050607080940000000000f');
const profiles = new Map([
  ['device-tls', { validity: { days: 90, backdateMinutes: 0 }, renewal: { windowDays: 30, key: 'either' as const } }],
]);

const issued = (deviceId: string): Outcome => ({
  kind: 'issued',
  row: {
    state: 'issued',
    deviceId,
    requestId: 'r',
    requestHash: 'h',
    profile: 'device-tls',
    attempt: 2,
    abandonedSerialNumbers: [],
    issuerId: 'devices',
    serialNumber: '7f01',
    certificate,
  },
});
const rejected: Outcome = {
  kind: 'rejected',
  request: { deviceId: 'd', requestId: 'r', profile: 'device-tls' },
  code: 'KEY_TOO_SMALL',
  detail: 'The RSA modulus has 1024 bits.',
};
const silent: readonly Outcome[] = [
  { kind: 'failed', code: 'MESSAGE_NOT_JSON', detail: 'x' },
  { kind: 'retry', error: new MintmarkError('INTERNAL', 'x') },
];

/** A topic that answers as told; it keeps what it was sent. */
function topicThat(answer: (call: number) => Partial<PublishBatchCommandOutput>) {
  const calls: PublishBatchCommand['input'][] = [];
  const send = async (command: PublishBatchCommand) => {
    calls.push(command.input);
    return answer(calls.length);
  };
  return { client: { send } as unknown as SNSClient, calls };
}

describe('announcementOf', () => {
  it('has the certificate of what was issued', () => {
    expect(announcementOf(issued('d'), profiles)).toEqual({
      version: 1,
      type: 'certificate.issued',
      deviceId: 'd',
      requestId: 'r',
      profile: 'device-tls',
      issuerId: 'devices',
      serialNumber: '7f01',
      certificate: new X509Certificate(certificate).toString(),
      // The window opens on 2027-10-23T11:50:00Z; 0x40.. of its first half, 15 days, is a quarter.
      renewAfter: '2027-10-27T05:50:00.000Z',
    });
  });

  it('says when to renew by a window of a third where the profile is not deployed or has none', () => {
    const renewAfters = [new Map(), new Map([['device-tls', { validity: { days: 365, backdateMinutes: 0 } }]])].map(
      (deployed) => announcementOf(issued('d'), deployed),
    );
    // From 2027-07-23T19:50:00Z, 121 days and 16 hours before the end, and an eighth of these later.
    const renewAfter = '2027-08-08T00:50:00.000Z';
    expect(renewAfters).toEqual([expect.objectContaining({ renewAfter }), expect.objectContaining({ renewAfter })]);
  });

  it('has the reason and the cure of what was rejected, also where the code is one of a later version', () => {
    expect(announcementOf(rejected, profiles)).toEqual({
      version: 1,
      type: 'certificate.rejected',
      deviceId: 'd',
      requestId: 'r',
      profile: 'device-tls',
      code: 'KEY_TOO_SMALL',
      detail: 'The RSA modulus has 1024 bits.',
      cure: expect.stringContaining('RSA modulus'),
    });
    expect(announcementOf({ ...rejected, code: 'NOT_YET_INVENTED' }, profiles)).toMatchObject({
      code: 'NOT_YET_INVENTED',
      cure: '',
    });
  });

  it('is none for what has no answer', () => {
    for (const outcome of silent) expect(announcementOf(outcome, profiles)).toBeUndefined();
  });
});

describe('announce', () => {
  it('publishes in batches of ten at most, each once, in order, with what to filter by', async () => {
    const { client, calls } = topicThat(() => ({}));
    const outcomes = Array.from({ length: 23 }, (_, index) => issued(`device-${index}`));
    expect(await announce(client, topic, profiles, [...outcomes, rejected])).toEqual(new Map());
    expect(calls.map(({ PublishBatchRequestEntries: entries }) => entries?.length)).toEqual([10, 10, 4]);
    for (const { TopicArn, PublishBatchRequestEntries: entries = [] } of calls) {
      expect(TopicArn).toBe(topic);
      expect(new Set(entries.map(({ Id }) => Id)).size).toBe(entries.length);
    }
    const entries = calls.flatMap(({ PublishBatchRequestEntries }) => PublishBatchRequestEntries ?? []);
    const messages = entries.map(({ Message }) => JSON.parse(Message ?? '') as { deviceId: string; type: string });
    expect(messages.map(({ deviceId }) => deviceId)).toEqual([...outcomes.map((_, index) => `device-${index}`), 'd']);
    for (const [index, { MessageAttributes }] of entries.entries()) {
      expect(MessageAttributes).toEqual({
        type: { DataType: 'String', StringValue: messages[index]?.type },
        deviceId: { DataType: 'String', StringValue: messages[index]?.deviceId },
      });
    }
  });

  it('publishes no more bytes at once than SNS takes, and alone what alone is more', async () => {
    const { client, calls } = topicThat(() => ({}));
    const told = (detail: string): Outcome => ({ ...rejected, detail });
    const length = (outcome: Outcome) => {
      const message = JSON.stringify(announcementOf(outcome, profiles));
      return Buffer.byteLength(`${message}typeStringcertificate.rejecteddeviceIdStringd`);
    };
    const left = 262_144 - length(told('ä'.repeat(100_000))) - length(told(''));
    const details = [
      'ä'.repeat(100_000),
      'x'.repeat(left),
      'ä'.repeat(100_000),
      'x'.repeat(left + 1),
      'ä'.repeat(131_000),
    ];
    expect(await announce(client, topic, profiles, [...details, '', ''].map(told))).toEqual(new Map());
    const sent = calls.map(({ PublishBatchRequestEntries: entries = [] }) =>
      entries.map(({ Message: message = '' }) => (JSON.parse(message) as { detail: string }).detail),
    );
    const [first, second, third, fourth, tooLong] = details;
    expect(sent).toEqual([[first, second], [third], [fourth], [tooLong], ['', '']]);
  });

  it('publishes nothing where there is nothing to tell', async () => {
    const { client, calls } = topicThat(() => ({}));
    expect(await announce(client, topic, profiles, silent)).toEqual(new Map());
    expect(calls).toEqual([]);
  });

  it('answers with those that were not taken, and no others', async () => {
    const { client } = topicThat((call) =>
      call === 2 ? { Failed: [{ Id: '1', Code: 'InternalFailure', Message: 'busy', SenderFault: false }] } : {},
    );
    const outcomes = Array.from({ length: 15 }, (_, index) => issued(`device-${index}`));
    const mixed = [...silent, ...outcomes];
    const untold = await announce(client, topic, profiles, mixed);
    expect([...untold.keys()]).toEqual([outcomes[11]]);
    expect(untold.get(outcomes[11] as Outcome)).toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringContaining('InternalFailure: busy'),
    });
  });

  it('goes on beside a row whose certificate is none, and answers with it', async () => {
    const { client, calls } = topicThat(() => ({}));
    const good = issued('d') as Extract<Outcome, { kind: 'issued' }>;
    const broken: Outcome = { ...good, row: { ...good.row, certificate: Uint8Array.of(0x30, 0) } };
    const untold = await announce(client, topic, profiles, [broken, good]);
    expect([...untold].map(([outcome, { code }]) => [outcome, code])).toEqual([[broken, 'INTERNAL']]);
    expect(calls.map(({ PublishBatchRequestEntries: entries }) => entries?.length)).toEqual([1]);
  });

  it('goes on after a batch that failed whole', async () => {
    const { client, calls } = topicThat((call) => {
      if (call === 1) throw Object.assign(new Error('Not allowed.'), { name: 'AuthorizationErrorException' });
      return {};
    });
    const outcomes = Array.from({ length: 15 }, (_, index) => issued(`device-${index}`));
    const untold = await announce(client, topic, profiles, outcomes);
    expect([...untold.keys()]).toEqual(outcomes.slice(0, 10));
    expect([...untold.values()].map(({ code }) => code)).toEqual(Array.from({ length: 10 }, () => 'STORE_REFUSED'));
    expect(calls).toHaveLength(2);
  });
});
