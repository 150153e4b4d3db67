import { X509Certificate } from 'node:crypto';
import type { BreakerRecord } from '../shared/breaker/index.ts';
import type { Profile } from '../shared/issuance/index.ts';
import type { IssuerCertificates, IssuerName } from '../shared/ledger/index.ts';
import { breakerJson, type UnreadableBreaker, unreadableJson } from './breakers.ts';
import { factLines } from './facts.ts';
import { namesOf, profilesOf, rollBy } from './issuing.ts';
import { isoTime, shortTime } from './json.ts';

/** What is known of an issuing CA. Times in milliseconds since the epoch. */
export interface SeenIssuer {
  readonly issuer: IssuerCertificates;
  /** What its certificate says; undefined where that cannot be read. */
  readonly certificate: SeenCertificate | undefined;
  /** The names that lead to it. */
  readonly names: readonly string[];
  /** The profiles whose certificates it signs; undefined where no profiles were read. */
  readonly profiles: readonly string[] | undefined;
  /** By when the next issuing CA has to issue in its place; of an active one that issues. */
  readonly rollBy: number | undefined;
  readonly breaker: BreakerRecord | UnreadableBreaker | undefined;
}

interface SeenCertificate {
  readonly pem: string;
  readonly subject: string;
  readonly serialNumber: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly key: string;
}

export function seeIssuer(
  issuer: IssuerCertificates,
  names: readonly IssuerName[],
  profiles: readonly Profile[] | undefined,
  breaker: BreakerRecord | UnreadableBreaker | undefined,
): SeenIssuer {
  const certificate = seeCertificate(issuer.certificate);
  const its = profiles === undefined ? undefined : profilesOf(issuer.issuerId, names, profiles);
  const isIssuing = issuer.state === 'active' && its !== undefined && certificate !== undefined;
  return {
    issuer,
    certificate,
    names: namesOf(issuer.issuerId, names),
    profiles: its?.map(({ name }) => name),
    rollBy: isIssuing ? rollBy(its, certificate) : undefined,
    breaker,
  };
}

function seeCertificate(der: Uint8Array | undefined): SeenCertificate | undefined {
  if (der === undefined) return undefined;
  let read: X509Certificate;
  try {
    read = new X509Certificate(der);
  } catch {
    // What is wrong with it is for openssl to say; here it is shown as what cannot be read.
    return undefined;
  }
  const { namedCurve, modulusLength } = read.publicKey.asymmetricKeyDetails ?? {};
  return {
    pem: read.toString(),
    subject: (read.subject ?? '').split('\n').join(', '),
    serialNumber: read.serialNumber.toLowerCase(),
    notBefore: read.validFromDate.getTime(),
    notAfter: read.validToDate.getTime(),
    key: [read.publicKey.asymmetricKeyType, namedCurve ?? modulusLength].filter((part) => part !== undefined).join(' '),
  };
}

/** An issuing CA as --json has it; scripts read it, so fields are added, never renamed. */
export function issuerJson({ issuer, certificate, names, profiles, rollBy: by, breaker }: SeenIssuer) {
  return {
    issuerId: issuer.issuerId,
    state: issuer.state,
    retiredAt: issuer.retiredAt ?? null,
    subject: certificate?.subject ?? null,
    serialNumber: certificate?.serialNumber ?? null,
    notBefore: isoTime(certificate?.notBefore) ?? null,
    notAfter: isoTime(certificate?.notAfter) ?? null,
    rollBy: by !== undefined && Number.isFinite(by) ? isoTime(by) : null,
    /** A profile's certificates are longer than all of its own validity. */
    isTooShort: by === Number.NEGATIVE_INFINITY,
    names,
    profiles: profiles ?? null,
    key: certificate?.key ?? null,
    signerUri: issuer.signerUri ?? null,
    signatureAlgorithm: issuer.signatureAlgorithm ?? null,
    clusterId: issuer.clusterId ?? null,
    baseUrl: issuer.baseUrl ?? null,
    crlShardCount: issuer.crlShardCount ?? null,
    breaker: breaker === undefined ? null : 'message' in breaker ? unreadableJson(breaker) : breakerJson(breaker),
  };
}

export const issuerHead = ['ISSUER', 'STATE', 'NAMES', 'PROFILES', 'NOT AFTER', 'ROLL BY', 'KEY', 'BREAKER'];

export const issuerRow = ({ issuer, certificate, names, profiles, rollBy: by, breaker }: SeenIssuer): string[] => [
  issuer.issuerId,
  issuer.state,
  names.join(', '),
  profiles === undefined ? '' : String(profiles.length),
  certificate === undefined ? 'unreadable' : shortTime(certificate.notAfter),
  rollByText(by),
  certificate?.key ?? '',
  breakerText(breaker),
];

const rollByText = (by: number | undefined): string => (by === Number.NEGATIVE_INFINITY ? 'never fits' : shortTime(by));

const breakerText = (breaker: BreakerRecord | UnreadableBreaker | undefined): string => {
  if (breaker === undefined) return '';
  return 'message' in breaker ? 'unreadable' : `${breaker.state}${breaker.held ? ', held' : ''}`;
};

/** For a person, a line for each thing that is known. */
export function describeIssuer({ issuer, certificate, names, profiles, rollBy: by, breaker }: SeenIssuer): string[] {
  return factLines([
    ['issuer', issuer.issuerId],
    ['state', issuer.state],
    ['retired at', issuer.retiredAt],
    ['names', names.join(', ')],
    ['profiles', profiles?.join(', ')],
    ['subject', certificate?.subject ?? 'the certificate cannot be read'],
    ['serial number', certificate?.serialNumber],
    ['not before', shortTime(certificate?.notBefore)],
    ['not after', shortTime(certificate?.notAfter)],
    ['roll by', rollByText(by)],
    ['key', certificate?.key],
    ['signer URI', issuer.signerUri],
    ['signature algorithm', issuer.signatureAlgorithm],
    ['cluster', issuer.clusterId],
    ['base URL', issuer.baseUrl],
    ['CRL shards', issuer.crlShardCount],
    ['breaker', breakerText(breaker)],
  ]);
}
