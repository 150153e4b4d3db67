import { PublishBatchCommand, type PublishBatchRequestEntry, type SNSClient } from '@aws-sdk/client-sns';
import { asMintmarkError, type ErrorCode, errorKinds, MintmarkError } from '../errors.ts';
import { storeError } from '../ledger/index.ts';
import { certificatePem } from './certificate.ts';
import { readIssuedCertificate } from './issued-certificate.ts';
import type { AnsweredRequest, Outcome } from './outcome.ts';
import type { Profile } from './profile.ts';
import { renewAfterOf } from './renewal.ts';

/** PublishBatch takes at most this many entries (Amazon SNS API reference). */
const maximumEntries = 10;

/**
 * Bytes of a message and of all of a batch, attributes included (Amazon SNS API reference, PublishBatch): what a topic takes
 * by default, in its MaximumMessageSize.
 */
const maximumBytes = 262_144;

/** What subscribers of the topic `certificates` get; at least once, never before the answer is in the ledger. */
export type Announcement =
  | {
      readonly version: 1;
      readonly type: 'certificate.issued';
      readonly deviceId: string;
      readonly requestId: string;
      readonly profile: string;
      readonly issuerId: string;
      /** Hex. */
      readonly serialNumber: string;
      /** PEM of the leaf; its issuer's certificate is at the caIssuers URL in it. */
      readonly certificate: string;
      /**
       * When the device had best ask for its next certificate, RFC 3339: spread over its fleet, and within the profile's
       * window. Not there for a certificate without an end.
       */
      readonly renewAfter?: string;
    }
  | {
      readonly version: 1;
      /**
       * `certificate.failed`: nothing is wrong with the request, but it was given up; an operator may send it again.
       * `request.conflict`: refused because the request id has another request's answer, which stands.
       */
      readonly type: 'certificate.rejected' | 'certificate.failed' | 'request.conflict';
      readonly deviceId: string;
      readonly requestId: string;
      readonly profile: string;
      readonly code: string;
      readonly detail: string;
      readonly cure: string;
    };

/** By name, those that are deployed. */
type Profiles = ReadonlyMap<string, Pick<Profile, 'renewal' | 'validity'>>;

/**
 * The announcement of an outcome; none for what has no answer under a device id.
 * @throws DerError for a row whose certificate is none
 */
export function announcementOf(outcome: Outcome, profiles: Profiles): Announcement | undefined {
  switch (outcome.kind) {
    case 'issued': {
      const { deviceId, requestId, profile, issuerId, serialNumber, certificate } = outcome.row;
      const common = { version: 1, type: 'certificate.issued', deviceId, requestId, profile } as const;
      const renewAfter = renewAfterOf(profiles.get(profile), readIssuedCertificate(certificate));
      return {
        ...common,
        issuerId,
        serialNumber,
        certificate: certificatePem(certificate),
        ...(renewAfter === undefined ? {} : { renewAfter: new Date(renewAfter).toISOString() }),
      };
    }
    case 'rejected':
      return refusal(
        outcome.code === 'REQUEST_CONFLICT' ? 'request.conflict' : 'certificate.rejected',
        outcome.request,
        outcome,
      );
    case 'failed':
      return outcome.request === undefined ? undefined : refusal('certificate.failed', outcome.request, outcome);
    case 'retry':
      return undefined;
  }
}

function refusal(
  type: Exclude<Announcement['type'], 'certificate.issued'>,
  { deviceId, requestId, profile }: AnsweredRequest,
  { code, detail }: { readonly code: string; readonly detail: string },
): Announcement {
  const cure = code in errorKinds ? errorKinds[code as ErrorCode].cure : '';
  return { version: 1, type, deviceId, requestId, profile, code, detail, cure };
}

/** Publishes the announcements of outcomes; answers with those that could not be made, or that SNS did not take. */
export async function announce(
  client: SNSClient,
  topicArn: string,
  profiles: Profiles,
  outcomes: readonly Outcome[],
): Promise<ReadonlyMap<Outcome, MintmarkError>> {
  const untold = new Map<Outcome, MintmarkError>();
  const announced = outcomes.flatMap((outcome) => {
    try {
      const announcement = announcementOf(outcome, profiles);
      return announcement === undefined ? [] : [{ outcome, announcement }];
    } catch (error) {
      untold.set(outcome, asMintmarkError(error));
      return [];
    }
  });
  for (const batch of batchesOf(announced.map((each) => ({ ...each, entry: entryOf(each.announcement) })))) {
    const entries = batch.map(({ entry }, index) => ({ ...entry, Id: String(index) }));
    try {
      const command = new PublishBatchCommand({ TopicArn: topicArn, PublishBatchRequestEntries: entries });
      for (const { Id: id, Code: code, Message: message } of (await client.send(command)).Failed ?? []) {
        const refused = batch[Number(id)];
        const error = new MintmarkError('STORE_UNAVAILABLE', `Publishing to ${topicArn}: ${code}: ${message}`);
        if (refused !== undefined) untold.set(refused.outcome, error);
      }
    } catch (error) {
      for (const { outcome } of batch) untold.set(outcome, storeError(error, `Publishing to ${topicArn}`));
    }
  }
  return untold;
}

/** As many as SNS takes in one call; what alone is more than it takes is sent alone, so that it is refused alone. */
function batchesOf<Sent extends { readonly entry: Entry }>(all: readonly Sent[]): Sent[][] {
  const batches: Sent[][] = [];
  let bytes = 0;
  for (const each of all) {
    const length = lengthOf(each.entry);
    const batch = batches.at(-1);
    if (batch !== undefined && batch.length < maximumEntries && bytes + length <= maximumBytes) {
      batch.push(each);
      bytes += length;
    } else {
      batches.push([each]);
      bytes = length;
    }
  }
  return batches;
}

/** Names, types and values of the attributes count (Amazon SNS API reference, MessageAttributeValue). */
const lengthOf = ({ Message: message = '', MessageAttributes: attributes = {} }: Entry): number =>
  [
    message,
    ...Object.entries(attributes).flatMap(([name, { DataType: type = '', StringValue: value = '' }]) => [
      name,
      type,
      value,
    ]),
  ].reduce((length, text) => length + Buffer.byteLength(text), 0);

type Entry = Omit<PublishBatchRequestEntry, 'Id'>;

/** Attributes that a subscription's filter policy can choose by: one device's gateway need not see the others'. */
function entryOf(announcement: Announcement): Entry {
  return {
    Message: JSON.stringify(announcement),
    MessageAttributes: {
      type: { DataType: 'String', StringValue: announcement.type },
      deviceId: { DataType: 'String', StringValue: announcement.deviceId },
    },
  };
}
