export {
  binary,
  flag,
  type Item,
  number,
  readBinary,
  readNumber,
  readString,
  readTimestamp,
  string,
  timestamp,
} from './attributes.ts';
export { type Device, Devices } from './devices.ts';
export { type FailureRecord, FailureRecords } from './failure-records.ts';
export { type FailureState, FailureStates } from './failure-states.ts';
export { Failures, type FirstError, type Redriven } from './failures.ts';
export {
  IssuanceLedger,
  keyOf,
  type RecordableTbs,
  type RecordedIntent,
  type ReopenableRow,
  type RequestIdentity,
  type StandingRow,
} from './issuance.ts';
export { type IssuanceRecord, IssuanceRecords, type IssuanceSelection, recordTimes } from './issuance-records.ts';
export { type IssuerCertificates, readIssuerCertificates } from './issuer-certificates.ts';
export { type Issuer, Issuers } from './issuers.ts';
export { OpenIntents } from './open-intents.ts';
export type { Position, ReadOptions } from './partitions.ts';
export { crlShardOf, Revocations } from './revocations.ts';
export type { AbandonedRow, AbandonReason, IssuedRow, RejectedRow, RequestKey } from './row.ts';
export { storeError } from './store-error.ts';
