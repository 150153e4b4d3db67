export { binary, type Item, readBinary, readString, string } from './attributes.ts';
export { type Device, Devices } from './devices.ts';
export { type Failure, Failures } from './failures.ts';
export {
  IssuanceLedger,
  keyOf,
  type RecordableTbs,
  type RecordedIntent,
  type RequestIdentity,
  type StandingRow,
} from './issuance.ts';
export { type Issuer, Issuers } from './issuers.ts';
export { crlShardOf, Revocations } from './revocations.ts';
export type { IssuedRow, RejectedRow } from './row.ts';
export { storeError } from './store-error.ts';
