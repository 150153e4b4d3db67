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
export { CompromisedKeys } from './compromised-keys.ts';
export { type DeviceRecord, DeviceRecords, type StateChange, type TermChanges } from './device-records.ts';
export { type Device, type DeviceTerms, listTerms } from './device-row.ts';
export { type CountedRow, type CountedRows, countedDay, DeviceRows } from './device-rows.ts';
export { Devices } from './devices.ts';
export { type FailureRecord, FailureRecords, type PlacedFailure } from './failure-records.ts';
export { type FailureChange, type FailureState, FailureStates } from './failure-states.ts';
export { Failures, type FirstError, type Redriven } from './failures.ts';
export { FirstLogins, type LoginOutcome } from './first-logins.ts';
export {
  IssuanceLedger,
  keyOf,
  type RecordableTbs,
  type RecordedIntent,
  type ReopenableRow,
  type RequestIdentity,
  type StandingRow,
} from './issuance.ts';
export {
  type IssuanceRecord,
  IssuanceRecords,
  type IssuanceSelection,
  type PlacedRecord,
  recordTimes,
} from './issuance-records.ts';
export { IssuanceSample, readItemCount } from './issuance-sample.ts';
export { type IssuerCertificates, readIssuerCertificates } from './issuer-certificates.ts';
export { IssuerNameRecords } from './issuer-name-records.ts';
export { type IssuerName, IssuerNames, issuerNameLifetime, issuerNameSettling } from './issuer-names.ts';
export { type Issuer, Issuers, isBaseUrl, maximumCrlShards } from './issuers.ts';
export { type KeyClaim, KeyClaims } from './key-claims.ts';
export { type Compromise, type KeyChange, type KeyRecord, KeyRecords } from './key-records.ts';
export { OpenIntents } from './open-intents.ts';
export type { Position, ReadOptions } from './partitions.ts';
export { type PinSeal, readPinSeal, writePinSeal } from './pin-seals.ts';
export { RateBuckets, type RateLimit, type Reservation, rateShards } from './rate-buckets.ts';
export { crlShardOf, Revocations } from './revocations.ts';
export { RevokedSerials } from './revoked-serials.ts';
export type { AbandonedRow, AbandonedSerial, AbandonReason, IssuedRow, RejectedRow, RequestKey } from './row.ts';
export { type IssuerPins, type PinRotation, type SealedPin, SealedPins } from './sealed-pins.ts';
export { type SenderRecord, SenderRecords } from './sender-records.ts';
export { type Grant, type Sender, Senders } from './senders.ts';
export { storeError } from './store-error.ts';
