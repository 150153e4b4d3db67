import { createHash } from 'node:crypto';
import { DerReader, tags } from '../../shared/asn1/index.ts';
import { readTbsCertificate } from '../../shared/issuance/tbs-reader.ts';
import type { Item } from '../../shared/ledger/index.ts';
import { algorithmIdentifier, type SignatureScheme } from '../../shared/signer/index.ts';

/** Which request. */
export interface AuditedRequest {
  readonly deviceId: string;
  readonly requestId: string;
}

/** A certificate that somebody got: by the topic, by reading the row, in a file. */
export interface Delivery extends AuditedRequest {
  /** DER */
  readonly certificate: Uint8Array;
}

export interface AuditInput {
  /**
   * What was signed: a digest in lower-case hex for each signature, in any order, as often as it was signed. Locally the
   * PKCS#11 shim's record, for awskms the KMS stub's.
   */
  readonly signatures: readonly string[];
  /** Every item of the issuance table, as a strongly consistent Scan gives it. */
  readonly issuance: readonly Item[];
  /** Every item of the revocations table, likewise. */
  readonly revocations: readonly Item[];
  /** What was signed and is no certificate's: the canary's texts, CRLs, OCSP responder certificates; digests as above. */
  readonly otherDigests?: readonly string[];
  /** What was asked for; without it nothing can be found lost. */
  readonly requests?: readonly AuditedRequest[];
  /** Requests that were given up, and so are rows of `failures`, not lost. */
  readonly failures?: readonly AuditedRequest[];
  readonly deliveries?: readonly Delivery[];
}

/** Lists are of what is wrong, each as one string that finds it: `deviceId/requestId`, a serial number or a digest. */
export interface Audit {
  /** Requests with a certificate. */
  readonly issued: number;
  readonly rejected: number;
  /** Requests without a certificate, rejection or failure. */
  readonly lost: readonly string[];
  /** Requests for which two certificates were delivered, or one that is not its row's. */
  readonly duplicateCertificates: readonly string[];
  /** Serial numbers (with their issuer) that two attempts have, of one row or of two. */
  readonly duplicateSerials: readonly string[];
  /** Digests that were signed and belong to no intent, no CRL and no canary. */
  readonly signaturesWithoutRow: readonly string[];
  /** Rows whose certificate's digest was never signed, as far as the record of signatures says. */
  readonly issuedWithoutSignature: readonly string[];
  /** Rows that are neither issued nor rejected: an open intent, an abandoned attempt that nobody followed up. */
  readonly rowsWithoutCertificate: readonly string[];
  /** Issued rows whose certificate has another serial number than the row. */
  readonly certificatesOfAnotherRow: readonly string[];
  /** Serial numbers of abandoned attempts that are on no CRL. */
  readonly abandonedNotRevoked: readonly string[];
  /** Signatures beyond the first over one digest: allowed, counted. */
  readonly repeatedSignatures: number;
}

/** What must be empty after every drill; the rest is counted. */
export const mustBeEmpty = [
  'lost',
  'duplicateCertificates',
  'duplicateSerials',
  'signaturesWithoutRow',
  'issuedWithoutSignature',
  'certificatesOfAnotherRow',
  'abandonedNotRevoked',
] as const satisfies readonly (keyof Audit)[];

/** An attempt of a row: everything that may have been signed for it is over this TBS, or has one of these digests. */
interface Attempt {
  readonly request: string;
  readonly issuerId: string;
  readonly serialNumber: string;
  readonly crlShard: string;
  readonly state: 'intent' | 'issued' | 'abandoned';
  /** DER; undefined where the row keeps the digests instead. */
  readonly tbsCertificate: Uint8Array | undefined;
  readonly digests: readonly string[];
}

/**
 * Accounts for every signature and every row. Reads the tables' items by itself, not with the code that wrote them, so
 * that a mistake there cannot hide itself here.
 * @throws Error at an item that is none of the tables'
 */
export function audit(input: AuditInput): Audit {
  const { signatures, issuance, revocations, otherDigests = [], requests = [], failures = [], deliveries = [] } = input;
  const attempts = issuance.flatMap(attemptsOf);
  const accounted = new Set([...attempts.flatMap(({ digests }) => digests), ...otherDigests]);
  const signed = new Set(signatures);
  const issued = new Map(
    issuance
      .filter((item) => text(item, 'state') === 'issued')
      .map((item) => [keyOfItem(item), bytes(item, 'certificate')]),
  );
  const rejected = issuance.filter((item) => text(item, 'state') === 'rejected').map(keyOfItem);
  const answered = new Set([...issued.keys(), ...rejected, ...failures.map(keyOf)]);
  const revoked = new Set(revocations.map((item) => `${text(item, 'issuerShard')}#${text(item, 'serialNumber')}`));
  const unsettled = attempts.filter(({ state }) => state === 'abandoned');
  return {
    issued: issued.size,
    rejected: rejected.length,
    lost: distinct(requests.map(keyOf)).filter((request) => !answered.has(request)),
    duplicateCertificates: wronglyDelivered(deliveries, issued),
    duplicateSerials: repeated(attempts.map(({ issuerId, serialNumber }) => `${issuerId}#${serialNumber}`)),
    signaturesWithoutRow: [...signed].filter((digest) => !accounted.has(digest)),
    issuedWithoutSignature: attempts
      .filter((attempt) => attempt.state === 'issued' && !attempt.digests.some((digest) => signed.has(digest)))
      .map(({ request }) => request),
    rowsWithoutCertificate: issuance
      .filter((item) => text(item, 'state') !== 'issued' && text(item, 'state') !== 'rejected')
      .map(keyOfItem),
    certificatesOfAnotherRow: attempts
      .filter(({ tbsCertificate: tbs, serialNumber }) => tbs !== undefined && serialNumberOf(tbs) !== serialNumber)
      .map(({ request }) => request),
    abandonedNotRevoked: unsettled
      .filter(({ issuerId, crlShard, serialNumber }) => !revoked.has(`${issuerId}#${crlShard}#${serialNumber}`))
      .map(({ serialNumber }) => serialNumber),
    repeatedSignatures: signatures.length - signed.size,
  };
}

