import type { Failure, PartName } from '../observation.ts';
import type { PartFailure, Rule, RuleFinding, Severity } from '../rule.ts';

/** What was asked for each part, as a policy names it. */
const operations: Readonly<Record<PartName, string>> = {
  canary: 'dynamodb:Scan, the canary row of the issuers table',
  issuers: 'dynamodb:Scan, the issuers table',
  issuerKeys: "kms:DescribeKey, the issuers' keys",
  cluster: 'cloudhsm:DescribeClusters',
  backups: 'cloudhsm:DescribeBackups',
  keyStore: 'kms:DescribeCustomKeyStores',
  keyStoreCanary: 'kms:Decrypt of the canary ciphertext',
  signingCanary: 'the signature of the canary',
};

/** What passes by itself is a warning: where it does not, the gauges that have no data raise their own alarms. */
const kinds: Readonly<Record<Exclude<Failure['reason'], 'not-asked'>, { severity: Severity; meaning: string }>> = {
  denied: { severity: 'critical', meaning: 'AWS denies it: the role or its credentials changed' },
  absent: { severity: 'critical', meaning: 'it is not there, in this account and Region' },
  malformed: { severity: 'critical', meaning: 'what is there lacks what it must have' },
  throttled: { severity: 'warning', meaning: 'AWS throttles it, also after retries' },
  unreachable: { severity: 'warning', meaning: 'AWS did not answer: the network, the endpoint or its name' },
  deadline: { severity: 'warning', meaning: 'there was no answer in time' },
  unexpected: { severity: 'critical', meaning: 'that is most likely a defect in Mintmark' },
  refused: { severity: 'warning', meaning: 'AWS answered with an error' },
};

/**
 * Each part that could not be looked at: what is not seen is not "fine". Access denied, throttling and the like are
 * every operation's (CloudHSM v2 and KMS API references, "Common Errors").
 */
export const rule: Rule<'failures'> = {
  name: 'described',
  needs: ['failures'],
  severities: ['critical', 'warning'],
  check: ({ failures }) => failures.flatMap(findingOf),
};

function findingOf({ part, failure: { reason, detail } }: PartFailure): RuleFinding[] {
  // Another part's failure is why, and a finding; or there is no such thing to look at.
  if (reason === 'not-asked') return [];
  const { severity, meaning } = kinds[reason];
  return [
    {
      severity,
      subject: operations[part],
      observed: `${reason}: ${detail}`,
      threshold: 'an answer',
      sentence: `The watch cannot see a part of what it watches (${operations[part]}): ${meaning}. ${detail}`,
    },
  ];
}
