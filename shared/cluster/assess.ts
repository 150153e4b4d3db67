import type { Measurement } from '../metrics.ts';
import { failureOf } from './failure.ts';
import type { Observation, PartName, Parts } from './observation.ts';
import type { Described, Finding, PartFailure, Rule, RuleFinding, Seen, Severity } from './rule.ts';
import { rule as described } from './rules/described.ts';
import type { Thresholds } from './thresholds.ts';

export interface Assessment {
  readonly findings: readonly Finding[];
  readonly measurements: readonly Measurement[];
}

const gaugeValue: Readonly<Record<Severity, number>> = { warning: 1, critical: 2 };

/**
 * What the rules make of an observation. Pure, and never throws.
 *
 * A rule that needs a part which could not be described says nothing, and has no gauge: that it could not look is a
 * finding of the rule `described`. One that throws has no gauge either, and a critical finding that names the defect; one
 * whose value cannot be plotted has its gauge, and a warning. Both count in the gauge of `described`; the others go on. A
 * finding that another rule has reported already is left out, and counts in its gauge all the same.
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
  const defects: Finding[] = [];
  /** Rules that have reported a critical finding. */
  const speaking = new Set<string>();
  const defect = (finding: Finding) => {
    findings.push(finding);
    defects.push(finding);
  };
  for (const rule of rules) {
    if (!hasAll(seen, rule.needs)) continue;
    const found = orError(() => rule.check(seen, thresholds, now));
    if ('error' in found) {
      defect(brokenRule(rule, found.error));
      continue;
    }
    const reported = found.result.filter(({ duplicateOf = [] }) => !duplicateOf.some((name) => speaking.has(name)));
    findings.push(...reported.map((finding) => findingOf(rule, finding)));
    if (reported.some(({ severity }) => severity === 'critical')) speaking.add(rule.name);
    measurements.push(gaugeOf(rule.name, found.result));

    const plotted = orError(() => plot(rule, seen, now));
    if ('error' in plotted) defect(brokenMetric(rule, plotted.error));
    else measurements.push(...plotted.result);
  }
  return { findings, measurements: withDefects(measurements, defects) };
}

function orError<Result>(run: () => Result): { readonly result: Result } | { readonly error: unknown } {
  try {
    return { result: run() };
  } catch (error) {
    return { error };
  }
}

/** The value worth plotting, where there is one. @throws what the metric throws, and for what CloudWatch does not take */
function plot({ metric }: Rule, seen: Seen<keyof Described>, now: number): Measurement[] {
  const value = metric?.value(seen, now);
  if (metric === undefined || value === undefined) return [];
  // PutMetricData refuses it, and with it all that stands in the same request.
  if (!Number.isFinite(value)) throw new Error(`${metric.name} is ${value}.`);
  return [{ name: metric.name, unit: metric.unit, value }];
}

/** What is not watched for a defect of ours is not seen either, and its rule has no alarm that says so soon. */
function withDefects(measurements: readonly Measurement[], defects: readonly Finding[]): readonly Measurement[] {
  if (defects.length === 0) return measurements;
  const gauge = gaugeOf(described.name, defects);
  const [standing] = measurements.filter(({ name }) => name === gauge.name);
  const others = measurements.filter(({ name }) => name !== gauge.name);
  return [{ ...gauge, value: Math.max(gauge.value, standing?.value ?? 0) }, ...others];
}

function findingOf({ name }: Rule, found: RuleFinding): Finding {
  const { duplicateOf: _, ...finding } = found;
  return { rule: name, ...finding, runbook: `docs/runbook.md#${name}` };
}

function brokenRule({ name }: Rule, error: unknown): Finding {
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

function brokenMetric({ name }: Rule, error: unknown): Finding {
  const { detail } = failureOf(error);
  return {
    rule: name,
    severity: 'warning',
    subject: `the rule ${name}`,
    observed: detail,
    threshold: 'a number',
    sentence: `The rule ${name} watches, and has no value to plot of what the watch saw: a defect in Mintmark. ${detail}`,
    runbook: 'docs/runbook.md#described',
  };
}

function gaugeOf(ruleName: string, found: readonly Pick<RuleFinding, 'severity'>[]): Measurement {
  const value = Math.max(0, ...found.map(({ severity }) => gaugeValue[severity]));
  return { name: gaugeName(ruleName), unit: 'None', value };
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
