import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Of the tests that wait for clouds, those that take longest, in order: what begins last must not be one of them. */
const longest: Readonly<Record<string, readonly string[]>> = {
  embedded: ['signer-trouble', 'cli', 'start', 'breaker', 'drill-crash', 'failures', 'faults'],
  integration: [
    'deployed-issue',
    'deployed-alarms',
    'deployed-watch',
    'deployed-start',
    'stub-aws-cli',
    'localstack-lambda',
  ],
};

/**
 * Vitest's own order goes by what the last run took, and of a checkout that has not been tested yet by the files' sizes,
 * which say nothing of how long a test waits.
 */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const reordered = new Map(
      Object.entries(longest).map(([project, names]) => [
        project,
        sorted
          .filter((file) => file.project.name === project)
          .toSorted((a, b) => placeOf(a, names) - placeOf(b, names)),
      ]),
    );
    return sorted.map((file) => reordered.get(file.project.name)?.shift() ?? file);
  }
}

function placeOf({ moduleId }: TestSpecification, names: readonly string[]): number {
  const place = names.indexOf(basename(moduleId, '.test.ts'));
  return place === -1 ? names.length : place;
}
