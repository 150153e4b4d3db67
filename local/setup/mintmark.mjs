#!/usr/bin/env node
import './node-version.mjs';

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { runToEnd } from './children.mjs';
import { project, SetUpError } from './machine.mjs';
import { node24 } from './node24.mjs';

// The `mintmark` command (cli/main.ts), in the project's own Node 24 whatever Node this is. It sets nothing up: a command
// that looks at production should not begin with a download.
const program = nodeOrExit();
process.exitCode = await runToEnd(program, [join(project, 'cli', 'main.ts'), ...process.argv.slice(2)]);

function nodeOrExit() {
  try {
    const node = node24().program;
    if (existsSync(node) && existsSync(join(project, 'node_modules', 'commander'))) return node;
    console.error('This checkout is not set up yet: run npm start once, or npm ci.');
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error;
    console.error(error.message);
  }
  process.exit(2);
}
