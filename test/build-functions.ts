import { build } from '../local/build.ts';

/** Vitest's set-up of the tests that run the functions from their bundles. */
export default async function setup(): Promise<void> {
  await build();
}
