/** The SoftHSM2 stub: AWS KMS and AWS CloudHSM v2 for a machine without AWS. */
export type { LogEntry } from './server.ts';
export { operationNames } from './services.ts';
export { type Stub, type StubOptions, startStub } from './start.ts';
