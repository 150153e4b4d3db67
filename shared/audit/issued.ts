import type { IssuanceRecord } from '../ledger/index.ts';
import { isWithin, type Period, settledFrom } from './period.ts';

/** What the issuance table says of one issuer. */
export interface Issued {
  /** Certificates that were stored in the period and signed in it, too. */
  readonly certificates: number;
  /** Attempts that may have been signed in the period, and are in no certificate: open, or abandoned. At most so many. */
  readonly unfinished: number;
}

/** Counts rows by issuer, as they come. */
export class IssuedCounts {
  readonly #period: Period;
  readonly #counts = new Map<string, { certificates: number; unfinished: number }>();

  constructor(period: Period) {
    this.#period = period;
  }

  add(record: IssuanceRecord): void {
    const { state, issuerId, issuedAt, intentAt, abandonedAt, rejectedAt, abandonedSerialNumbers } = record;
    if (issuerId !== undefined && state === 'issued' && isWithin(settledFrom(this.#period), issuedAt ?? Number.NaN)) {
      this.#of(issuerId).certificates += 1;
    }
    // When an abandoned attempt was signed is in no row, only when the row last changed.
    const changedAt = Math.max(intentAt ?? 0, issuedAt ?? 0, abandonedAt ?? 0, rejectedAt ?? 0);
    if (changedAt < this.#period.from) return;
    if (issuerId !== undefined && state === 'intent') this.#of(issuerId).unfinished += 1;
    for (const { issuerId: of } of abandonedSerialNumbers) this.#of(of).unfinished += 1;
  }

  of(issuerId: string): Issued {
    return this.#counts.get(issuerId) ?? { certificates: 0, unfinished: 0 };
  }

  #of(issuerId: string): { certificates: number; unfinished: number } {
    const counts = this.#counts.get(issuerId) ?? { certificates: 0, unfinished: 0 };
    this.#counts.set(issuerId, counts);
    return counts;
  }
}
