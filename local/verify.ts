import { X509Certificate } from 'node:crypto';
import type { Answered } from './enrol.ts';
import type { LocalCloud } from './local-cloud.ts';

/** What is wrong with the certificates of these answers, a sentence each: chain, names, validity. Empty when all is well. */
export function verifyAnswers(
  answers: readonly Answered[],
  { issuingCertificate, rootCertificate }: Pick<LocalCloud, 'issuingCertificate' | 'rootCertificate'>,
): string[] {
  const issuing = new X509Certificate(issuingCertificate);
  const root = new X509Certificate(rootCertificate);
  const problems = [];
  if (!issuing.checkIssued(root) || !issuing.verify(root.publicKey))
    problems.push("The issuing CA is not the root CA's.");
  for (const { submission, answer } of answers) {
    if (answer.status !== 'issued') continue;
    const leaf = new X509Certificate(answer.certificate);
    const now = Date.now();
    const isGood =
      leaf.checkIssued(issuing) &&
      leaf.verify(issuing.publicKey) &&
      Date.parse(leaf.validFrom) <= now &&
      now <= Date.parse(leaf.validTo) &&
      leaf.serialNumber.toLowerCase() === answer.serialNumber &&
      leaf.subject.split('\n').includes(`CN=${submission.deviceId}`);
    if (!isGood) problems.push(`The certificate for ${submission.file} does not verify.`);
  }
  return problems;
}
