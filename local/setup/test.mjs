import './node-version.mjs';

import { join } from 'node:path';

import { runToEnd } from './children.mjs';
import { project } from './machine.mjs';
import { prepareOrExit } from './prepare.mjs';

// `npm test`: set-up, then vitest with whatever arguments were given; its configuration builds the functions' bundles
// where tests run from them, and its reporter (test/reporter.ts) writes the last line.
const { node, env } = await prepareOrExit();
const vitest = join(project, 'node_modules', 'vitest', 'vitest.mjs');
process.exitCode = await runToEnd(node, [vitest, 'run', '--root', project, ...process.argv.slice(2)], { env });
