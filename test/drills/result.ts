import { relative } from 'node:path';
import { type DrillResult, functionLogOf } from './drill.ts';

/** How many are told one by one. */
const maximumProblems = 20;

interface Ran {
  readonly name: string;
  readonly seed: number;
  readonly cloud: string;
}

/** What `--json` prints: the figures, and what must not be, a sentence each; none when the drill has passed. Pure. */
export const resultJson = ({ figures, problems }: DrillResult): object => ({ ...figures, failed: problems });

/**
 * The same for people. Pure.
 * @returns what was found, and then whether the drill has passed
 */
export function resultLines(
  { figures, remarks, problems }: DrillResult,
  { name, seed, cloud }: Ran,
): { readonly found: readonly string[]; readonly verdict: readonly string[] } {
  // The answers that are figures, too, are among the remarks.
  const counts = Object.entries(figures).filter(([, value]) => typeof value !== 'object' || value === null);
  const found = [...remarks, ...counts.map(([figure, value]) => `${figure}: ${value}`)];
  if (problems.length === 0) {
    const issued = `${figures.issued} of ${figures.requests} requests have their certificate`;
    return {
      found,
      verdict: [`The drill has passed: ${issued}, and every row, signature and certificate is accounted for.`],
    };
  }
  const rest = problems.length - maximumProblems;
  // LocalStack's go with it.
  const log = cloud === 'embedded' ? `; the functions' log is ${relative(process.cwd(), functionLogOf(name))}` : '';
  return {
    found,
    verdict: [
      ...problems.slice(0, maximumProblems),
      ...(rest > 0 ? [`... and ${rest} more`] : []),
      `The drill has failed. --seed ${seed} decides the same faults again${log}.`,
    ],
  };
}
