import { DerError } from '../asn1/index.ts';
import { MintmarkError } from '../errors.ts';
import {
  type AbandonedSerial,
  crlShardOf,
  type IssuanceRecord,
  type IssuerCertificates,
  isBaseUrl,
  maximumCrlShards,
} from '../ledger/index.ts';
import { parseScheme, schemeOf } from '../signer/index.ts';
import { type CertificateParts, readCertificateParts } from './certificate.ts';
import { readIssuerCertificate } from './issuer-certificate.ts';
import { type KeyPair, keyPairOfIssuer } from './key-checks/issuer-key.ts';
import { brokenKeyRules } from './key-rules.ts';
import { spkiSha256Of } from './key-standing.ts';
import { type BrokenRule, brokenOf, brokenToday, notDer } from './lint.ts';
import { rowRules, serialNumberOf } from './lint-rules.ts';
import type { Profile } from './profile.ts';
import { isSignedBy, issuedRules } from './relint-rules.ts';
import type { TbsIssuer } from './tbs.ts';
import { readTbsCertificate, type TbsCertificate } from './tbs-reader.ts';

/** What issued certificates are held to, and who is asked about them. */
export interface RelintRequirements {
  readonly issuers: ReadonlyMap<string, TbsIssuer>;
  /** By name, as they are now. */
  readonly profiles: ReadonlyMap<string, Profile>;
  /** Those of these keys that are compromised; as CompromisedKeys.among. */
  readonly compromisedAmong: (spkiSha256s: readonly string[]) => Promise<ReadonlySet<string>>;
  readonly isRevoked: (serial: AbandonedSerial) => Promise<boolean>;
  /** Whether those that have ended are checked, too. */
  readonly withExpired: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Why a row is not checked, or what was found in it is not told. */
export type PassedOver =
  /** It holds no certificate: an intent, a rejection, an abandoned one. */
  | 'not-issued'
  | 'expired'
  /** What is broken in it is dealt with: the certificate itself is revoked, whatever its row says of it. */
  | 'revoked'
  /** Its issuer is not in the issuers table, or not as one must be. */
  | 'issuer-unknown';

export interface CheckedRow {
  readonly record: IssuanceRecord;
  /** False: the profile that it was made under is not deployed any more, and was left out. */
  readonly isProfileDeployed: boolean;
  readonly broken: readonly BrokenRule[];
}

export type Relinted = { readonly passedOver: PassedOver } | CheckedRow;

/** What a row was found to be, before its key is asked about. */
interface Subject {
  readonly record: IssuanceRecord;
  readonly issuer: TbsIssuer;
  readonly profile: Profile | undefined;
  readonly read: ReadCertificate | BrokenRule;
}

interface ReadCertificate {
  readonly parts: CertificateParts;
  readonly tbs: TbsCertificate;
  readonly spkiSha256: string;
}

/**
 * Holds issued certificates to today's rules: an answer for each row, in their order. All keys are asked about in one call;
 * whether a certificate is revoked is asked of broken ones alone.
 * @param records at most some hundred: what is known of each is in memory until all are answered
 * @throws whatever compromisedAmong and isRevoked throw
 */
export async function relint(
  records: readonly IssuanceRecord[],
  requirements: RelintRequirements,
): Promise<readonly Relinted[]> {
  const subjects = records.map((record) => subjectOf(record, requirements));
  const keys = subjects.flatMap((one) => ('read' in one && 'tbs' in one.read ? [one.read.spkiSha256] : []));
  const compromised: ReadonlySet<string> = keys.length === 0 ? new Set() : await requirements.compromisedAmong(keys);
  const issuersKeys = new Set(
    [...requirements.issuers.values()].flatMap(({ certificate }) => keyPairOfIssuer(certificate.publicKey) ?? []),
  );
  return Promise.all(
    subjects.map(async (subject): Promise<Relinted> => {
      if ('passedOver' in subject) return subject;
      const { record, profile } = subject;
      const broken = brokenBy(subject, compromised, issuersKeys);
      if (broken.length > 0 && (await isDealtWith(subject, requirements))) return { passedOver: 'revoked' };
      return { record, isProfileDeployed: profile !== undefined, broken };
    }),
  );
}

function subjectOf(
  record: IssuanceRecord,
  { issuers, profiles, withExpired, now }: RelintRequirements,
): Subject | { readonly passedOver: PassedOver } {
  if (record.state !== 'issued') return { passedOver: 'not-issued' };
  const issuer = issuers.get(record.issuerId ?? '');
  if (issuer === undefined) return { passedOver: 'issuer-unknown' };
  const read = readIssued(record.certificate);
  // The certificate's, where it has one that can be read: a row must not hide it by its own.
  const notAfter = 'tbs' in read ? read.tbs.notAfter : record.notAfter;
  if (!withExpired && notAfter !== undefined && notAfter < now()) return { passedOver: 'expired' };
  const named = profiles.get(record.profile ?? '');
  return { record, issuer, profile: named?.hash === record.profileHash ? named : undefined, read };
}

function readIssued(certificate: Uint8Array | undefined): ReadCertificate | BrokenRule {
  if (certificate === undefined)
    return { name: 'certificate-in-its-row', source: 'an issued row holds what was issued' };
  try {
    const parts = readCertificateParts(certificate);
    const tbs = readTbsCertificate(parts.tbsCertificate);
    return { parts, tbs, spkiSha256: spkiSha256Of(tbs.subjectPublicKeyInfo) };
  } catch (error) {
    if (error instanceof DerError) return notDer(error);
    throw error;
  }
}

/** Pure. */
function brokenBy(
  { record, issuer, profile, read }: Subject,
  compromised: ReadonlySet<string>,
  issuersKeys: ReadonlySet<KeyPair>,
): readonly BrokenRule[] {
  if (!('tbs' in read)) return [read];
  const { parts, tbs, spkiSha256 } = read;
  return [
    ...brokenToday(tbs, issuer, profile),
    ...brokenOf(issuedRules, { tbs, issuer, certificate: parts }),
    ...brokenOf(rowRules, { tbs, issuer, row: record }),
    ...brokenKeyRules(tbs.subjectPublicKeyInfo, issuersKeys, profile?.keys, compromised.has(spkiSha256)),
  ];
}

/**
 * Whether relying parties hear that it is revoked: under the serial number that is in it, in the shard that it names, by the
 * issuer that signed it. The row may be what is broken. Of what cannot be read, nobody can say.
 */
async function isDealtWith(
  { issuer, read }: Subject,
  { issuers, isRevoked }: Pick<RelintRequirements, 'issuers' | 'isRevoked'>,
): Promise<boolean> {
  if (!('tbs' in read)) return false;
  const { tbs, parts } = read;
  const { issuerId, crlShardCount } =
    [issuer, ...issuers.values()].find((each) => isSignedBy(parts.der, each)) ?? issuer;
  const serialNumber = serialNumberOf(tbs);
  return isRevoked({ issuerId, crlShard: crlShardOf(serialNumber, crlShardCount), serialNumber });
}

/** The issuers that certificates can be held to, and what is wrong with the others. */
export interface RelintIssuers {
  readonly issuers: ReadonlyMap<string, TbsIssuer>;
  readonly unusable: readonly { readonly issuerId: string; readonly problem: string }[];
}

/** Every issuing CA there has ever been, as a certificate of it is held to it; one that is broken does not hide the others. */
export function relintIssuers(rows: readonly IssuerCertificates[]): RelintIssuers {
  const issuers = new Map<string, TbsIssuer>();
  const unusable: { issuerId: string; problem: string }[] = [];
  for (const row of rows) {
    try {
      issuers.set(row.issuerId, tbsIssuerOf(row));
    } catch (error) {
      if (!(error instanceof MintmarkError)) throw error;
      unusable.push({ issuerId: row.issuerId, problem: error.message });
    }
  }
  return { issuers, unusable };
}

/** @throws MintmarkError CONFIGURATION_INVALID, SIGNER_MISCONFIGURED */
function tbsIssuerOf({
  issuerId,
  certificate,
  signatureAlgorithm,
  baseUrl,
  crlShardCount,
}: IssuerCertificates): TbsIssuer {
  const lacks = (what: string) => new MintmarkError('CONFIGURATION_INVALID', `The issuer ${issuerId} has no ${what}.`);
  if (certificate === undefined) throw lacks('certificate');
  if (baseUrl === undefined || !isBaseUrl(baseUrl)) throw lacks('usable baseUrl');
  if (crlShardCount === undefined || !isShardCount(crlShardCount)) throw lacks('usable crlShardCount');
  const read = readIssuerCertificate(issuerId, certificate);
  const asked = signatureAlgorithm === undefined ? undefined : parseScheme(signatureAlgorithm);
  return { issuerId, certificate: read, scheme: schemeOf(read.publicKey, asked), baseUrl, crlShardCount };
}

const isShardCount = (count: number): boolean => Number.isInteger(count) && count >= 1 && count <= maximumCrlShards;
