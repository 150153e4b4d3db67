import type { CallerCount } from './callers.ts';
import type { Counted } from './counted.ts';
import type { Issued } from './issued.ts';

/** What is known of the signatures with one issuer's key in one period. */
export interface Evidence {
  readonly counted: Counted;
  readonly issued: Issued;
  /** Who signed, by CloudTrail; undefined for a key that CloudTrail knows nothing of: one in CloudHSM. */
  readonly callers: readonly CallerCount[] | undefined;
}

/**
 * - `critical`: signatures that no request explains, or certificates that no signature explains.
 * - `note`: a difference that has a harmless cause that is known of.
 */
export interface Finding {
  readonly code:
    | 'UNEXPECTED_CALLER'
    | 'SIGNED_NOT_COUNTED'
    | 'SIGNED_AGAIN'
    | 'COUNTED_NOT_SIGNED'
    | 'ISSUED_NOT_SIGNED'
    | 'UNEXPECTED_CALLER_REFUSED';
  readonly severity: 'critical' | 'note';
  readonly sentence: string;
}

/**
 * What does not add up. Nothing is found that only lies across an end of the period: of signatures those are compared of
 * which whatever follows would have been counted in it, and of certificates those that were signed in it. Pure.
 *
 * Of a signature that a function made and did not live to count there is a trace: its intent is signed again, and counted
 * as repeated, or it stays open, or is abandoned. As many as that may be uncounted and nothing is wrong. (A request that
 * AWS's client sent to KMS twice, since the first answer was lost, leaves none.)
 */
export function compare(evidence: Evidence): Finding[] {
  const { counted, issued, callers } = evidence;
  if (callers === undefined) return issued.certificates > counted.made ? [issuedNotCounted(evidence)] : [];
  const unexpected = callers.filter(({ isExpected }) => !isExpected);
  const expected = callers.filter(({ isExpected }) => isExpected);
  const signed = sumOf(expected, ({ signed: each }) => each);
  const uncounted = sumOf(expected, ({ signedSettled }) => signedSettled) - counted.made;
  return [
    ...unexpected.flatMap(unexpectedCaller),
    ...notCounted(uncounted, counted.repeated + issued.unfinished),
    ...(issued.certificates > Math.max(signed, counted.made) ? [issuedNotSigned(issued.certificates, signed)] : []),
    ...(counted.made > signed ? [countedNotSigned(counted.made - signed)] : []),
  ];
}

function unexpectedCaller({ arn, signed, refused }: CallerCount): Finding[] {
  if (signed > 0) {
    const sentence = `${arn} signed ${times(signed)} with the CA key, and is none of the functions that issue: find out what, and take kms:Sign from whoever it is.`;
    return [{ code: 'UNEXPECTED_CALLER', severity: 'critical', sentence }];
  }
  const sentence = `${arn} tried ${times(refused)} to sign with the CA key, and got no signature.`;
  return refused > 0 ? [{ code: 'UNEXPECTED_CALLER_REFUSED', severity: 'note', sentence }] : [];
}

function notCounted(uncounted: number, explained: number): Finding[] {
  if (uncounted <= 0) return [];
  if (uncounted <= explained) {
    const sentence = `The functions signed ${times(uncounted)} more than they counted: not more than was signed again or came to nothing (${explained}), as when they end while they sign.`;
    return [{ code: 'SIGNED_AGAIN', severity: 'note', sentence }];
  }
  const sentence = `With the roles of the functions that issue it was signed ${times(uncounted)} more than they counted, of which what was signed again or came to nothing explains ${explained}: somebody else may have their credentials, or their logs are not whole.`;
  return [{ code: 'SIGNED_NOT_COUNTED', severity: 'critical', sentence }];
}

const countedNotSigned = (count: number): Finding => ({
  code: 'COUNTED_NOT_SIGNED',
  severity: 'note',
  sentence: `The functions counted ${count} more than CloudTrail has: CloudTrail is late, or CloudWatch read a line of their logs twice. Look again later.`,
});

const issuedNotSigned = (certificates: number, signed: number): Finding => ({
  code: 'ISSUED_NOT_SIGNED',
  severity: 'critical',
  sentence: `${certificates} certificates were issued, and this key signed ${times(signed)}: certificates stand in the table that it did not sign, or CloudTrail is not whole.`,
});

const issuedNotCounted = ({ issued: { certificates }, counted: { made } }: Evidence): Finding => ({
  code: 'ISSUED_NOT_SIGNED',
  severity: 'critical',
  sentence: `${certificates} certificates were issued, and the functions counted ${made} signatures: somebody else wrote certificates into the table, or a function ended between storing and counting (its log says so).`,
});

const sumOf = <Item>(items: readonly Item[], valueOf: (item: Item) => number): number =>
  items.reduce((sum, item) => sum + valueOf(item), 0);

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);
