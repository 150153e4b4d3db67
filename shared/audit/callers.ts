import { isWithin, type Period, settled } from './period.ts';
import { isOfKey, type SignEvent } from './sign-event.ts';

/** What one caller did with one key. */
export interface CallerCount {
  /** As in CloudTrail. */
  readonly arn: string;
  /** Whether it is a session of one of the roles that are to sign. */
  readonly isExpected: boolean;
  readonly signed: number;
  /** Those of them of which whatever follows is in the period, too. */
  readonly signedSettled: number;
  /** Calls that were refused, or failed. */
  readonly refused: number;
}

/** Counts events by key and caller, as they come: there may be more of them than memory. */
export class CallerCounts {
  readonly #keyIds: readonly string[];
  readonly #expectedRoleArns: readonly string[];
  readonly #period: Period;
  readonly #counts = new Map<string, Map<string, CallerCount>>();

  /** @param keyIds ARNs, or ids alone */
  constructor(keyIds: readonly string[], expectedRoleArns: readonly string[], period: Period) {
    this.#keyIds = keyIds;
    this.#expectedRoleArns = expectedRoleArns;
    this.#period = period;
  }

  add(event: SignEvent): void {
    if (!isWithin(this.#period, event.at)) return;
    for (const keyId of this.#keyIds) if (isOfKey(event, keyId)) this.#addTo(keyId, event);
  }

  #addTo(keyId: string, { caller, at, errorCode }: SignEvent): void {
    const counts = this.#counts.get(keyId) ?? new Map<string, CallerCount>();
    this.#counts.set(keyId, counts);
    const isSignature = errorCode === undefined;
    const earlier = counts.get(caller.arn) ?? {
      arn: caller.arn,
      isExpected: caller.roleArn !== undefined && this.#expectedRoleArns.includes(caller.roleArn),
      signed: 0,
      signedSettled: 0,
      refused: 0,
    };
    counts.set(caller.arn, {
      ...earlier,
      signed: earlier.signed + (isSignature ? 1 : 0),
      signedSettled: earlier.signedSettled + (isSignature && isWithin(settled(this.#period), at) ? 1 : 0),
      refused: earlier.refused + (isSignature ? 0 : 1),
    });
  }

  /** Those who used the key, whoever did most of it first. */
  of(keyId: string): CallerCount[] {
    return [...(this.#counts.get(keyId)?.values() ?? [])].toSorted(
      (one, other) => other.signed - one.signed || (one.arn < other.arn ? -1 : 1),
    );
  }
}
