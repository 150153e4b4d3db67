import type { CallerCount } from './callers.ts';
import { type Counted, sumOfCounted } from './counted.ts';
import { type Issued, sumOfIssued, type WrongRows } from './issued.ts';

/** What is known of the signatures with one key in one period. */
export interface Evidence {
  /** Of each issuer that has the key. */
  readonly issuers: readonly { readonly counted: Counted; readonly issued: Issued }[];
  /** Who signed, by CloudTrail; undefined for a key that CloudTrail knows nothing of: one in CloudHSM. */
  readonly callers: readonly CallerCount[] | undefined;
  /** Whether it is a multi-Region key of KMS, of which CloudTrail was asked in one Region alone. */
  readonly isMultiRegion: boolean;
}

/**
 * - `critical`: signatures that no request explains, or certificates that no signature explains.
 * - `note`: a difference that has a harmless cause that is known of, or something that was not looked at.
 */
export interface Finding {
  readonly code:
    | 'UNEXPECTED_CALLER'
    | 'SIGNED_NOT_COUNTED'
    | 'SIGNED_NOT_ANSWERED'
    | 'COUNTED_NOT_SIGNED'
    | 'ISSUED_NOT_SIGNED'
    | 'ISSUED_NOT_VERIFIED'
    | 'ISSUED_NOT_DATED'
    | 'ISSUER_UNKNOWN'
    | 'UNEXPECTED_CALLER_REFUSED'
    | 'OTHER_REGIONS_NOT_READ';
  readonly severity: 'critical' | 'note';
  readonly sentence: string;
}

/**
 * What does not add up. Nothing is found that only lies across an end of the period: of signatures those are compared that
 * were asked for in it, and of certificates those that were signed in it. Of certificates that do not verify, and of rows
 * that are not dated, all there are, of whatever time. Pure.
 *
 * A function tells that it asks for signatures before it asks (signature-counts.ts in issuance), so wherever it is killed,
 * and however often, there is no signature of its own that it had not asked for: one more is somebody else's. What it asked
 * for and was not seen to get is the room that somebody with its credentials has. (A request that AWS's client sent to KMS
 * again, since no answer came, was asked for once.)
 */
export function compare({ issuers, callers, isMultiRegion }: Evidence): Finding[] {
  const counted = sumOfCounted(issuers.map((issuer) => issuer.counted));
  const issued = sumOfIssued(issuers.map((issuer) => issuer.issued));
  return [
    ...compareCounts(counted, issued, callers),
    ...notVerified(issued.notVerified),
    ...notDated(issued.notDated),
    ...(isMultiRegion ? [otherRegions] : []),
  ];
}

function compareCounts(counted: Counted, issued: Issued, callers: readonly CallerCount[] | undefined): Finding[] {
  if (callers === undefined) {
    return issued.certificates > counted.made ? [issuedNotCounted(issued.certificates, counted.made)] : [];
  }
  const unexpected = callers.filter(({ isExpected }) => !isExpected);
  const expected = callers.filter(({ isExpected }) => isExpected);
  const signed = sumOf(expected, ({ signed: each }) => each);
  const settled = sumOf(expected, ({ signedSettled }) => signedSettled);
  return [
    ...unexpected.flatMap(unexpectedCaller),
    ...notCounted(settled, counted),
    ...(issued.certificates > Math.max(signed, counted.made) ? [issuedNotSigned(issued.certificates, signed)] : []),
    ...(counted.made > signed ? [countedNotSigned(counted.made - signed)] : []),
  ];
}

/** Issued rows of no issuer: there is no key to verify them with, and no period's counts have them. Pure. */
export function issuersUnknown({ count, first }: WrongRows): Finding[] {
  if (count === 0) return [];
  const sentence = `${rows(count)} issued by an issuer that is not in the issuers table: ${named(count, first)}. The functions write no such row.`;
  return [{ code: 'ISSUER_UNKNOWN', severity: 'critical', sentence }];
}

function notVerified({ count, first }: WrongRows): Finding[] {
  if (count === 0) return [];
  const sentence = `${rows(count)} issued without a certificate that this CA key signed for it: ${named(count, first)}. Somebody else wrote into the table, or the issuer's row has another key than it had then.`;
  return [{ code: 'ISSUED_NOT_VERIFIED', severity: 'critical', sentence }];
}

function notDated({ count, first }: WrongRows): Finding[] {
  if (count === 0) return [];
  const sentence = `${rows(count)} issued at a time that cannot be, so that no period's count has it: ${named(count, first)}. Somebody else wrote into the table, or a function's clock is wrong.`;
  return [{ code: 'ISSUED_NOT_DATED', severity: 'critical', sentence }];
}

const otherRegions: Finding = {
  code: 'OTHER_REGIONS_NOT_READ',
  severity: 'note',
  sentence:
    'This is a multi-Region key: its replicas sign with the same key in other Regions, and CloudTrail has that there. Only this Region was looked at: look with the AWS_REGION of each of the others, too, where every signature is unexpected unless a stage of Mintmark is there.',
};

function unexpectedCaller({ arn, functionArn, hasTheirRole, signed, refused }: CallerCount): Finding[] {
  const who = functionArn === undefined ? arn : `${arn}, with the credentials of ${functionArn},`;
  if (signed > 0) {
    const what = hasTheirRole
      ? 'with the role of a function that issues, and is none of these functions: find out who may pass that role to another function, or assume it.'
      : 'and is none of the functions that issue: find out what, and take kms:Sign from whoever it is. (Their roles are those of today; one that a function had before is none of them.)';
    return [
      {
        code: 'UNEXPECTED_CALLER',
        severity: 'critical',
        sentence: `${who} signed ${times(signed)} with the CA key, ${what}`,
      },
    ];
  }
  const sentence = `${who} tried ${times(refused)} to sign with the CA key, and got no signature.`;
  return refused > 0 ? [{ code: 'UNEXPECTED_CALLER_REFUSED', severity: 'note', sentence }] : [];
}

function notCounted(signed: number, { requested, made }: Counted): Finding[] {
  if (signed > requested) {
    const sentence = `With the roles of the functions that issue it was signed ${times(signed - requested)} more than they asked for (${requested}): somebody else may have their credentials, or their logs are not whole.`;
    return [{ code: 'SIGNED_NOT_COUNTED', severity: 'critical', sentence }];
  }
  if (signed > made) {
    const sentence = `The functions were not seen to get ${signed - made} of what was signed: not more than the ${requested - made} that they asked for and counted no answer to, as when they end while they sign. Nothing tells these from as many that somebody else had signed with their credentials.`;
    return [{ code: 'SIGNED_NOT_ANSWERED', severity: 'note', sentence }];
  }
  return [];
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

const issuedNotCounted = (certificates: number, made: number): Finding => ({
  code: 'ISSUED_NOT_SIGNED',
  severity: 'critical',
  sentence: `${certificates} certificates were issued, and the functions counted ${made} signatures: somebody else wrote certificates into the table, or the functions' logs are not whole: they count a signature before they store its certificate.`,
});

const sumOf = <Item>(items: readonly Item[], valueOf: (item: Item) => number): number =>
  items.reduce((sum, item) => sum + valueOf(item), 0);

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);

const rows = (count: number): string => (count === 1 ? 'One row is' : `${count} rows are`);

const named = (count: number, first: readonly string[]): string =>
  `${first.join(', ')}${count > first.length ? ` and ${count - first.length} more` : ''}`;
