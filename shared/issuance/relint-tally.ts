import type { Measurement } from '../metrics.ts';
import type { PassedOver, Relinted } from './relint.ts';

/** What relint tells CloudWatch of each run. */
export const relintMetrics = {
  /** Count: certificates that were held to today's rules. */
  relinted: 'CertificatesRelinted',
  /** Count: those of them that break one, and are neither revoked nor ended. */
  broken: 'CertificatesBroken',
} as const;

/** Counts of what was looked at, of whatever many rows. */
export class RelintTally {
  rows = 0;
  checked = 0;
  broken = 0;
  /** Of the checked ones, those whose profile is not deployed any more: checked by every rule but its own. */
  withoutProfile = 0;
  readonly passedOver: Record<PassedOver, number> = { 'not-issued': 0, expired: 0, revoked: 0, 'issuer-unknown': 0 };
  /** Certificates by the rule's name; one that breaks several is counted with each. */
  readonly byRule = new Map<string, number>();

  add(relinted: Relinted): void {
    this.rows += 1;
    if ('passedOver' in relinted) {
      this.passedOver[relinted.passedOver] += 1;
      return;
    }
    this.checked += 1;
    if (!relinted.isProfileDeployed) this.withoutProfile += 1;
    if (relinted.broken.length > 0) this.broken += 1;
    for (const { name } of relinted.broken) this.byRule.set(name, (this.byRule.get(name) ?? 0) + 1);
  }
}

export const measureRelint = ({ checked, broken }: RelintTally): Measurement[] => [
  { name: relintMetrics.relinted, unit: 'Count', value: checked },
  { name: relintMetrics.broken, unit: 'Count', value: broken },
];
