import type { TestProject } from 'vitest/node';
import { installJudges } from '../../local/judges/install.ts';

declare module 'vitest' {
  interface ProvidedContext {
    judges: Awaited<ReturnType<typeof installJudges>>;
  }
}

/**
 * Vitest's set-up of the tests by outside judges, once and only where such a test is to run: the judges are installed,
 * or it is said why that cannot be; then the tests that need them are skipped, with this sentence in their names.
 */
export default async function setup({ provide }: TestProject): Promise<void> {
  const judges = await installJudges();
  provide('judges', judges);
  for (const judge of [judges.go, judges.python]) {
    if (judge.kind === 'unavailable') console.error(`Some judges of certificates are not asked. ${judge.sentence}`);
  }
}
