import type { Measurement } from '../metrics.ts';
import { embeddedMetrics } from '../metrics-embedded.ts';
import type { SignatureCounts } from './signature-counts.ts';

/**
 * What the functions count of their signatures, Count each. Of a key in CloudHSM nobody else does: its audit log records
 * logins, users and key management. What a process signed and did not live to tell is in `requested` alone.
 */
export const signatureMetrics = {
  requested: 'SignaturesRequested',
  made: 'SignaturesMade',
  repeated: 'SignaturesRepeated',
  wrong: 'SignaturesWrong',
  stored: 'CertificatesStored',
} as const;

type Count = keyof typeof signatureMetrics;

const countNames = Object.keys(signatureMetrics) as Count[];

/** The dimension that tells issuers apart; of the counts that the audit of a CA key needs. */
export const issuerDimension = 'Issuer';
const toldApart: readonly string[] = [signatureMetrics.requested, signatureMetrics.made, signatureMetrics.repeated];

/** Of one part of a call to a signer. Pure. */
function measureSignatures(told: SignatureCounts): Measurement[] {
  const counts: Partial<Record<Count, number>> = told;
  return countNames.flatMap((count): Measurement[] => {
    const value = counts[count];
    return value === undefined ? [] : [{ name: signatureMetrics[count], unit: 'Count', value }];
  });
}

/** The line's message: which part of a call it tells of. */
const messageOf = (told: SignatureCounts): string =>
  'requested' in told ? 'signing' : 'made' in told ? 'signed' : 'stored';

/** Of a signer whose session with the HSM was lost and is open again, Count. */
export const recoveredMetric = 'SignerSessionsRecovered';

/** The line of a function's log that tells of one. @param now milliseconds since the epoch */
export function recoveredLine(service: string, stage: string, issuerId: string, now: number): string {
  const measurements: Measurement[] = [{ name: recoveredMetric, unit: 'Count', value: 1 }];
  return embeddedMetrics(stage, measurements, { level: 'WARN', message: 'session recovered', service, issuerId }, now);
}

/**
 * The line of a function's log that tells of it. Written to process.stdout, which in Lambda is a pipe, it has left the
 * process when the write returns (Node.js, "A note on process I/O"): whatever ends the process after that, it was told.
 * @param service the function
 * @param now milliseconds since the epoch
 */
export function signatureLine(service: string, stage: string, counts: SignatureCounts, now: number): string {
  const measurements = measureSignatures(counts);
  const names = measurements.flatMap(({ name }) => (toldApart.includes(name) ? [name] : []));
  return embeddedMetrics(
    stage,
    measurements,
    { level: 'INFO', message: messageOf(counts), service, issuerId: counts.issuerId },
    now,
    names.length === 0 ? undefined : { dimension: issuerDimension, value: counts.issuerId, names },
  );
}
