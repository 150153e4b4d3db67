import type { Failure, PartName, Parts } from './observation.ts';
import type { Thresholds } from './thresholds.ts';

/** `critical`: certificates are not issued, or one more loss stops them or loses the CA. `warning`: look at it today. */
export type Severity = 'warning' | 'critical';

export interface Finding {
  /** The rule's name. */
  readonly rule: string;
  readonly severity: Severity;
  /** What it is about, by its AWS id or ours. */
  readonly subject: string;
  readonly observed: string;
  readonly threshold: string;
  /** For a person who has only this: what it is, what it breaks. */
  readonly sentence: string;
  /** The section of the runbook, as a path in this repository. */
  readonly runbook: string;
}

/** A finding as its rule makes it; whose it is and where its section is are added. */
export interface RuleFinding extends Omit<Finding, 'rule' | 'runbook'> {
  /**
   * Names of rules that come before this one and may say the same. The finding always counts in its rule's gauge, so that
   * its alarm lasts as long as the trouble; it is reported too, unless one of these has reported a critical one.
   */
  readonly duplicateOf?: readonly string[];
}

/** Everything that was seen, and what was not. */
export interface Described extends Parts {
  readonly failures: readonly PartFailure[];
}

export interface PartFailure {
  readonly part: PartName;
  readonly failure: Failure;
}

/** What a rule is handed: what it needs for certain, and of the rest what could be seen. */
export type Seen<Needs extends keyof Described> = Pick<Described, Needs> & Partial<Described>;

/** A value worth plotting. */
export interface Metric<Needs extends keyof Described = keyof Described> {
  /** In the stage's namespace. */
  readonly name: string;
  /** StandardUnit (CloudWatch API reference, MetricDatum). */
  readonly unit: 'Count' | 'Milliseconds' | 'None';
  /** Finite, for CloudWatch takes no other; undefined when there is nothing to plot. */
  value(seen: Seen<Needs>, now: number): number | undefined;
}

/**
 * One thing that is watched. A rule that needs a part which could not be described is not asked, and its gauge has no
 * data then, which its alarm takes as breaching: not knowing is never "fine".
 */
export interface Rule<Needs extends keyof Described = keyof Described> {
  /** Lower case with hyphens: the anchor in docs/runbook.md, and in PascalCase the gauge's name. */
  readonly name: string;
  readonly needs: readonly Needs[];
  /** All that its findings may have: there is an alarm for each. */
  readonly severities: readonly Severity[];
  readonly metric?: Metric<Needs>;
  /**
   * All that is wrong, whether or not another rule may say it too (`duplicateOf`): the gauge is made of this.
   * @param now milliseconds since the epoch
   */
  check(seen: Seen<Needs>, thresholds: Thresholds, now: number): RuleFinding[];
}
