import type { KeyObject, X509Certificate } from 'node:crypto';
import type { IssuanceRecord } from '../ledger/index.ts';
import { type AuditedIssuer, readCertificate } from './keys.ts';
import { clockDifference, isWithin, type Period, settledFrom, settlingTime } from './period.ts';

/** Rows with which something is wrong. */
export interface WrongRows {
  readonly count: number;
  /** The first ten of them: deviceId/requestId, and what is wrong. */
  readonly first: readonly string[];
}

/** What the issuance table says of one issuer. */
export interface Issued {
  /** Certificates that were stored in the period and signed in it, too. */
  readonly certificates: number;
  /**
   * Attempts that may have been signed in the period, and are in none of these certificates: open, abandoned, or issued
   * across one of its ends. At most so many: when a row's attempts before its last abandoned one were made is not in it, so
   * these count with that one.
   */
  readonly unfinished: number;
  /** Of all rows, of whatever time: those without a certificate that the issuer's key signed for this row. */
  readonly notVerified: WrongRows;
  /** Likewise: those whose time of issuance is none, is to come, or is before their certificate's. */
  readonly notDated: WrongRows;
}

const namedRows = 10;
const none: WrongRows = { count: 0, first: [] };
const nothing: Issued = { certificates: 0, unfinished: 0, notVerified: none, notDated: none };

/** What certificates of an issuer are held against. */
interface Verifying {
  readonly publicKey: KeyObject | undefined;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
}

/** Counts rows by issuer, as they come, and verifies the certificate in each: some tenths of a millisecond a row. */
export class IssuedRows {
  readonly #period: Period;
  readonly #now: number;
  readonly #known: ReadonlySet<string>;
  readonly #verifying: ReadonlyMap<string, Verifying>;
  readonly #issued = new Map<string, Issued>();
  #ofNobody: WrongRows = none;

  /**
   * @param audited whose rows are counted and verified
   * @param known every issuer there is
   * @param now milliseconds since the epoch
   */
  constructor(audited: readonly AuditedIssuer[], known: readonly string[], period: Period, now: number) {
    this.#period = period;
    this.#now = now;
    this.#known = new Set(known);
    this.#verifying = new Map(
      audited.map(({ issuerId, certificate }) => {
        const own = readCertificate(certificate);
        return [issuerId, { publicKey: own?.publicKey, notBefore: own?.validFromDate.getTime() ?? 0 }];
      }),
    );
  }

  add(record: IssuanceRecord): void {
    if (record.state === 'issued') this.#addIssued(record);
    for (const issuerId of unfinishedAttempts(record, this.#period)) {
      this.#change(issuerId, (issued) => ({ ...issued, unfinished: issued.unfinished + 1 }));
    }
  }

  #addIssued(record: IssuanceRecord): void {
    const { issuerId = '', issuedAt = Number.NaN } = record;
    const verifying = this.#verifying.get(issuerId);
    if (verifying === undefined) {
      if (!this.#known.has(issuerId)) {
        this.#ofNobody = withRow(this.#ofNobody, record, issuerId === '' ? 'no issuer' : `issuer ${issuerId}`);
      }
      return;
    }
    const isOfPeriod = isWithin(settledFrom(this.#period), issuedAt);
    const certificate = readCertificate(record.certificate);
    const unverified = whyNotVerified(record, certificate, verifying);
    const undated = whyNotDated(record, certificate, verifying, this.#now);
    this.#change(issuerId, ({ certificates, notVerified, notDated, ...issued }) => ({
      ...issued,
      certificates: certificates + (isOfPeriod ? 1 : 0),
      notVerified: unverified === undefined ? notVerified : withRow(notVerified, record, unverified),
      notDated: undated === undefined ? notDated : withRow(notDated, record, undated),
    }));
  }

  of(issuerId: string): Issued {
    return this.#issued.get(issuerId) ?? nothing;
  }

  /** Issued rows that name no issuer there is. */
  get ofNobody(): WrongRows {
    return this.#ofNobody;
  }

  #change(issuerId: string, change: (issued: Issued) => Issued): void {
    this.#issued.set(issuerId, change(this.of(issuerId)));
  }
}

