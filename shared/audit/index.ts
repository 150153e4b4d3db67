// Whether what was signed with the CA keys is what was to be signed: CloudTrail, our own counts and the issuance table
// laid side by side (docs/exactly-once.md, "What can be proven, and with what").
export { type CallerCount, CallerCounts } from './callers.ts';
export { compare, type Evidence, type Finding, issuersUnknown } from './compare.ts';
export { type Counted, readCounted } from './counted.ts';
export { type FunctionRole, readFunctionRoles } from './function-roles.ts';
export { type Issued, IssuedRows } from './issued.ts';
export { type AuditedIssuer, type AuditedKey, keysOf } from './keys.ts';
export { lookUpSignEvents, lookupsPerSecond } from './lookup.ts';
export { countsHistory, deliveryTime, history, type Period, periodOf } from './period.ts';
