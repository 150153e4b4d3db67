import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Of the integration tests, those that take minutes: the longest first. What begins last must not be what takes longest. */
const longest = ['deployed-issue', 'deployed-alarms', 'deployed-watch', 'deployed-start', 'localstack-lambda'];

/**
 * Vitest's own order goes by what the last run took, and of a checkout that has not been tested yet by the files' sizes,
 * which say nothing of how long a test waits.
 */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const reordered = sorted.filter(isIntegration).toSorted((a, b) => placeOf(a) - placeOf(b));
    return sorted.map((file) => (isIntegration(file) ? (reordered.shift() ?? file) : file));
  }
}

const isIntegration = ({ project }: TestSpecification): boolean => project.name === 'integration';

function placeOf({ moduleId }: TestSpecification): number {
  const place = longest.indexOf(basename(moduleId, '.test.ts'));
  return place === -1 ? longest.length : place;
}
