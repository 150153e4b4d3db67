import { X509Certificate } from 'node:crypto';
import { type IssuanceRecord, recordTimes } from '../shared/ledger/index.ts';
import { isoTime, shortTime } from './json.ts';

/** What a certificate says, as far as people ask. */
interface Contents {
  readonly subject: string;
  readonly subjectAltNames: readonly string[];
  readonly key: string;
}

/** A row of the issuance table as --json and the exports have it; scripts read it, so fields are added, never renamed. */
export type CertificateJson = Omit<IssuanceRecord, 'certificate' | Time> &
  Partial<Contents> & { readonly [Name in Time]?: string };

type Time = (typeof recordTimes)[number];

/** Times in RFC 3339; without the certificate itself, which is `certificate` in PEM where it is asked for. */
export function certificateJson(record: IssuanceRecord): CertificateJson {
  const {
    certificate,
    notBefore,
    notAfter,
    signBefore,
    intentAt,
    issuedAt,
    rejectedAt,
    abandonedAt,
    lastConflictAt,
    ...rest
  } = record;
  const at = { notBefore, notAfter, signBefore, intentAt, issuedAt, rejectedAt, abandonedAt, lastConflictAt };
  const known = recordTimes.filter((name) => at[name] !== undefined);
  return {
    ...rest,
    ...(certificate === undefined ? {} : contentsOf(certificate)),
    ...Object.fromEntries(known.map((name) => [name, isoTime(at[name])])),
  };
}

/** undefined where there is no certificate; one that cannot be read has `contentsOf` to say so. */
export function pemOf({ certificate }: IssuanceRecord): string | undefined {
  return certificate === undefined ? undefined : readCertificate(certificate)?.toString();
}

export const listHead = ['DEVICE', 'REQUEST', 'STATE', 'SERIAL NUMBER OR CODE', 'SINCE', 'NOT AFTER'];

export const listRow = (record: IssuanceRecord): string[] => [
  record.deviceId,
  record.requestId.length > 40 ? `${record.requestId.slice(0, 37)}...` : record.requestId,
  record.state,
  (record.state === 'rejected' ? record.code : record.serialNumber) ?? '',
  shortTime(sinceOf(record)),
  record.state === 'rejected' ? '' : shortTime(record.notAfter),
];

/** When the row came to be in its state. */
export const sinceOf = (record: IssuanceRecord): number | undefined =>
  record.issuedAt ?? record.rejectedAt ?? record.abandonedAt ?? record.intentAt;

/**
 * A row for a person, a line for each thing that it says.
 * @param renewAfter milliseconds since the epoch; undefined where there is no saying
 */
export function describe(
  record: IssuanceRecord,
  isRevoked: boolean | undefined,
  renewAfter: number | undefined,
): string[] {
  const contents = record.certificate === undefined ? undefined : contentsOf(record.certificate);
  const time = (at: number | undefined, what: string) => (at === undefined ? [] : [[what, shortTime(at)] as const]);
  const facts: (readonly [string, string | number | undefined])[] = [
    ['device', record.deviceId],
    ['request id', record.requestId],
    ['state', isRevoked === true ? `${record.state}, revoked` : record.state],
    ['code', record.code],
    ['detail', record.detail],
    ['reopenable', record.reopenable === true ? 'yes: the same request sent again is decided anew' : undefined],
    ['serial number', record.serialNumber],
    ['issuer', record.issuerId],
    ['subject', contents?.subject],
    ['subjectAltName', contents?.subjectAltNames.join(', ')],
    ['key', contents?.key],
    ...time(record.notBefore, 'not before'),
    ...time(record.notAfter, 'not after'),
    ...time(renewAfter, 'renew after'),
    ...time(record.intentAt, 'intent at'),
    ...time(record.signBefore, 'sign before'),
    ...time(record.issuedAt, 'issued at'),
    ...time(record.rejectedAt, 'rejected at'),
    ...time(record.abandonedAt, 'abandoned at'),
    ['abandoned because', record.abandonReason],
    ['sender', record.sender],
    ['profile', record.profile],
    ['profile hash', record.profileHash],
    ['request hash', record.requestHash],
    ['attempt', record.attempt],
    ['not granted', record.ignored.join(', ')],
    ['abandoned serial numbers', record.abandonedSerialNumbers.map((serial) => serial.serialNumber).join(', ')],
    ['conflicts', record.conflicts === 0 ? undefined : record.conflicts],
    ...time(record.lastConflictAt, 'last conflict at'),
  ];
  const told = facts.filter(([, value]) => value !== undefined && value !== '');
  const width = Math.max(...told.map(([what]) => what.length));
  return told.map(([what, value]) => `${what.padEnd(width)}  ${value}`);
}

function contentsOf(der: Uint8Array): Contents {
  const certificate = readCertificate(der);
  if (certificate === undefined) {
    return { subject: 'the stored certificate cannot be read', subjectAltNames: [], key: '' };
  }
  const { subject, subjectAltName, publicKey } = certificate;
  const { namedCurve, modulusLength } = publicKey.asymmetricKeyDetails ?? {};
  const key = [publicKey.asymmetricKeyType, namedCurve ?? modulusLength].filter((part) => part !== undefined);
  return {
    subject: (subject ?? '').split('\n').join(', '),
    subjectAltNames: namesIn(subjectAltName ?? ''),
    key: key.join(' '),
  };
}

/** undefined for what is none: one row that is not as we write it must not hide the others. */
function readCertificate(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    // What is wrong with it is for openssl to say; here it is shown as what cannot be read.
    return undefined;
  }
}

/** Node joins names with commas, and quotes as JSON what has one in it. */
const namesIn = (subjectAltName: string): string[] =>
  (subjectAltName.match(/(?:[^",]|"(?:\\.|[^"\\])*")+/g) ?? []).map((name) => name.trim());
