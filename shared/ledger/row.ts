/**
 * The issuance table's rows and which may follow which. Every condition that ledger/issuance.ts puts on a write is
 * made from `transitions`, so what is not listed here cannot happen, however many workers there are.
 */

export type RowState = 'intent' | 'issued' | 'rejected' | 'abandoned';

/** What a row must be for a transition to take it; `absent` is no row at all. */
type Origin = 'absent' | 'intent' | 'abandoned' | 'rejected-reopenable';

export const transitions = {
  /** [1] The TBS is written before anything is signed. */
  recordIntent: { from: ['absent', 'rejected-reopenable', 'abandoned'], to: 'intent' },
  /** [2] The certificate is written, for the intent with this serial alone. */
  storeCertificate: { from: ['intent'], to: 'issued' },
  /** The answer is no. */
  reject: { from: ['absent', 'rejected-reopenable', 'abandoned'], to: 'rejected' },
  /** Nobody may finish it any more: the serial counts as signed from here on and goes on the CRL. */
  abandon: { from: ['intent'], to: 'abandoned' },
} as const satisfies Record<string, { from: readonly Origin[]; to: RowState }>;

export type Transition = keyof typeof transitions;

const conditions: Readonly<Record<Origin, string>> = {
  absent: 'attribute_not_exists(deviceId)',
  intent: '(#state = :intent AND serialNumber = :serialNumber)',
  abandoned: '(#state = :abandoned AND requestHash = :requestHash AND attempt = :attemptRead)',
  // One that never had an intent binds nobody to its hash: see issuance/decision.ts.
  'rejected-reopenable':
    '(#state = :rejected AND reopenable = :true AND attempt = :attemptRead AND (attempt = :none OR requestHash = :requestHash))',
};

/** DynamoDB's condition for a transition, with the placeholders of `conditions`. */
export function conditionOf(transition: Transition): string {
  return transitions[transition].from.map((origin) => conditions[origin]).join(' OR ');
}

/** One request's place: the table's key. */
export interface RequestKey {
  readonly deviceId: string;
  readonly requestId: string;
}

interface CommonRow extends RequestKey {
  /** SHA-256 in hex over CertificationRequestInfo and profile (issuance/request-hash.ts). */
  readonly requestHash: string;
  readonly profile: string;
  /** 1 for the first intent; 0 while there has been none. */
  readonly attempt: number;
  /** Serial numbers (hex) of abandoned attempts: on the CRL as if they had been signed. */
  readonly abandonedSerialNumbers: readonly AbandonedSerial[];
}

export interface AbandonedSerial {
  readonly issuerId: string;
  readonly serialNumber: string;
  /** The shard that its certificate's CRL distribution point names. */
  readonly crlShard: number;
}

export interface IntentRow extends CommonRow {
  readonly state: 'intent';
  readonly issuerId: string;
  readonly serialNumber: string;
  readonly crlShard: number;
  /** DER of the TBSCertificate: what every signature made for this attempt is over. */
  readonly tbsCertificate: Uint8Array;
  readonly profileHash: string;
  /** IAM identity that SQS attested for the sender. */
  readonly sender: string;
  /** The certificate's, in milliseconds since the epoch. */
  readonly notAfter: number;
  /** When it was recorded; milliseconds since the epoch. */
  readonly intentAt: number;
  /** Milliseconds since the epoch. */
  readonly signBefore: number;
}

export interface IssuedRow extends CommonRow {
  readonly state: 'issued';
  readonly issuerId: string;
  readonly serialNumber: string;
  /** DER of the Certificate. */
  readonly certificate: Uint8Array;
  /** Its announcement is owed: whoever stored it has no message that would come back for it. */
  readonly isUnsettled?: true;
}

export interface RejectedRow extends CommonRow {
  readonly state: 'rejected';
  readonly code: string;
  readonly detail: string;
  readonly reopenable: boolean;
}

export interface AbandonedRow extends CommonRow {
  readonly state: 'abandoned';
  /** Why; none in rows that were abandoned before it was recorded. */
  readonly abandonReason?: AbandonReason;
  /** Its revocation is owed: whoever abandoned it may have died before it was written. */
  readonly isUnsettled?: true;
}

/** Why an attempt was given up. */
export type AbandonReason =
  /** `signBefore` passed. */
  | 'deadline-passed'
  /** Profile or device do not list the sender any more. */
  | 'sender-not-allowed'
  | 'device-unknown'
  | 'device-blocked'
  /** Its key was found to be compromised meanwhile. */
  | 'key-compromised'
  /** The device's registration lists keys meanwhile, and not this one. */
  | 'key-not-pinned'
  /** No profile of this name is deployed any more. */
  | 'profile-unknown'
  /** The serial number was revoked meanwhile. */
  | 'serial-number-revoked'
  /** The certificate would have ended by now. */
  | 'validity-ended'
  /** Profile or registration give the device other names or purposes by now, or another issuing CA. */
  | 'no-longer-granted'
  /** The issuer has another key or certificate by now. */
  | 'issuer-replaced'
  /** The TBS in the row breaks a rule or is not the one that the row says: somebody wrote to it (issuance/lint.ts). */
  | 'lint-failed'
  /** Others of the device were recorded at the same time, together more than it may have (issuance/device-limits.ts). */
  | 'quota-exceeded'
  /** Likewise, and one of them is the certificate that this one would have renewed too early. */
  | 'renewal-too-early'
  /** The message ended in `failures`, where its code is. */
  | 'given-up';

export type IssuanceRow = IntentRow | IssuedRow | RejectedRow | AbandonedRow;