/** Why it is not known that the issuer's key signed this row's certificate; undefined when it is. */
function whyNotVerified(
  { certificate: der, serialNumber }: IssuanceRecord,
  certificate: X509Certificate | undefined,
  { publicKey }: Verifying,
): string | undefined {
  if (der === undefined) return 'no certificate';
  if (certificate === undefined) return 'no X.509 certificate';
  if (publicKey === undefined) return "the issuer's own certificate cannot be read";
  // OpenSSL compares the algorithm outside and inside of what is signed (RFC 5280 section 4.1.1.2).
  if (!certificate.verify(publicKey)) return 'a signature that is not of the CA key';
  return certificate.serialNumber.toLowerCase() === serialNumber ? undefined : 'the certificate of another row';
}

/**
 * Why the row cannot have been issued when it says so. A certificate begins when its intent was recorded, or earlier by the
 * profile's backdating, or, of an issuer that is not yet valid, with it (validityOf in issuance/tbs.ts).
 */
function whyNotDated(
  { issuedAt }: IssuanceRecord,
  certificate: X509Certificate | undefined,
  { notBefore: issuerNotBefore }: Verifying,
  now: number,
): string | undefined {
  if (issuedAt === undefined) return 'no issuedAt';
  if (issuedAt > now + clockDifference) return 'issuedAt is to come';
  const notBefore = certificate?.validFromDate.getTime() ?? 0;
  return notBefore > Math.max(issuedAt, issuerNotBefore) + clockDifference
    ? 'issuedAt is before the notBefore of its certificate'
    : undefined;
}

/** Whether it may have been signed in the period, and its certificate is not counted in it. */
function isIssuedAcross({ state, intentAt = 0, issuedAt = 0 }: IssuanceRecord, period: Period): boolean {
  if (state !== 'issued' || isWithin(settledFrom(period), issuedAt)) return false;
  return intentAt < period.to && issuedAt >= period.from;
}

/** The issuer of each attempt of a row that may have been signed in the period, and is in no certificate that is counted. */
function unfinishedAttempts(record: IssuanceRecord, period: Period): string[] {
  const { from, to } = period;
  const { state, issuerId, intentAt = 0, signBefore = intentAt, abandonedAt = 0, abandonedSerialNumbers } = record;
  const isOpen = state === 'intent' && intentAt < to && signBefore + settlingTime >= from;
  const open = (isOpen || isIssuedAcross(record, period)) && issuerId !== undefined ? [issuerId] : [];
  // Whoever was signing when an attempt was abandoned ends within a minute.
  if (abandonedAt + settlingTime < from) return open;
  // In this state the last intent that was recorded is the last that was abandoned.
  const isLastLater = state === 'abandoned' && intentAt >= to;
  return [...open, ...abandonedSerialNumbers.slice(0, isLastLater ? -1 : undefined).map(({ issuerId: of }) => of)];
}

const withRow = ({ count, first }: WrongRows, { deviceId, requestId }: IssuanceRecord, why: string): WrongRows => ({
  count: count + 1,
  first: count < namedRows ? [...first, `${deviceId}/${requestId} (${why})`] : first,
});

/** Of several issuers, together. */
export const sumOfIssued = (issued: readonly Issued[]): Issued =>
  issued.reduce(
    (one, other) => ({
      certificates: one.certificates + other.certificates,
      unfinished: one.unfinished + other.unfinished,
      notVerified: sumOfRows(one.notVerified, other.notVerified),
      notDated: sumOfRows(one.notDated, other.notDated),
    }),
    nothing,
  );

const sumOfRows = (one: WrongRows, other: WrongRows): WrongRows => ({
  count: one.count + other.count,
  first: [...one.first, ...other.first].slice(0, namedRows),
});
