import { failureOf } from './failure.ts';
import type { Observation, PartName, Parts } from './observation.ts';
import type { Described, Finding, Metric, PartFailure, Rule, RuleFinding, Seen, Severity } from './rule.ts';
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
 * What the rules make of an observation. Pure, and never throws.
 *
 * A rule that needs a part which could not be described says nothing, and has no gauge: that it could not look is a
 * finding of the rule `described`. One that throws has no gauge either, and a critical finding that names the defect; the
 * others go on. A finding that another rule has reported already is left out, and counts in its gauge all the same.
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
  /** Rules that have reported a critical finding. */
  const speaking = new Set<string>();
  for (const rule of rules) {
    if (!hasAll(seen, rule.needs)) continue;
    const outcome = apply(rule, seen, thresholds, now);
    if ('error' in outcome) {
      findings.push(defectOf(rule, outcome.error));
      continue;
    }
    const reported = outcome.found.filter(({ duplicateOf = [] }) => !duplicateOf.some((name) => speaking.has(name)));
    findings.push(...reported.map((finding) => findingOf(rule, finding)));
    if (reported.some(({ severity }) => severity === 'critical')) speaking.add(rule.name);
    measurements.push(...measurementsOf(rule, outcome));
  }
  return { findings, measurements };
}

interface Applied {
  readonly found: readonly RuleFinding[];
  /** Of the rule's metric. */
  readonly value: number | undefined;
}

function apply(
  rule: Rule,
  seen: Seen<keyof Described>,
  thresholds: Thresholds,
  now: number,
): Applied | { readonly error: unknown } {
  try {
    const value = rule.metric?.value(seen, now);
    // PutMetricData refuses it, and with it all that stands in the same request.
    if (value !== undefined && !Number.isFinite(value)) throw new Error(`${rule.metric?.name} is ${value}.`);
    return { found: rule.check(seen, thresholds, now), value };
  } catch (error) {
    return { error };
  }
}

function findingOf({ name }: Rule, found: RuleFinding): Finding {
  const { duplicateOf: _, ...finding } = found;
  return { rule: name, ...finding, runbook: `docs/runbook.md#${name}` };
}

function defectOf({ name }: Rule, error: unknown): Finding {
  const { detail } = failureOf(error);
  return {
    rule: name,
    severity: 'critical',
    subject: `the rule ${name}`,
    observed: detail,
    threshold: 'no exception',
    sentence: `The rule ${name} failed on what the watch saw, so what it watches is not watched: a defect in Mintmark. ${detail}`,
    runbook: 'docs/runbook.md#described',
  };
}

function measurementsOf(rule: Rule, { found, value }: Applied): Measurement[] {
  const gauge = Math.max(0, ...found.map(({ severity }) => gaugeValue[severity]));
  const measurements: Measurement[] = [{ name: gaugeName(rule.name), unit: 'None', value: gauge }];
  if (rule.metric !== undefined && value !== undefined) {
    measurements.push({ name: rule.metric.name, unit: rule.metric.unit, value });
  }
  return measurements;
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
