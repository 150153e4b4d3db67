import * as z from 'zod';
import { readConfiguration } from '../configuration.ts';

/** What the rules compare with. Hours, days, milliseconds as named. */
export interface Thresholds {
  /** ACTIVE HSMs below this are critical. */
  readonly hsmCountMinimum: number;
  /** HSMs below this are a warning. */
  readonly hsmCountWanted: number;
  /** Availability Zones with an ACTIVE HSM below this are critical. */
  readonly availabilityZonesMinimum: number;
  readonly backupMaximumAgeHours: number;
  /** How much later than that a backup may come before it counts as missing. */
  readonly backupSlackHours: number;
  readonly canarySignWarningMilliseconds: number;
  readonly issuerExpiryWarningDays: number;
  readonly issuerExpiryCriticalDays: number;
}

/** A number with a default, which an empty variable takes too: an unset deployment parameter arrives as one. */
const number = (defaultValue: number, schema: z.ZodType<number, unknown>) =>
  z.preprocess((value) => (value === undefined || value === '' ? defaultValue : value), schema);

const whole = z.coerce.number().int();

const environmentSchema = z
  .object({
    // At least two HSMs in different zones, +1 for the one that AWS replaces, three so that a new key is on two others
    // at once (CloudHSM User Guide, "Best practices for AWS CloudHSM", "Cluster Configuration").
    HSM_COUNT_MINIMUM: number(2, whole.min(1).max(28)),
    HSM_COUNT_WANTED: number(3, whole.min(1).max(28)),
    AVAILABILITY_ZONES_MINIMUM: number(2, whole.min(1).max(6)),
    // "at least once every 24 hours" (CloudHSM User Guide, "Cluster backups in AWS CloudHSM")
    BACKUP_MAXIMUM_AGE_HOURS: number(24, z.coerce.number().min(1).max(9_072)),
    BACKUP_SLACK_HOURS: number(6, z.coerce.number().min(0).max(9_072)),
    CANARY_SIGN_WARNING_MILLISECONDS: number(1_000, whole.min(1).max(60_000)),
    ISSUER_EXPIRY_WARNING_DAYS: number(90, whole.min(1).max(3_650)),
    ISSUER_EXPIRY_CRITICAL_DAYS: number(30, whole.min(1).max(3_650)),
  })
  .refine(inOrder('HSM_COUNT_MINIMUM', 'HSM_COUNT_WANTED'), {
    path: ['HSM_COUNT_WANTED'],
    message: 'must not be below HSM_COUNT_MINIMUM',
    when: always,
  })
  .refine(inOrder('ISSUER_EXPIRY_CRITICAL_DAYS', 'ISSUER_EXPIRY_WARNING_DAYS'), {
    path: ['ISSUER_EXPIRY_WARNING_DAYS'],
    message: 'must not be below ISSUER_EXPIRY_CRITICAL_DAYS',
    when: always,
  });

/**
 * The thresholds from environment variables, each with a default.
 * @throws MintmarkError CONFIGURATION_INVALID that lists every variable that is wrong, at once
 */
export function readThresholds(environment: NodeJS.ProcessEnv): Thresholds {
  const values = readConfiguration(environmentSchema, environment);
  return {
    hsmCountMinimum: values.HSM_COUNT_MINIMUM,
    hsmCountWanted: values.HSM_COUNT_WANTED,
    availabilityZonesMinimum: values.AVAILABILITY_ZONES_MINIMUM,
    backupMaximumAgeHours: values.BACKUP_MAXIMUM_AGE_HOURS,
    backupSlackHours: values.BACKUP_SLACK_HOURS,
    canarySignWarningMilliseconds: values.CANARY_SIGN_WARNING_MILLISECONDS,
    issuerExpiryWarningDays: values.ISSUER_EXPIRY_WARNING_DAYS,
    issuerExpiryCriticalDays: values.ISSUER_EXPIRY_CRITICAL_DAYS,
  };
}

/** Also when another variable is wrong, so that one deployment shows everything. */
function always(): boolean {
  return true;
}

/** Two that are numbers stand in order; what is no number is a problem of its own. */
function inOrder(lower: string, upper: string) {
  return (values: Readonly<Record<string, unknown>>): boolean => {
    const [low, high] = [values[lower], values[upper]];
    return typeof low !== 'number' || typeof high !== 'number' || low <= high;
  };
}
