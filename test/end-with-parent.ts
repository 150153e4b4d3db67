import { endWithParent } from '../local/setup/parent-watch.ts';

/** Vitest's global set-up: a test run whose starter was killed does not go on by itself. */
export default function setup(): void {
  endWithParent(() => {});
}
