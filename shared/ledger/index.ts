export { binary, type Item, readBinary, readString, string } from './attributes.ts';
export { type Device, Devices } from './devices.ts';
export { type FailureRecord, FailureRecords } from './failure-records.ts';
export { Failures } from './failures.ts';
export {
  IssuanceLedger,
  keyOf,
  type RecordableTbs,
  type RecordedIntent,
  type RequestIdentity,
  type StandingRow,
} from './issuance.ts';
export { type IssuanceRecord, IssuanceRecords, type IssuanceSelection } from './issuance-records.ts';
export { type IssuerCertificates, readIssuerCertificates } from './issuer-certificates.ts';
export { type Issuer, Issuers } from './issuers.ts';
export type { Position, ReadOptions } from './partitions.ts';
export { crlShardOf, Revocations } from './revocations.ts';
export type { IssuedRow, RejectedRow, RequestKey } from './row.ts';
export { storeError } from './store-error.ts';
