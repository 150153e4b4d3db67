export { Breakers } from './breakers.ts';
export { Canaries } from './canaries.ts';
export { check } from './check.ts';
export { operatorProbes } from './decide.ts';
export { type Admission, type BreakerChange, type Gate, Gatekeeper } from './gate.ts';
export { type Mapping, readMappings } from './mappings.ts';
export { SignerPausedError } from './paused.ts';
export type { BreakerRecord } from './record.ts';
export { cureOf, measureBreakers, transitionLine } from './tell.ts';
