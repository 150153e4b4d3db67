import type { Reporter, TestCase, TestModule, TestSuite } from 'vitest/node';

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The line that a run ends with: `N passed, N failed`, then `, N skipped` when some were. */
export function summaryLine({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/**
 * Counts tests. What failed without being a test is counted as one failure each, since its tests did not run or cannot
 * be believed: a file that does not load, a suite whose hook throws, an error that no test caught.
 */
export function countTests(modules: readonly TestModule[], unhandledErrors: number): TestCounts {
  const counts = { passed: 0, failed: unhandledErrors, skipped: 0 };
  for (const module of modules) {
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') counts.passed += 1;
      else if (state === 'failed') counts.failed += 1;
      else if (state === 'skipped') counts.skipped += 1;
      // Never finished: the run was cut short.
      else counts.failed += 1;
    }
    const withErrors = [module, ...module.children.allSuites()].filter((suite) => suite.errors().length > 0);
    counts.failed += withErrors.length;
  }
  return counts;
}

/** What did not run, so that nobody takes it for passed: a line for each outermost one skipped, whose name may say why. */
export function skippedLines(modules: readonly TestModule[]): string[] {
  return modules.flatMap((module) => {
    const suites = new Map<string, number>();
    for (const test of module.children.allTests('skipped')) {
      const name = nameOfSkipped(test);
      suites.set(name, (suites.get(name) ?? 0) + 1);
    }
    return [...suites].map(([name, count]) => `skipped: ${module.relativeModuleId}: ${name}: ${count}`);
  });
}

/** The outermost suite that was skipped with the test in it, or the test, which may have given up by itself and said why. */
function nameOfSkipped(test: TestCase): string {
  let skipped: TestCase | TestSuite = test;
  for (let each: TestCase['parent'] = test.parent; each.type !== 'module'; each = each.parent) {
    if (each.options.mode === 'skip' || each.options.mode === 'todo') skipped = each;
  }
  const result = test.result();
  const why = result.state === 'skipped' && result.note !== undefined ? ` (skipped: ${result.note})` : '';
  return `${skipped.fullName}${why}`;
}

/**
 * Writes what was skipped, and the summary as the very last line, when the process exits, after anything else vitest has to say. The line and
 * the exit code agree: a run that fails with no test to blame (cut short, a set-up that throws, no test found, all
 * skipped) counts as one failure.
 */
export default class SummaryReporter implements Reporter {
  #counts: TestCounts = { passed: 0, failed: 0, skipped: 0 };
  #skipped: readonly string[] = [];

  onInit(): void {
    process.on('exit', (code) => {
      const { passed, failed, skipped } = this.#counts;
      const anyFailure = code !== 0 || passed === 0 ? Math.max(failed, 1) : failed;
      if (anyFailure > 0) process.exitCode = 1;
      for (const line of this.#skipped) process.stdout.write(`${line}\n`);
      process.stdout.write(`${summaryLine({ passed, failed: anyFailure, skipped })}\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    this.#counts = countTests(modules, unhandledErrors.length);
    this.#skipped = skippedLines(modules);
  }
}
