import './node-version.mjs';

import { join } from 'node:path';

import { findLocalStack } from '../localstack/prerequisites.mjs';
import { runToEnd } from './children.mjs';
import { project } from './machine.mjs';
import { parseStartOptions, startUsage, swallowedByNpm } from './options.mjs';
import { prepareOrExit } from './prepare.mjs';

// `npm start`: a wrong option is refused before anything is installed, and so is a cloud that cannot run on this machine; what
// the options mean is local/start.ts's.
const args = process.argv.slice(2);
const swallowed = swallowedByNpm(process.env);
/** @type {import('./options.mjs').ParsedStart} */
const parsed = swallowed === undefined ? parseStartOptions(args) : { kind: 'wrong', sentence: swallowed };
if (parsed.kind === 'help') {
  console.log(startUsage);
  process.exit(0);
}
if (parsed.kind === 'wrong') {
  console.error(`${parsed.sentence}\n\n${startUsage}`);
  process.exit(2);
}

if (parsed.options.cloud === 'localstack') {
  const found = findLocalStack();
  if ('kind' in found) {
    console.error(found.sentence);
    process.exit(1);
  }
}

const { node, env } = await prepareOrExit();
process.exitCode = await runToEnd(node, [join(project, 'local', 'start.ts'), ...args], { env });
