import { PublishCommand, type SNSClient } from '@aws-sdk/client-sns';
import { errorKinds } from '../errors.ts';
import { storeError } from '../ledger/index.ts';
import type { Measurement } from '../metrics.ts';
import type { Breakers } from './breakers.ts';
import type { BreakerEvent, BreakerReason, BreakerRecord } from './record.ts';

/** In the stage's namespace; the gauges every minute, the counts with the changes that they count. */
export const breakerMetrics = {
  /** Count of active issuers whose breaker is open or half-open. */
  open: 'BreakersOpen',
  /** Count of those that wait for an operator. */
  held: 'BreakersHeld',
  /** Count: changes to this state. */
  opened: 'BreakerOpened',
  halfOpened: 'BreakerHalfOpened',
  closed: 'BreakerClosed',
} as const;

/** What subscribers of the topic `operations` get of a breaker: at least once, in order, never before it is so. */
export interface BreakerAnnouncement {
  readonly version: 1;
  readonly type: 'breaker.opened' | 'breaker.half-opened' | 'breaker.closed';
  readonly issuerId: string;
  readonly from: string;
  readonly to: string;
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
 * Publishes a record's untold changes, oldest first, and takes each off the record once it is told.
 * @returns those that were told
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

/** The gauges, and a count for each kind of change that was told. Pure. */
export function measureBreakers(
  records: readonly BreakerRecord[],
  told: readonly Pick<BreakerAnnouncement, 'type'>[],
): Measurement[] {
  const gauge = (name: string, value: number): Measurement => ({ name, unit: 'Count', value });
  return [
    gauge(breakerMetrics.open, records.filter(({ state }) => state !== 'closed').length),
    gauge(breakerMetrics.held, records.filter(({ held }) => held).length),
    ...Object.entries(types).flatMap(([state, type]) => {
      const value = told.filter((announcement) => announcement.type === type).length;
      return value === 0 ? [] : [gauge(counts[state as keyof typeof counts], value)];
    }),
  ];
}
