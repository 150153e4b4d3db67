import { createHash } from 'node:crypto';
import { type AttributeValue, paginateScan } from '@aws-sdk/client-dynamodb';
import type { LocalCloud } from '../../local/local-cloud.ts';
import { stage } from '../../local/local-cloud.ts';
import { type RecordedSignature, readRecord } from '../../local/pkcs11-shim/record.ts';
import { canaryText } from '../../shared/cluster/canary-signer.ts';
import type { RequestKey } from '../../shared/ledger/index.ts';
import { parsePkcs11Uri } from '../../shared/signer/pkcs11-uri.ts';
import { type Audit, type AuditedRequest, audit, digestOfTbs, mustBeEmpty, tbsOf } from '../support/audit.ts';
import type { Deliveries } from './deliveries.ts';
import type { FleetRequest } from './fleet.ts';
import { verifyCertificates } from './verify-certificates.ts';

type Item = Record<string, AttributeValue>;

export interface Account {
  readonly audit: Audit;
  /** Requests that have a row in `failures`. */
  readonly failures: readonly AuditedRequest[];
  /** Signatures of the canary. */
  readonly canaries: number;
  /** What must not be, a sentence each. */
  readonly problems: readonly string[];
}

/** The counts of every drill that is about single requests. */
export interface RequestFigures {
  readonly issued: number;
  /** Requests without a certificate. */
  readonly lost: number;
  /** Requests for which two different certificates were delivered, or one that is not its row's. */
  readonly duplicateCertificates: number;
  readonly duplicateSerials: number;
  /** Digests that were signed and are of no attempt that a row tells of. */
  readonly signaturesWithoutRow: number;
  /** Rows that are left without one. */
  readonly rowsWithoutCertificate: number;
  /** Signatures beyond the first over one TBS: allowed. */
  readonly repeatedSignatures: number;
}

/** Requests that are to be answered, and not with a certificate. */
export interface Refused {
  /** Those that their rows are to say are rejected. */
  readonly rejected: readonly RequestKey[];
  /** Those that are to have a row in `failures`, and none in the issuance table. */
  readonly failed: readonly RequestKey[];
}

const nobody: Refused = { rejected: [], failed: [] };
const nameOf = ({ deviceId, requestId }: RequestKey): string => `${deviceId}/${requestId}`;

/**
 * After a drill: every signature, row and certificate accounted for. Everything asked for is expected to be issued, but for
 * `refused`: here a request that was given up counts as lost.
 */
export async function accountFor(
  local: LocalCloud,
  requests: readonly FleetRequest[],
  deliveries: Deliveries,
  refused = nobody,
): Promise<Account & { readonly figures: RequestFigures }> {
  const [issuance, revocations, issuers, failed] = await Promise.all(
    ['IssuanceTable', 'RevocationsTable', 'IssuersTable', 'FailuresTable'].map((logicalId) => scan(local, logicalId)),
  );
  const signatures = readRecord(local.shim.record);
  const certified = new Set((issuance ?? []).flatMap(digestsOf));
  const canaries = canaryDigests(
    signatures.filter(({ digest }) => !certified.has(digest)),
    (issuers ?? []).flatMap(({ clusterId }) => clusterId?.S ?? []),
  );
  const isToFail = new Set(refused.failed.map(nameOf));
  const [expected, failures] = partition((failed ?? []).flatMap(requestOf), (request) => isToFail.has(nameOf(request)));
  const states = new Map((issuance ?? []).map((item) => [`${item.deviceId?.S}/${item.requestId?.S}`, item.state?.S]));
  const found = audit({
    signatures: signatures.map(({ digest }) => digest),
    issuance: issuance ?? [],
    revocations: revocations ?? [],
    otherDigests: [...canaries],
    requests,
    failures,
    deliveries: deliveries.all,
  });
  const lost = new Set([...found.lost, ...failures.map(({ deviceId, requestId }) => `${deviceId}/${requestId}`)]).size;
  return {
    audit: found,
    failures,
    canaries: canaries.size,
    problems: [
      ...mustBeEmpty.flatMap((name) => found[name].map((what) => `${name}: ${what}`)),
      ...found.rowsWithoutCertificate.map((what) => `rowsWithoutCertificate: ${what}`),
      ...requests.flatMap((request) =>
        deliveries.isAnnounced(request) ? [] : [`Never announced: ${request.deviceId}/${request.requestId}`],
      ),
      ...keyProblems(signatures, certified, canaries, issuers ?? []),
      ...failures.map((request) => `Given up: ${nameOf(request)}`),
      ...refused.rejected.flatMap((request) =>
        states.get(nameOf(request)) === 'rejected' ? [] : [`Not rejected: ${nameOf(request)}`],
      ),
      ...refused.failed.flatMap((request) =>
        expected.some((failure) => nameOf(failure) === nameOf(request)) && !states.has(nameOf(request))
          ? []
          : [`Not failed: ${nameOf(request)}`],
      ),
      ...verifyCertificates(local, requests, deliveries.all),
    ],
    figures: {
      issued: found.issued,
      lost,
      duplicateCertificates: found.duplicateCertificates.length,
      duplicateSerials: found.duplicateSerials.length,
      signaturesWithoutRow: found.signaturesWithoutRow.length,
      rowsWithoutCertificate: found.rowsWithoutCertificate.length,
      repeatedSignatures: found.repeatedSignatures,
    },
  };
}

