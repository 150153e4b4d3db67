export { announce } from './announce.ts';
export type { Authority } from './authority.ts';
export { certificatePem } from './certificate.ts';
export { issueBatch } from './issue-batch.ts';
export type { IssuerCertificate } from './issuer-certificate.ts';
export { OpenIssuers } from './open-issuers.ts';
export type { Outcome, QueuedRequest } from './outcome.ts';
export { readProfiles } from './profile.ts';
