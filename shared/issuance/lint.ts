import { DerError } from '../asn1/index.ts';
import { MintmarkError } from '../errors.ts';
import { crlShardOf, type RecordableTbs, type RecordedIntent } from '../ledger/index.ts';
import {
  certificateRules,
  issuerRules,
  profileRules,
  type Rule,
  requestRules,
  revocationRules,
  rowRules,
} from './lint-rules.ts';
import type { Profile } from './profile.ts';
import type { TbsIssuer, TbsVariables } from './tbs.ts';
import { readTbsCertificate, type TbsCertificate } from './tbs-reader.ts';

declare const linted: unique symbol;

/** A rule that does not hold, and where it is from. */
export type BrokenRule = Pick<Rule<unknown>, 'name' | 'source'>;

/**
 * A TBSCertificate that passed every rule. Only `lint` makes one and the ledger records nothing else, and signing takes
 * only what the ledger recorded: a signature over an unlinted TBS cannot be written down.
 */
export interface LintedTbsCertificate extends RecordableTbs {
  readonly [linted]: true;
}

/**
 * Looks at the exact bytes that would be signed.
 * @throws MintmarkError LINT_FAILED that names every broken rule
 */
export function lint(
  tbsCertificate: Uint8Array,
  issuer: TbsIssuer,
  profile: Profile,
  variables: TbsVariables,
): LintedTbsCertificate {
  const broken = brokenRules(tbsCertificate, (tbs) => [
    ...brokenOf(certificateRules, { tbs }),
    ...brokenOf(issuerRules, { tbs, issuer }),
    ...brokenOf(profileRules, { tbs, issuer, profile }),
    ...brokenOf(requestRules, { tbs, issuer, profile, variables }),
  ]);
  if (broken.length > 0) {
    const named = broken.map(({ name, source }) => `${name} (${source})`);
    throw new MintmarkError('LINT_FAILED', `The certificate would break ${named.join(', ')}.`);
  }
  const serialNumber = Buffer.from(variables.serialNumber).toString('hex');
  const certificate: Omit<LintedTbsCertificate, typeof linted> = {
    tbsCertificate,
    serialNumber,
    crlShard: crlShardOf(serialNumber, issuer.crlShardCount),
    issuerId: issuer.issuerId,
    profileHash: profile.hash,
    notBefore: variables.notBefore,
    notAfter: variables.notAfter,
    ignored: variables.names.ignored,
  };
  return certificate as LintedTbsCertificate;
}

/** What can be wrong with a TBS that comes out of its row, as the ledger says it. */
type RecordedFault = 'issuer-replaced' | 'lint-failed';

/**
 * Why a TBS that was recorded earlier is not to be signed: whoever recorded it linted it, but whoever can write to the
 * table can write another into its row. `issuer-replaced` where nothing need have been written: the issuer's key or
 * certificate is another one by now.
 * @param tbs the intent's, as `readRecorded` gives it
 * @param profile as it is deployed; its rules are held only to what was made under it
 */
export function faultOfRecorded(
  tbs: TbsCertificate,
  intent: RecordedIntent,
  issuer: TbsIssuer,
  profile: Profile,
): RecordedFault | undefined {
  if (brokenOf(issuerRules, { tbs, issuer }).length > 0) return 'issuer-replaced';
  const madeUnder = profile.hash === intent.profileHash ? profile : undefined;
  const broken = [...brokenToday(tbs, issuer, madeUnder), ...brokenOf(rowRules, { tbs, issuer, row: intent })];
  // A row's requestHash is of one profile's name; another name beside it is none that a message asked for.
  return broken.length === 0 && intent.profile === profile.name ? undefined : 'lint-failed';
}

/** Undefined for what is no TBSCertificate. */
export function readRecorded({ tbsCertificate }: RecordedIntent): TbsCertificate | undefined {
  try {
    return readTbsCertificate(tbsCertificate);
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

/**
 * The rules that a TBS which was recorded earlier breaks today.
 * @param profile the one that it was made under; undefined where that is not deployed any more, and nobody can say
 */
export const lintAgain = (
  tbsCertificate: Uint8Array,
  issuer: TbsIssuer,
  profile: Profile | undefined,
): readonly BrokenRule[] => brokenRules(tbsCertificate, (tbs) => brokenToday(tbs, issuer, profile));

/** As `lintAgain`, of one that was read. */
export const brokenToday = (
  tbs: TbsCertificate,
  issuer: TbsIssuer,
  profile: Profile | undefined,
): readonly BrokenRule[] => [
  ...brokenOf(certificateRules, { tbs }),
  ...brokenOf(issuerRules, { tbs, issuer }),
  ...(profile === undefined
    ? brokenOf(revocationRules, { tbs, issuer })
    : brokenOf(profileRules, { tbs, issuer, profile })),
];

function brokenRules(
  tbsCertificate: Uint8Array,
  brokenOfRead: (tbs: TbsCertificate) => readonly BrokenRule[],
): readonly BrokenRule[] {
  try {
    return brokenOfRead(readTbsCertificate(tbsCertificate));
  } catch (error) {
    if (error instanceof DerError) return [notDer(error)];
    throw error;
  }
}

/** What cannot be read breaks no rule but this. */
export const notDer = (error: DerError): BrokenRule => ({ name: 'der', source: `X.690: ${error.message}` });

export const brokenOf = <Subject>(rules: readonly Rule<Subject>[], subject: Subject): readonly BrokenRule[] =>
  rules.filter((rule) => !holds(rule, subject)).map(({ name, source }) => ({ name, source }));

/** A rule that cannot read what it looks at is broken. */
function holds<Subject>(rule: Rule<Subject>, subject: Subject): boolean {
  try {
    return rule.holds(subject);
  } catch (error) {
    if (error instanceof DerError || error instanceof MintmarkError) return false;
    throw error;
  }
}
