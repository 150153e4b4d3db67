import type { SignatureCounts } from '../../shared/issuance/signature-counts.ts';

/** What was told of calls to signers, added up. */
export function sumOfSigned(told: readonly SignatureCounts[]): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const { issuerId: _, ...counts } of told) {
    for (const [name, value] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}
