import type { FunctionRole } from './function-roles.ts';
import { isWithin, type Period, settled } from './period.ts';
import { type Caller, isOfKey, type SignEvent } from './sign-event.ts';

/** What one caller did with one key. */
export interface CallerCount {
  /** As in CloudTrail. */
  readonly arn: string;
  /** Which Lambda function the credentials were issued to, where CloudTrail says so. */
  readonly functionArn: string | undefined;
  /** Whether it is one of the functions that are to sign, with the role that this function has now. */
  readonly isExpected: boolean;
  /** Whether it has the role of one of them, if only that. */
  readonly hasTheirRole: boolean;
  readonly signed: number;
  /** Those of them that were asked for in the period, and counted in it if at all. */
  readonly signedSettled: number;
  /** Calls that were refused, or failed. */
  readonly refused: number;
}

/** Counts events by key and caller, as they come: there may be more of them than memory. */
export class CallerCounts {
  readonly #keys: ReadonlyMap<string, readonly string[]>;
  readonly #signing: readonly FunctionRole[];
  readonly #period: Period;
  readonly #counts = new Map<string, Map<string, CallerCount>>();

  /** @param keys by a name that `of` takes: what the key is called, by ARN or by its id alone; both are one key */
  constructor(keys: ReadonlyMap<string, readonly string[]>, signing: readonly FunctionRole[], period: Period) {
    this.#keys = keys;
    this.#signing = signing;
    this.#period = period;
  }

  add(event: SignEvent): void {
    if (!isWithin(this.#period, event.at)) return;
    for (const [key, keyIds] of this.#keys) {
      if (keyIds.some((keyId) => isOfKey(event, keyId))) this.#addTo(key, event);
    }
  }

  #addTo(key: string, { caller, at, errorCode }: SignEvent): void {
    const counts = this.#counts.get(key) ?? new Map<string, CallerCount>();
    this.#counts.set(key, counts);
    const isSignature = errorCode === undefined;
    const name = `${caller.arn} ${caller.functionArn ?? ''}`;
    const earlier = counts.get(name) ?? {
      arn: caller.arn,
      functionArn: caller.functionArn,
      isExpected: this.#signing.some((one) => isSessionOf(caller, one)),
      hasTheirRole: this.#signing.some(({ roleArn }) => roleArn === caller.roleArn),
      signed: 0,
      signedSettled: 0,
      refused: 0,
    };
    counts.set(name, {
      ...earlier,
      signed: earlier.signed + (isSignature ? 1 : 0),
      signedSettled: earlier.signedSettled + (isSignature && isWithin(settled(this.#period), at) ? 1 : 0),
      refused: earlier.refused + (isSignature ? 0 : 1),
    });
  }

  /** Those who used the key, whoever did most of it first. */
  of(key: string): CallerCount[] {
    return [...(this.#counts.get(key)?.values() ?? [])].toSorted(
      (one, other) => other.signed - one.signed || (one.arn < other.arn ? -1 : 1),
    );
  }
}

/**
 * Lambda names the session after the function, so that another function with the same role is told apart; one of the
 * same name in another Region is, where CloudTrail says whom the credentials were issued to.
 */
const isSessionOf = (caller: Caller, { functionName, functionArn, roleArn }: FunctionRole): boolean =>
  caller.roleArn === roleArn &&
  caller.sessionName === functionName &&
  (caller.functionArn === undefined || caller.functionArn === functionArn);
