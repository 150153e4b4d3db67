import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { CommanderError } from 'commander';
import { printable } from '../shared/terminal/index.ts';
import { type ExitCode, loadTyped, type Result } from './command.ts';
import { commands, groups } from './commands/index.ts';
import { UsageError } from './errors.ts';
import { explain } from './explain.ts';
import { Interrupted } from './interruptible.ts';
import { jsonText } from './json.ts';
import { buildProgram, type Invocation } from './program.ts';
import { withRegion } from './region.ts';
import type { Clients, Session } from './session.ts';
import { targetOf } from './target.ts';

/** The `mintmark` command: what was typed, a session for it, and what comes of it. */

const aws = () => import('../shared/aws.ts');

const clients: Clients = {
  dynamoDB: async () => (await aws()).makeDynamoDBClient(),
  sqs: async () => (await aws()).makeSQSClient(),
  lambda: async () => (await aws()).makeLambdaClient(),
  cloudWatch: async () => (await aws()).makeCloudWatchClient(),
  cloudTrail: async () => (await import('../shared/aws-cloudtrail.ts')).makeCloudTrailClient(),
  iam: async () => (await import('../shared/aws-iam.ts')).makeIAMClient(),
  kms: async (region) => (await aws()).makeKMSClient(region),
};

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);
// local/setup/mintmark.mjs is at the channel's other end; when that was killed there is nobody to write to.
process.once('disconnect', interrupt);
process.channel?.unref();
if (process.connected)
  new Worker(new URL('./end-with-launcher.ts', import.meta.url), { workerData: process.ppid }).unref();

// Whoever reads may have had enough (`| head -1`); what the answer was is still the exit code.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') {
    note(`mintmark: The answer cannot be written to stdout (${error.code ?? error.message}). Give it another place.`);
    process.exitCode = 2;
  }
  process.exit();
});
process.stderr.on('error', () => {});

Object.assign(process.env, withRegion(process.env));

const args = process.argv.slice(2);
// Also where what was typed cannot be understood.
const isJson = args.slice(0, args.includes('--') ? args.indexOf('--') : undefined).includes('--json');

process.exitCode = await main().catch(report);

/** A command that waits says what is still open; a call to AWS that hangs is not waited for. */
function interrupt(): void {
  interrupted.abort();
  setTimeout(() => process.exit(130), 2_000).unref();
}

async function main(): Promise<ExitCode> {
  const invocation = await read();
  if (invocation === undefined) return 0;
  const { module, options, args: given } = invocation;
  const session: Session = {
    target: () => targetOf(options, process.env),
    clients,
    isJson,
    // Opened by whoever reads it.
    get stdin() {
      return process.stdin;
    },
    stdout: process.stdout,
    stderr: process.stderr,
    note,
    explain: (error) => explain(error, process.env),
    interrupted: interrupted.signal,
    now: Date.now,
  };
  // Before a client is made: a stage that nobody named is no reason to look for credentials.
  if (module.isOffline !== true) session.target();
  const result = await module.run(session, options, given);
  show(result);
  return result.exitCode;
}

/** undefined when help was asked for and given. */
async function read(): Promise<Invocation | undefined> {
  let invocation: Invocation | undefined;
  const program = buildProgram(await loadTyped(commands, args), groups, {
    version: version(),
    writeOut: (text) => process.stdout.write(text),
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
    onInvocation: (one) => {
      invocation = one;
    },
  });
  try {
    program.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw wrongUse(error);
  }
  return invocation;
}

function version(): string {
  const { version: found } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return found;
}

/** Commander's sentence begins with `error: `, may have a suggestion in a line of its own, and has no full stop. */
function wrongUse({ code, message }: CommanderError): UsageError {
  const words = args.filter((arg) => !arg.startsWith('-'));
  const typed =
    commands.find(({ name }) => name.every((word, index) => words[index] === word))?.name ??
    words.slice(0, 1).filter((word) => word in groups);
  const cure = `See ${['mintmark', ...typed, '--help'].join(' ')}.`;
  if (code === 'commander.help') return new UsageError('It is not said what to do.', cure);
  const sentence = message.replace(/^error: /, '').replaceAll('\n', ' ');
  const capital = sentence.charAt(0).toUpperCase() + sentence.slice(1);
  return new UsageError(/[.)]$/.test(capital) ? capital : `${capital}.`, cure);
}

function show(result: Result): void {
  // Known before anything is written: whoever reads may end this process by having had enough.
  process.exitCode = result.exitCode;
  if ('written' in result) return;
  const text = isJson ? jsonText(result.json, 2) : result.lines.map((line) => printable(line)).join('\n');
  process.stdout.write(`${text}\n`);
}

function note(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}

function report(error: unknown): ExitCode {
  const exitCode = interrupted.signal.aborted || error instanceof Interrupted ? 130 : 2;
  const said = exitCode === 130 ? { message: 'Interrupted.', cure: '' } : explain(error, process.env);
  process.exitCode = exitCode;
  note(`mintmark: ${said.message} ${said.cure}`.trim());
  for (const { file, problem, cure } of said.problems ?? []) note(`  ${file}: ${problem} ${cure}`);
  if (isJson) process.stdout.write(`${jsonText({ error: said }, 2)}\n`);
  return exitCode;
}
