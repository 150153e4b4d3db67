#!/usr/bin/env node

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runToEnd } from './children.mjs';
import { compileCache, project, SetUpError } from './machine.mjs';
import { refuse } from './node-version.mjs';
import { node24Program } from './node24.mjs';

// The `mintmark` command (cli/main.ts), in the project's own Node 24 whatever Node this is. It sets nothing up: a command
// that looks at production should not begin with a download.
const program = nodeOrExit();
// Two seconds after a signal the command gives up what it waits for (cli/main.ts); more is for one that is blocked.
process.exitCode = await runToEnd(program, [join(project, 'cli', 'main.ts'), ...process.argv.slice(2)], {
  env: { ...compileCache, ...process.env },
  endsWithin: 5_000,
});

function nodeOrExit() {
  try {
    const node = node24Program();
    if (existsSync(node) && existsSync(join(project, 'node_modules', 'commander'))) return node;
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error;
    return refuse(error.message, '');
  }
  return refuse('This checkout is not set up yet.', `Run npm ci in ${project}, or npm start once.`);
}
