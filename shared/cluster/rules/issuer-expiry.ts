import type { WatchedIssuer } from '../observation.ts';
import type { Rule, RuleFinding } from '../rule.ts';
import { iso, isTime } from '../time.ts';

const day = 86_400_000;

const isActive = ({ state }: WatchedIssuer): boolean => state === 'active';

/**
 * An issuing CA's certificates end with it: notAfter is inclusive (RFC 5280 section 4.1.2.5), and a path is valid only
 * while every certificate in it is (section 6.1.3), so the first end in its chain counts. A retired issuer may end.
 */
export const rule: Rule<'issuers'> = {
  name: 'issuer-expiry',
  needs: ['issuers'],
  severities: ['critical', 'warning'],
  metric: {
    name: 'IssuerDaysLeft',
    unit: 'None',
    value({ issuers }, now) {
      const ends = issuers
        .filter(isActive)
        .map(({ notAfter }) => notAfter)
        .filter(isTime);
      return ends.length === 0 ? undefined : (Math.min(...ends) - now) / day;
    },
  },
  check({ issuers }, { issuerExpiryWarningDays, issuerExpiryCriticalDays }, now) {
    const active = issuers.filter(isActive);
    if (active.length === 0) {
      return [
        {
          severity: 'critical',
          subject: 'issuers table',
          observed: 'no active issuer',
          threshold: 'at least 1 active issuer',
          sentence: 'No issuing CA is active: every request waits until one is, or until its age says stop.',
        },
      ];
    }
    return active.flatMap(({ issuerId, notAfter }): RuleFinding[] => {
      if (!isTime(notAfter)) {
        return [
          {
            severity: 'critical',
            subject: issuerId,
            observed: 'no certificate that can be read',
            threshold: 'a certificate and its chain',
            sentence: `The issuer ${issuerId} has a certificate, or one in its chain, that cannot be read: it issues nothing.`,
          },
        ];
      }
      const days = (notAfter - now) / day;
      if (days >= issuerExpiryWarningDays) return [];
      const end = iso(notAfter);
      return [
        {
          severity: days < issuerExpiryCriticalDays ? 'critical' : 'warning',
          subject: issuerId,
          observed: `${days.toFixed(1)} days left, until ${end}`,
          threshold: `at least ${issuerExpiryWarningDays} days; critical below ${issuerExpiryCriticalDays}`,
          sentence:
            days < 0
              ? `The issuing CA ${issuerId}, or one above it, has expired on ${end}: it issues nothing, and relying parties refuse its certificates.`
              : `The issuing CA ${issuerId}, or one above it, expires on ${end}: what it issues cannot be valid any longer, and afterwards it issues nothing.`,
        },
      ];
    });
  },
};
