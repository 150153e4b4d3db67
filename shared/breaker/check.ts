import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import type { SNSClient } from '@aws-sdk/client-sns';
import { type GuardedIssuer, readBoard } from './board.ts';
import type { Breakers } from './breakers.ts';
import { type Canary, messagesAreOfUse, needsCanary, probesOf, type Step, stepFor } from './decide.ts';
import { changeMapping, type Mapping, type MappingChange, mappingChanges, readMappings } from './mappings.ts';
import type { BreakerRecord } from './record.ts';
import { type BreakerAnnouncement, tellChanges } from './tell.ts';
import { type BreakerTimes, breakerTimes } from './times.ts';

export interface CheckSources {
  readonly dynamoDB: DynamoDBClient;
  readonly lambda: LambdaClient;
  readonly sns: SNSClient;
  readonly issuersTable: string;
  readonly breakers: Breakers;
  /** The function that issues. */
  readonly functionName: string;
  readonly topicArn: string;
  readonly canaryOf: (issuer: GuardedIssuer) => Promise<Canary>;
  /** Whether messages wait in the function's queues, in flight or not. */
  readonly waits: () => Promise<boolean>;
  /** Between two looks, in seconds. */
  readonly checkSignerSeconds: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly on: {
    readonly step: (issuerId: string, step: Step, canary: Canary, after: BreakerRecord) => void;
    readonly mapping: (change: MappingChange) => void;
    readonly told: (announcement: BreakerAnnouncement) => void;
    /** What failed, after which the look goes on. */
    readonly error: (error: unknown) => void;
  };
}

export interface Checked {
  readonly breakers: readonly BreakerRecord[];
  /** Ids of the active issuers whose breaker's row is none; `on.error` has heard why. */
  readonly unreadable: readonly string[];
  readonly mappings: readonly Mapping[];
}

/**
 * One look: takes each active issuer's breaker a step on, has the event source mappings follow, and publishes what
 * changed, whoever changed it. Whatever fails hides nothing else and is done by the next look: what is wanted is worked
 * out anew from the records each time.
 * @throws MintmarkError when the issuers table cannot be read
 */
export async function check(sources: CheckSources): Promise<Checked> {
  const { dynamoDB, issuersTable, on } = sources;
  const times = breakerTimes(sources.checkSignerSeconds);
  const board = await readBoard(dynamoDB, issuersTable);
  for (const { error } of board.unreadable) on.error(error);
  const orElse = async <T>(otherwise: T, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      on.error(error);
      return otherwise;
    }
  };
  const breakers = await Promise.all(
    board.issuers.map((issuer) => orElse(issuer.breaker, () => takeStep(sources, issuer, times))),
  );
  // An issuer whose breaker cannot be read is issued to all the same.
  const isWanted = board.unreadable.length > 0 || messagesAreOfUse(breakers, sources.now(), times);
  const wanted = isWanted ? 'running' : 'paused';
  const mappings = await orElse([], () => readMappings(sources.lambda, sources.functionName));
  for (const change of mappingChanges(mappings, board.pausedMappings, wanted)) {
    await orElse(undefined, async () => {
      await changeMapping(sources, change);
      on.mapping(change);
    });
  }
  for (const record of breakers) await orElse(undefined, () => tellChanges(sources, record, on.told));
  return { breakers, unreadable: board.unreadable.map(({ issuerId }) => issuerId), mappings };
}

async function takeStep(sources: CheckSources, issuer: GuardedIssuer, times: BreakerTimes): Promise<BreakerRecord> {
  const { breakers, canaryOf, waits, now, on } = sources;
  const { breaker } = issuer;
  if (!needsCanary(breaker)) return breaker;
  const [canary, isWaiting] = await Promise.all([canaryOf(issuer), waits()]);
  const step = stepFor(breaker, canary, isWaiting, now(), times);
  // Undefined: a batch or an operator was faster, and what they made of it counts.
  const after = (await apply(breakers, breaker, step, now())) ?? (await breakers.read(issuer.issuerId));
  on.step(issuer.issuerId, step, canary, after);
  return after;
}

async function apply(
  breakers: Breakers,
  record: BreakerRecord,
  step: Step,
  now: number,
): Promise<BreakerRecord | undefined> {
  switch (step) {
    case 'leave':
      return record;
    case 'half-open':
      return breakers.halfOpen(record, probesOf(record), now);
    case 'give-probes':
      return breakers.giveProbes(record, probesOf(record));
    case 'open':
      return breakers.open(record, { reason: 'SIGNER_UNAVAILABLE', detail: 'Its canary does not sign.' }, 0, now);
    case 'close':
      return breakers.close(record, now);
  }
}
