import type { Observation, PartName, Parts } from './observation.ts';
import type { Described, Finding, Metric, PartFailure, Rule, Seen, Severity } from './rule.ts';
import type { Thresholds } from './thresholds.ts';

/** One value for CloudWatch; the namespace and the dimension Stage are the publisher's. */
export interface Measurement {
  readonly name: string;
  readonly unit: Metric['unit'];
  readonly value: number;
}

export interface Assessment {
  readonly findings: readonly Finding[];
  readonly measurements: readonly Measurement[];
}

const gaugeValue: Readonly<Record<Severity, number>> = { warning: 1, critical: 2 };

/**
 * What the rules make of an observation. Pure. A rule that needs a part which could not be described says nothing, and
 * has no gauge: that it could not look is a finding of the rule `described`.
 *
 * @param now milliseconds since the epoch
 */
export function assess(
  observation: Observation,
  rules: readonly Rule[],
  thresholds: Thresholds,
  now: number,
): Assessment {
  const seen = seenOf(observation);
  const findings: Finding[] = [];
  const measurements: Measurement[] = [];
  for (const rule of rules) {
    if (!hasAll(seen, rule.needs)) continue;
    const found = rule.check(seen, thresholds, now).map((finding) => ({
      rule: rule.name,
      ...finding,
      runbook: `docs/runbook.md#${rule.name}`,
    }));
    findings.push(...found);
    const gauge = Math.max(0, ...found.map(({ severity }) => gaugeValue[severity]));
    measurements.push({ name: gaugeName(rule.name), unit: 'None', value: gauge });
    const value = rule.metric?.value(seen, now);
    if (rule.metric !== undefined && value !== undefined) {
      measurements.push({ name: rule.metric.name, unit: rule.metric.unit, value });
    }
  }
  return { findings, measurements };
}

/** `backup-age` → `BackupAgeFinding`: 0 nothing found, 1 warning, 2 critical. */
export function gaugeName(ruleName: string): string {
  const words = ruleName.split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `${words.join('')}Finding`;
}

function seenOf(observation: Observation): Partial<Parts> & { readonly failures: readonly PartFailure[] } {
  const values: Record<string, unknown> = {};
  const failures: PartFailure[] = [];
  for (const part of Object.keys(observation) as PartName[]) {
    const observed = observation[part];
    if ('failure' in observed) failures.push({ part, failure: observed.failure });
    else values[part] = observed.value;
  }
  return { ...(values as Partial<Parts>), failures };
}

function hasAll<Needs extends keyof Described>(seen: Partial<Described>, needs: readonly Needs[]): seen is Seen<Needs> {
  return needs.every((need) => seen[need] !== undefined);
}
