import { createHash } from 'node:crypto';
import * as z from 'zod';
import { AwsError } from '../aws-error.ts';
import type { Context } from '../context.ts';
import { operation } from '../operation.ts';
import { page } from '../paging.ts';
import type { KmsCall } from '../state.ts';
import { userIdentity } from './caller.ts';

/** The event history is of the last 90 days (LookupEvents, AWS CloudTrail API reference). Milliseconds. */
const history = 90 * 86_400_000;

/** Of the error there is no other member than its name (AWS's service model). */
const refused = (code: string): AwsError => new AwsError(code);

interface Event {
  readonly call: KmsCall;
  /** As CloudTrail writes it: to the second. Milliseconds since the epoch. */
  readonly eventTime: number;
}

const lookups: Readonly<Record<string, (call: KmsCall, value: string) => boolean>> = {
  EventId: (call, value) => call.eventId === value,
  EventName: (call, value) => call.eventName === value,
  ReadOnly: (call, value) => String(call.readOnly) === value,
  Username: (call, value) => call.caller.accessKeyId === value,
  ResourceType: (call, value) => call.keyArn !== undefined && value === keyType,
  ResourceName: (call, value) => call.keyArn === value,
  EventSource: (_, value) => value === eventSource,
  AccessKeyId: (call, value) => call.caller.accessKeyId === value,
};

const keyType = 'AWS::KMS::Key';
const eventSource = 'kms.amazonaws.com';

/** LookupEvents (AWS CloudTrail API reference), of calls of KMS; the newest first, each as soon as it was made. */
export const lookupEvents = operation(
  'InvalidLookupAttributesException',
  z.object({
    LookupAttributes: z.array(z.object({ AttributeKey: z.string(), AttributeValue: z.string() })).optional(),
    StartTime: z.number().optional(),
    EndTime: z.number().optional(),
    EventCategory: z.string().optional(),
    MaxResults: z.int().optional(),
    NextToken: z.string().optional(),
  }),
  (state, input, context) => {
    const { StartTime, EndTime, EventCategory, MaxResults: limit = 50, NextToken: marker } = input;
    const matches = matcherOf(input.LookupAttributes ?? []);
    if (limit < 1 || limit > 50) throw refused('InvalidMaxResultsException');
    if (EventCategory !== undefined && EventCategory !== 'insight') throw refused('InvalidEventCategoryException');
    const from = (StartTime ?? 0) * 1000;
    const to = EndTime === undefined ? Number.POSITIVE_INFINITY : EndTime * 1000;
    if (from > to) throw refused('InvalidTimeRangeException');
    const { NextToken: _, ...asked } = input;
    const events = (EventCategory === 'insight' ? [] : state.kmsCalls)
      .map((call): Event => ({ call, eventTime: Math.floor(call.at / 1000) * 1000 }))
      .filter(({ eventTime }) => eventTime >= from && eventTime <= to && eventTime > context.now - history)
      .filter(({ call }) => matches(call))
      .toReversed();
    // A token is taken with the parameters that it was given for, and no others.
    const list = createHash('sha256').update(JSON.stringify(asked)).digest('base64url');
    const found = page(events, ({ call }) => call.eventId, { list, limit, marker });
    if (found === undefined) throw refused('InvalidNextTokenException');
    return {
      Events: found.items.map((event) => eventShape(event, context)),
      ...(found.next === undefined ? {} : { NextToken: found.next }),
    };
  },
);

/** "Currently the list can contain only one item." */
function matcherOf(
  attributes: readonly { readonly AttributeKey: string; readonly AttributeValue: string }[],
): (call: KmsCall) => boolean {
  const [attribute, ...others] = attributes;
  if (attribute === undefined) return () => true;
  const { AttributeKey: key, AttributeValue: value } = attribute;
  const lookup = Object.hasOwn(lookups, key) ? lookups[key] : undefined;
  if (others.length > 0 || lookup === undefined || value.length < 1 || value.length > 2000) {
    throw refused('InvalidLookupAttributesException');
  }
  return (call) => lookup(call, value);
}

/** Event (AWS CloudTrail API reference). */
function eventShape({ call, eventTime }: Event, context: Context): object {
  const { eventId, eventName, readOnly, caller, keyArn } = call;
  return {
    EventId: eventId,
    EventName: eventName,
    ReadOnly: String(readOnly),
    AccessKeyId: caller.accessKeyId,
    EventTime: eventTime / 1000,
    EventSource: eventSource,
    Username: caller.accessKeyId,
    Resources: keyArn === undefined ? [] : [{ ResourceType: keyType, ResourceName: keyArn }],
    CloudTrailEvent: JSON.stringify(recordShape(call, eventTime, context)),
  };
}

/** CloudTrail record contents (AWS CloudTrail user guide), with what KMS's entries have ("Sign", AWS KMS developer guide). */
function recordShape(call: KmsCall, eventTime: number, { accountId, region }: Context): object {
  const { caller, keyArn, errorCode, errorMessage } = call;
  return {
    eventVersion: '1.11',
    userIdentity: userIdentity(caller, accountId),
    eventTime: new Date(eventTime).toISOString().replace('.000Z', 'Z'),
    eventSource,
    eventName: call.eventName,
    awsRegion: region,
    sourceIPAddress: caller.sourceIpAddress,
    userAgent: caller.userAgent,
    ...(errorCode === undefined ? {} : { errorCode, errorMessage }),
    requestParameters: call.requestParameters,
    responseElements: null,
    requestID: call.requestId,
    eventID: call.eventId,
    readOnly: call.readOnly,
    ...(keyArn === undefined ? {} : { resources: [{ accountId, type: keyType, ARN: keyArn }] }),
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: accountId,
    eventCategory: 'Management',
  };
}
