import { type CloudTrailClient, LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import type { Period } from './period.ts';
import { readSignEvent, type SignEvent } from './sign-event.ts';

/** "The rate of lookup requests is limited to two per second, per account, per Region" (AWS CloudTrail API reference). */
export const lookupsPerSecond = 2;

export interface LookupOptions {
  readonly period: Pick<Period, 'from' | 'to'>;
  /** Waits until one more lookup may be sent. */
  readonly pace: (count: number) => Promise<void>;
  readonly signal?: AbortSignal;
}

/**
 * Every call of kms:Sign of the Region and account in the period, a page at a time, the newest first. A lookup can name one
 * attribute, and by the event's name all keys are looked at in one go; by a key it would be all that is done with that key.
 *
 * @throws the CloudTrail client's errors; Error for an event that cannot be read
 */
export async function* lookUpSignEvents(
  client: CloudTrailClient,
  { period, pace, signal }: LookupOptions,
): AsyncGenerator<readonly SignEvent[], void, undefined> {
  let token: string | undefined;
  do {
    await pace(1);
    const command = new LookupEventsCommand({
      LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: 'Sign' }],
      StartTime: new Date(period.from),
      // "Before or at": the last second of the period.
      EndTime: new Date(period.to - 1_000),
      MaxResults: 50,
      ...(token === undefined ? {} : { NextToken: token }),
    });
    const { Events: events = [], NextToken: next } = await client
      .send(command, signal === undefined ? {} : { abortSignal: signal })
      .catch((cause: unknown) => {
        throw new Error('Looking for kms:Sign in CloudTrail', { cause });
      });
    // Sign is no other service's operation today.
    yield events
      .filter(({ EventSource: source }) => source === 'kms.amazonaws.com')
      .map(({ CloudTrailEvent: text = '{}' }) => readSignEvent(text));
    token = next;
  } while (token !== undefined);
}
