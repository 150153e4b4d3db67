import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Of the tests that wait for clouds, those that take longest, in order: what begins last must not be one of them. */
const longest = [
  // embedded
  ...['signer-trouble', 'cli', 'start', 'breaker', 'drill-crash', 'failures', 'faults'],
  // integration
  ...['deployed-issue', 'deployed-alarms', 'deployed-watch', 'deployed-start', 'stub-aws-cli', 'localstack-lambda'],
];

/**
 * Vitest's own order goes by what the last run took, and of a checkout that has not been tested yet by the files' sizes,
 * which say nothing of how long a test waits.
 */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const reordered = new Map(
      ['embedded', 'integration'].map((project) => [
        project,
        sorted.filter((file) => file.project.name === project).toSorted((a, b) => placeOf(a) - placeOf(b)),
      ]),
    );
    return sorted.map((file) => reordered.get(file.project.name)?.shift() ?? file);
  }
}

function placeOf({ moduleId }: TestSpecification): number {
  const place = longest.indexOf(basename(moduleId, '.test.ts'));
  return place === -1 ? longest.length : place;
}
