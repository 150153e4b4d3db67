/** `npm run drill -- NAME [--seed N] [--json] ...`: docs/drills.md says what each drill does. */
import { UsageError } from '../../cli/errors.ts';
import { build } from '../../local/build.ts';
import { SetUpError } from '../../local/setup/machine.mjs';
import { endWithParent } from '../../local/setup/parent-watch.ts';
import { readTyped, type Typed } from './program.ts';
import { DrillProgress } from './progress.ts';
import { resultJson, resultLines } from './result.ts';

const args = process.argv.slice(2);
// Also where what was typed cannot be understood.
const isJson = args.includes('--json');

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupted.abort());

const progress = new DrillProgress(process.stderr, () => performance.now());

/** @returns the exit code */
async function run({ name, seed: given, cloud, run: drill }: Typed): Promise<number> {
  const seed = given ?? 1 + Math.floor(performance.timeOrigin % 999_999_999);
  // Beside the JSON, too: a run that failed must be had again.
  const tell = isJson ? console.error : console.log;
  tell(`drill ${name}, seed ${seed}`);
  await build();
  const onProgress = (text: string): void => progress.show(text);
  const result = await drill({ seed, onProgress, signal: interrupted.signal });
  progress.end();
  const { found, verdict } = resultLines(result, { name, seed, cloud });
  if (isJson) console.log(JSON.stringify(resultJson(result)));
  else for (const line of found) console.log(line);
  const hasPassed = result.problems.length === 0;
  for (const line of verdict) (hasPassed ? tell : console.error)(line);
  return hasPassed ? 0 : 1;
}

async function main(): Promise<number> {
  const columns = process.stdout.isTTY ? process.stdout.columns : 100;
  const typed = readTyped(args, { writeOut: (text) => process.stdout.write(text), columns });
  if (typed === undefined) return 0;
  const running = run(typed);
  endWithParent(async () => {
    interrupted.abort();
    await running;
  });
  return running;
}

/** @returns the exit code */
function report(error: unknown): number {
  progress.end();
  const { message, cure } = explain(error);
  console.error(`drill: ${message} ${cure}`.trim());
  if (isJson) console.log(JSON.stringify({ error: { message, cure } }));
  return interrupted.signal.aborted ? 130 : 2;
}

function explain(error: unknown): { readonly message: string; readonly cure: string } {
  if (interrupted.signal.aborted) return { message: 'Interrupted.', cure: '' };
  if (error instanceof UsageError) return { message: error.message, cure: error.cure };
  if (error instanceof SetUpError) return { message: error.message, cure: '' };
  if (error instanceof Error) console.error(error.stack);
  return { message: error instanceof Error ? error.message : String(error), cure: 'The drill could not be ended.' };
}

process.exitCode = await main().catch(report);
// What an interrupted drill was about to do is waited for by nobody.
if (interrupted.signal.aborted) process.stdout.write('', () => process.exit());