/** The attempts that a row tells of: the abandoned ones, and the one that is open or became its certificate. */
function attemptsOf(item: Item): Attempt[] {
  const request = keyOfItem(item);
  const state = text(item, 'state');
  const abandoned = (item.abandonedSerialNumbers?.L ?? []).map(
    ({ M: attempt = {} }): Attempt => ({
      request,
      ...fieldsOf(attempt),
      state: 'abandoned',
      ...toBeSigned(attempt),
    }),
  );
  if (state === 'intent') return [...abandoned, { request, ...fieldsOf(item), state, ...toBeSigned(item) }];
  if (state === 'issued') {
    const tbsCertificate = { B: tbsOf(bytes(item, 'certificate')) };
    return [...abandoned, { request, ...fieldsOf(item), state, ...toBeSigned({ tbsCertificate }) }];
  }
  return abandoned;
}

/** Of the first abandoned attempts, and of others, a row keeps the TBS; of further ones the digests (ledger/issuance.ts). */
function toBeSigned(attempt: Item): Pick<Attempt, 'tbsCertificate' | 'digests'> {
  const tbsCertificate = attempt.tbsCertificate?.B;
  if (tbsCertificate !== undefined) return { tbsCertificate, digests: [digestOfTbs(tbsCertificate)] };
  const digests = ['sha256', 'sha384', 'sha512'].map((hash) => Buffer.from(bytes(attempt, hash)).toString('hex'));
  return { tbsCertificate, digests };
}

const fieldsOf = (item: Item) => ({
  issuerId: text(item, 'issuerId'),
  serialNumber: text(item, 'serialNumber'),
  crlShard: item.crlShard?.N ?? missing('crlShard'),
});

function wronglyDelivered(deliveries: readonly Delivery[], issued: ReadonlyMap<string, Uint8Array>): readonly string[] {
  const wrong = deliveries.filter((delivery) => {
    const standing = issued.get(keyOf(delivery));
    return standing === undefined || Buffer.compare(standing, delivery.certificate) !== 0;
  });
  return distinct(wrong.map(keyOf));
}

/** The signed part of a Certificate (RFC 5280 section 4.1), as it stands there. */
export const tbsOf = (certificate: Uint8Array): Uint8Array =>
  DerReader.ofContents(certificate).readSequence().readElement(tags.sequence);

/** What a CA key signs of a TBSCertificate, in lower-case hex: by the algorithm that the TBS itself names. */
export function digestOfTbs(tbsCertificate: Uint8Array): string {
  const { signature } = readTbsCertificate(tbsCertificate);
  const hash = hashes.get(Buffer.from(signature).toString('hex'));
  if (hash === undefined) throw new Error('A TBSCertificate names a signature algorithm that no signer has.');
  return createHash(hash).update(tbsCertificate).digest('hex');
}

const algorithms: readonly SignatureScheme['algorithm'][] = ['ecdsa', 'rsa-pkcs1-v1_5', 'rsa-pss'];
const hashNames: readonly SignatureScheme['hash'][] = ['sha256', 'sha384', 'sha512'];
const hashes = new Map(
  algorithms.flatMap((algorithm) =>
    hashNames.map((hash) => [Buffer.from(algorithmIdentifier({ algorithm, hash })).toString('hex'), hash] as const),
  ),
);

const serialNumberOf = (tbsCertificate: Uint8Array): string =>
  Buffer.from(readTbsCertificate(tbsCertificate).serialNumber).toString('hex');

const keyOf = ({ deviceId, requestId }: AuditedRequest): string => `${deviceId}/${requestId}`;
const keyOfItem = (item: Item): string => `${text(item, 'deviceId')}/${text(item, 'requestId')}`;

const text = (item: Item, name: string): string => item[name]?.S ?? missing(name);
const bytes = (item: Item, name: string): Uint8Array => item[name]?.B ?? missing(name);

function missing(name: string): never {
  throw new Error(`An item of a table is without its ${name}.`);
}

const distinct = (values: readonly string[]): string[] => [...new Set(values)];

const repeated = (values: readonly string[]): string[] =>
  [...Map.groupBy(values, (value) => value)].flatMap(([value, { length }]) => (length > 1 ? [value] : []));
