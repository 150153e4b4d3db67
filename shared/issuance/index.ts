export { AdmittedIssuers } from './admitted-issuers.ts';
export { announce } from './announce.ts';
export type { Authority, FinishingAuthority } from './authority.ts';
export { certificatePem } from './certificate.ts';
export { decodeCsr, parseCertificationRequest } from './certification-request.ts';
export { describeGranted } from './granted-name.ts';
export { issuableUntil } from './issuable-until.ts';
export { issueBatch } from './issue-batch.ts';
export { readIssuedCertificate } from './issued-certificate.ts';
export type { IssuerCertificate } from './issuer-certificate.ts';
export { verifyIssuerChain } from './issuer-chain.ts';
export { openIssuerSigner } from './issuer-signer.ts';
export { spkiSha256Of } from './key-standing.ts';
export { deviceIdPattern, readMessage, statedIds } from './message.ts';
export { lengthOfNames, longestRegistered } from './name-lengths.ts';
export { type Login, OpenIssuers } from './open-issuers.ts';
export type { Outcome, QueuedRequest } from './outcome.ts';
export { principalIdForm, principalIdPattern } from './principal-id.ts';
export { plainDeviceId } from './profile/static-texts.ts';
export {
  describeProblem,
  fileNameProblem,
  type Profile,
  ProfileError,
  type ProfileProblem,
  readProfile,
  readProfiles,
} from './profile.ts';
export { type Reconciled, reconcile } from './reconcile.ts';
export { measureReconciliation } from './reconcile-metrics.ts';
export { readRegisteredName } from './registered-name.ts';
export { type CheckedRow, type Relinted, type RelintRequirements, relint, relintIssuers } from './relint.ts';
export { measureRelint, RelintTally } from './relint-tally.ts';
export { renewAfterOf } from './renewal.ts';
export { requestHashOf, unreadableRequestHashOf } from './request-hash.ts';
export { measureFailures, measureOutcomes, requestMetrics, tellCloudWatch, tellLimit } from './request-metrics.ts';
export { principalOf } from './sender.ts';
export { issuerDimension, recoveredLine, signatureLine, signatureMetrics } from './signature-metrics.ts';
export { logBreakerChange, logNewerPinError } from './signing-log.ts';
export { keyKindsOf, type Specimen, specimenOf } from './specimen.ts';
export { specimenProblems } from './specimen-problems.ts';
export { caCertificateUrl } from './tbs.ts';
