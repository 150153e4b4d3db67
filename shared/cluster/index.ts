export { assess } from './assess.ts';
export {
  type CanaryPin,
  type CanaryRecord,
  canaryPinPurpose,
  encryptCanary,
  findCanary,
  readCanaryPin,
  sealCanaryPin,
  writeCanary,
} from './canary-record.ts';
export { CanarySigner } from './canary-signer.ts';
export { observe, type Sources } from './describe.ts';
export type { SigningCanary } from './observation.ts';
export { canarySignerOpener, unsealCanaryPin } from './open-canary-signer.ts';
export { publish } from './publish.ts';
export type { Finding } from './rule.ts';
export { rules } from './rules/index.ts';
export { readThresholds } from './thresholds.ts';
