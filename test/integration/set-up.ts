import type { TestProject } from 'vitest/node';
import { installLocalStack } from '../../local/localstack/install.ts';

declare module 'vitest' {
  interface ProvidedContext {
    localStack: Awaited<ReturnType<typeof installLocalStack>>;
  }
}

/**
 * Vitest's set-up of the tests on LocalStack, once and only where such a test is to run: LocalStack is installed, or it
 * is said why that cannot be; then the tests that need it are skipped, with this sentence in their names.
 */
export default async function setup({ provide }: TestProject): Promise<void> {
  const found = await installLocalStack();
  provide('localStack', found);
  if (found.kind === 'unavailable') console.error(`The tests on LocalStack are skipped. ${found.sentence}`);
}
