import { PublishCommand, type SNSClient } from '@aws-sdk/client-sns';
import { errorKinds } from '../errors.ts';
import { storeError } from '../ledger/index.ts';
import type { Measurement } from '../metrics.ts';
import { embeddedMetrics } from '../metrics-embedded.ts';
import type { Breakers } from './breakers.ts';
import type { BreakerEvent, BreakerReason, BreakerRecord, BreakerState } from './record.ts';

/** In the stage's namespace; the gauges every minute, the counts as the changes are told. */
export const breakerMetrics = {
  /** Count of active issuers whose breaker is open or half-open, or cannot be read. */
  open: 'BreakersOpen',
  /** Count of those that wait for an operator. */
  held: 'BreakersHeld',
  /** Count: changes to this state, told; at least once each. */
  opened: 'BreakerOpened',
  halfOpened: 'BreakerHalfOpened',
  closed: 'BreakerClosed',
} as const;

/** What subscribers of the topic `operations` get of a breaker: at least once, in order, never before it is so. */
export interface BreakerAnnouncement {
  readonly version: 1;
  readonly type: 'breaker.opened' | 'breaker.half-opened' | 'breaker.closed';
  readonly issuerId: string;
  readonly from: BreakerState;
  readonly to: BreakerState;
  /** Open until an operator resumes it. */
  readonly held: boolean;
  /** Grows by one with each change: tells duplicates, and what is missing. */
  readonly revision: number;
  /** ISO 8601. */
  readonly at: string;
  readonly reason?: string;
  readonly detail?: string;
  readonly cure?: string;
}

const types = { open: 'breaker.opened', 'half-open': 'breaker.half-opened', closed: 'breaker.closed' } as const;
const counts = {
  open: breakerMetrics.opened,
  'half-open': breakerMetrics.halfOpened,
  closed: breakerMetrics.closed,
} as const;

/** What to do about a reason. */
export const cureOf = (reason: BreakerReason): string =>
  reason === 'OPERATOR'
    ? 'An operator paused it: `mintmark queue resume` when what it was for is done.'
    : errorKinds[reason].cure;

export function breakerAnnouncement(issuerId: string, event: BreakerEvent): BreakerAnnouncement {
  const { from, to, held, revision, at, reason, detail } = event;
  return {
    version: 1,
    type: types[to],
    issuerId,
    from,
    to,
    held,
    revision,
    at: new Date(at).toISOString(),
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
    ...(reason === undefined || to === 'closed' ? {} : { cure: cureOf(reason) }),
  };
}

/**
 * Publishes a record's untold changes, oldest first, and takes each off the record once it is told. Whoever counts them
 * does so in `onTold`, before that: a change may be told and counted twice, when taking it off fails, and is never lost.
 * @throws MintmarkError of the first that could not be told; it and the later ones stay on the record
 */
export async function tellChanges(
  { sns, topicArn, breakers }: { readonly sns: SNSClient; readonly topicArn: string; readonly breakers: Breakers },
  record: BreakerRecord,
  onTold: (announcement: BreakerAnnouncement) => void,
): Promise<void> {
  for (const event of record.untold) {
    const announcement = breakerAnnouncement(record.issuerId, event);
    const command = new PublishCommand({
      TopicArn: topicArn,
      Message: JSON.stringify(announcement),
      MessageAttributes: {
        type: { DataType: 'String', StringValue: announcement.type },
        issuerId: { DataType: 'String', StringValue: record.issuerId },
      },
    });
    await sns.send(command).catch((error: unknown) => {
      throw storeError(error, `Publishing to ${topicArn}`);
    });
    onTold(announcement);
    await breakers.told(record, event);
  }
}

/**
 * The line of a function's log that counts a change, for `onTold`: no call of CloudWatch's that could fail after the
 * change was taken off its record.
 * @param now milliseconds since the epoch
 */
export const transitionLine = (
  service: string,
  stage: string,
  { type, issuerId, from, to, revision }: BreakerAnnouncement,
  now: number,
): string =>
  embeddedMetrics(
    stage,
    [{ name: counts[to], unit: 'Count', value: 1 }],
    { level: 'INFO', message: 'breaker told', service, type, issuerId, from, to, revision },
    now,
  );

/**
 * The gauges. Pure.
 * @param unreadable how many active issuers have a breaker that cannot be read
 */
export function measureBreakers(records: readonly BreakerRecord[], unreadable: number): Measurement[] {
  const gauge = (name: string, value: number): Measurement => ({ name, unit: 'Count', value });
  return [
    gauge(breakerMetrics.open, unreadable + records.filter(({ state }) => state !== 'closed').length),
    gauge(breakerMetrics.held, records.filter(({ held }) => held).length),
  ];
}
