import type { Measurement } from '../metrics.ts';
import { embeddedMetrics } from '../metrics-embedded.ts';
import type { SignatureCounts } from './signature-counts.ts';

/**
 * What the functions count of their signatures, Count each. Of a key in CloudHSM nobody else does: its audit log records
 * logins, users and key management. What a process signed and did not live to tell is not in them.
 */
export const signatureMetrics = {
  made: 'SignaturesMade',
  stored: 'CertificatesStored',
  repeated: 'SignaturesRepeated',
  wrong: 'SignaturesWrong',
} as const;

/** The dimension that tells issuers apart; of the counts that the audit of a CA key needs. */
export const issuerDimension = 'Issuer';
const toldApart = [signatureMetrics.made, signatureMetrics.repeated];

/** Of one call to a signer. Pure. */
export const measureSignatures = (counts: SignatureCounts): Measurement[] =>
  (['made', 'stored', 'repeated', 'wrong'] as const).map((count) => ({
    name: signatureMetrics[count],
    unit: 'Count',
    value: counts[count],
  }));

/**
 * The line of a function's log that tells of it.
 * @param service the function
 * @param now milliseconds since the epoch
 */
export const signatureLine = (service: string, stage: string, counts: SignatureCounts, now: number): string =>
  embeddedMetrics(
    stage,
    measureSignatures(counts),
    { level: 'INFO', message: 'signed', service, issuerId: counts.issuerId },
    now,
    { dimension: issuerDimension, value: counts.issuerId, names: toldApart },
  );