/**
 * Each key signs what it is for, and nothing else. Pure.
 * @param certified digests of TBSCertificates
 * @param canaries digests of the canary's texts
 * @param issuers every item of the issuers table
 */
export function keyProblems(
  signatures: readonly Pick<RecordedSignature, 'digest' | 'keyLabel'>[],
  certified: ReadonlySet<string>,
  canaries: ReadonlySet<string>,
  issuers: readonly Item[],
): string[] {
  const labels = Map.groupBy(
    issuers.filter(({ signerUri }) => signerUri?.S?.startsWith('pkcs11:') === true),
    ({ issuerId }) => (issuerId?.S?.startsWith('#canary#') === true ? 'canary' : 'issuer'),
  );
  const isOf = (kind: 'canary' | 'issuer', label: string) =>
    labels.get(kind)?.some(({ signerUri }) => parsePkcs11Uri(signerUri?.S ?? '').object === label) === true;
  return signatures.flatMap(({ digest, keyLabel }) => [
    ...(canaries.has(digest) && !isOf('canary', keyLabel)
      ? [`The key ${keyLabel} signed the canary's text ${digest}.`]
      : []),
    ...(certified.has(digest) && !isOf('issuer', keyLabel)
      ? [`The key ${keyLabel} signed the certificate ${digest}.`]
      : []),
  ]);
}

const partition = <T>(all: readonly T[], is: (one: T) => boolean): [T[], T[]] => [
  all.filter(is),
  all.filter((one) => !is(one)),
];

async function scan(local: LocalCloud, logicalId: string): Promise<Item[]> {
  const items: Item[] = [];
  const input = { TableName: local.cloud.resources[logicalId]?.ref, ConsistentRead: true };
  for await (const page of paginateScan({ client: local.clients.dynamoDB }, input)) items.push(...(page.Items ?? []));
  return items;
}

/** What may have been signed for a row. */
function digestsOf(item: Item): string[] {
  const attempts = (item.abandonedSerialNumbers?.L ?? []).map(({ M: attempt = {} }) => attempt);
  const abandoned = attempts.map(({ tbsCertificate }) => tbsCertificate?.B);
  // Of those beyond the first the row keeps the digests alone (ledger/issuance.ts).
  const kept = attempts.flatMap(({ sha256, sha384, sha512 }) =>
    [sha256?.B, sha384?.B, sha512?.B].flatMap((digest) =>
      digest === undefined ? [] : [Buffer.from(digest).toString('hex')],
    ),
  );
  const certificate = item.certificate?.B;
  const standing = certificate === undefined ? item.tbsCertificate?.B : tbsOf(certificate);
  return [...kept, ...[...abandoned, standing].flatMap((tbs) => (tbs === undefined ? [] : [digestOfTbs(tbs)]))];
}

/** Milliseconds between the moment in a canary's text and its signature: a drill may make the HSM slow. */
const canaryDelay = 10_000;

/** Which of these signatures are the canary's: over its text, with a moment shortly before the signature in it. */
function canaryDigests(signatures: readonly RecordedSignature[], clusterIds: readonly string[]): Set<string> {
  const found = signatures.filter(({ digest, at }) =>
    [...new Set(clusterIds)].some((clusterId) => {
      for (let moment = at + 1; moment > at - canaryDelay; moment--) {
        const text = canaryText(stage, clusterId, moment);
        if (createHash('sha256').update(text).digest('hex') === digest) return true;
      }
      return false;
    }),
  );
  return new Set(found.map(({ digest }) => digest));
}

/** Of a row of `failures`; one of a message that killed its function has nothing but the body. */
function requestOf(item: Item): RequestKey[] {
  const { deviceId, requestId } =
    item.deviceId === undefined
      ? (JSON.parse(item.body?.S ?? '{}') as Partial<RequestKey>)
      : { deviceId: item.deviceId.S, requestId: item.requestId?.S };
  return deviceId === undefined || requestId === undefined ? [] : [{ deviceId, requestId }];
}
