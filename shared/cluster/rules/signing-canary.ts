import type { ErrorCode } from '../../errors.ts';
import type { Rule } from '../rule.ts';

/** What is the key store's, or of the right to use it. */
const unsealing: ReadonlySet<string> = new Set<ErrorCode>(['PIN_UNSEAL_FAILED', 'PIN_UNSEAL_REFUSED']);

/**
 * A signature with the canary's own key, through the same library, network and HSMs as the CA's. "Slow" is far above
 * what a cluster needs (3,000 P-256 signatures a second with two hsm2m.medium: CloudHSM User Guide, "AWS CloudHSM
 * performance information"), so it means HSMs that are busy or connections that fail over.
 */
export const rule: Rule<'signingCanary'> = {
  name: 'signing-canary',
  needs: ['signingCanary'],
  severities: ['critical', 'warning'],
  metric: {
    name: 'CanarySignMilliseconds',
    unit: 'Milliseconds',
    value: ({ signingCanary }) => (signingCanary.outcome === 'signed' ? signingCanary.milliseconds : undefined),
  },
  check({ signingCanary, canary }, { canarySignWarningMilliseconds }) {
    const subject = canary?.clusterId ?? 'the cluster';
    switch (signingCanary.outcome) {
      case 'signed':
        if (signingCanary.milliseconds <= canarySignWarningMilliseconds) return [];
        return [
          {
            severity: 'warning',
            subject,
            observed: `${signingCanary.milliseconds} ms`,
            threshold: `at most ${canarySignWarningMilliseconds} ms`,
            sentence: `A signature took ${signingCanary.milliseconds} ms: certificates are issued, and slowly.`,
          },
        ];
      case 'wrong':
        return [
          {
            severity: 'critical',
            subject,
            observed: 'a signature that does not verify',
            threshold: 'a signature that verifies',
            sentence:
              "The HSM returned a signature that the canary's public key does not verify: treat the HSMs as suspect. Certificates are verified before they are stored, so none with such a signature goes out.",
          },
        ];
      case 'failed':
        return [
          {
            severity: 'critical',
            subject,
            observed: signingCanary.code,
            threshold: 'a signature',
            sentence: `The canary could not sign, so the CA most likely cannot either: ${signingCanary.detail}`,
            // The HSM was never asked.
            ...(unsealing.has(signingCanary.code) ? { duplicateOf: ['key-store-state', 'key-store-canary'] } : {}),
          },
        ];
    }
  },
};
